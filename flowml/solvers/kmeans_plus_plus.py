"""k-means++: start centres one by one, each the best of a few draws; a pass for each centre."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from flowml.kernels.fold import Fold
from flowml.kernels.rows import Array
from flowml.kernels.seeding import SEEDING, Seeding, SeedingAsk
from flowml.solvers.lloyd import check_enough_rows
from flowml.solvers.reduce_candidates import n_trials
from flowml.solvers.seeding_options import SeedingOptions
from flowml.solvers.solver import Progress


class KMeansPlusPlusState(NamedTuple):
    """Chosen centres, and the rows drawn to choose the next from.

    Attributes
    ----------
    centers : ndarray of shape (m, p)
    trials : ndarray of shape (t, p)
    passes : int
    potential : float
        Σ w d² to the nearest centre.
    """

    centers: Array
    trials: Array
    passes: int
    potential: float


@dataclass(frozen=True)
class KMeansPlusPlus:
    """Greedy k-means++ (Arthur & Vassilvitskii 2007), 2 + log k draws for each centre.

    The pass that compares the draws also makes the next ones, for each draw as if it had won.

    Parameters
    ----------
    options : SeedingOptions
    """

    options: SeedingOptions

    @property
    def fold(self) -> Fold:
        """Potentials and draws."""
        return SEEDING

    @property
    def max_passes(self) -> int:
        """One to draw the first row, one for each centre."""
        return self.options.n_clusters + 1

    def init(self) -> KMeansPlusPlusState:
        """Start without centres."""
        none = np.empty((0, self.options.n_features))
        return KMeansPlusPlusState(none, none, 0, float("nan"))

    def ask(self, state: KMeansPlusPlusState) -> SeedingAsk:
        """Ask for the potential of each draw and for the next draws."""
        k, groups = self.options.n_clusters, (1,) * len(state.centers)
        last = len(state.centers) + 1 == k
        n_draws = 1 if state.passes == 0 else 0 if last else n_trials(k)
        return self.options.ask(state.passes, state.centers, groups, state.trials, n_draws)

    def step(self, state: KMeansPlusPlusState, summary: Seeding) -> KMeansPlusPlusState:
        """Choose the draw that lowers the potential most."""
        check_enough_rows(summary.rows, self.options.n_clusters)
        centers, best = state.centers, 0
        if state.passes:
            best = int(np.argmin(summary.potentials))
            centers = np.concatenate([centers, state.trials[best : best + 1]])
        trials = summary.draws[best].rows
        if len(trials) == 0:  # fewer distinct rows than clusters: the last ones repeat the first
            centers = centers[np.arange(self.options.n_clusters) % len(centers)]
        potential = float(summary.potentials[best]) if state.passes else float("nan")
        return KMeansPlusPlusState(centers, trials, state.passes + 1, potential)

    def done(self, state: KMeansPlusPlusState) -> bool:
        """Stop once there are k centres."""
        return len(state.centers) == self.options.n_clusters

    def mixes(self, state: KMeansPlusPlusState) -> bool:
        """Take turns with the others: each draw is by the distances from all before it."""
        return False

    def progress(self, state: KMeansPlusPlusState) -> Progress:
        """Report the cost of the centres chosen so far."""
        return Progress(state.potential, float("nan"))
