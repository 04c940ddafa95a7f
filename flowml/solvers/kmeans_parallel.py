"""k-means||: start centres from a few passes that each draw many rows (Bahmani et al. 2012)."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from flowml.kernels.fold import Fold
from flowml.kernels.rows import Array
from flowml.kernels.seeding import SEEDING, Seeding, SeedingAsk
from flowml.solvers.lloyd import check_enough_rows
from flowml.solvers.reduce_candidates import reduce_candidates
from flowml.solvers.seeding_options import SeedingOptions
from flowml.solvers.solver import Progress

ROUNDS = 5
OVERSAMPLING = 2
"""Rows drawn in a round, for each cluster."""
RESTARTS = 2


class KMeansParallelState(NamedTuple):
    """Candidates, and after the last pass the centres.

    Attributes
    ----------
    candidates : ndarray of shape (m, p)
    groups : ndarray of int
        How many candidates each round brought.
    done : bool
    potential : float
        Σ w d² to the nearest candidate.
    centers : ndarray of shape (k, p)
        Empty until done.
    """

    candidates: Array
    groups: Array
    done: bool
    potential: float
    centers: Array


@dataclass(frozen=True)
class KMeansParallel:
    """Draw one row, then five times 2k rows far from those drawn before; weigh and reduce them.

    A candidate weighs as much as the rows that it is nearest to; the weighted candidates are
    clustered by k-means++ and Lloyd's algorithm where the summary arrives.

    Parameters
    ----------
    options : SeedingOptions
    """

    options: SeedingOptions

    @property
    def fold(self) -> Fold:
        """Draws and weights."""
        return SEEDING

    @property
    def max_passes(self) -> int:
        """One for the first row, one a round, one to weigh."""
        return ROUNDS + 2

    def init(self) -> KMeansParallelState:
        """Start without candidates."""
        none = np.empty((0, self.options.n_features))
        return KMeansParallelState(none, np.empty(0, np.int64), False, float("nan"), none)

    def ask(self, state: KMeansParallelState) -> SeedingAsk:
        """Ask for one row first, for 2k in each round, for none in the last pass."""
        number, k = len(state.groups), self.options.n_clusters
        n_draws = 1 if number == 0 else OVERSAMPLING * k if number <= ROUNDS else 0
        groups = tuple(state.groups.tolist())
        return self.options.ask(number, state.candidates, groups, state.candidates[:0], n_draws)

    def step(self, state: KMeansParallelState, summary: Seeding) -> KMeansParallelState:
        """Add the drawn rows; when none is left to draw or the rounds are over, reduce."""
        k = self.options.n_clusters
        check_enough_rows(summary.rows, k)
        drawn = summary.draws[0].rows
        potential = float(summary.potentials[0]) if len(state.groups) else float("nan")
        if len(drawn):
            candidates = np.concatenate([state.candidates, drawn])
            groups = np.append(state.groups, len(drawn))
            return state._replace(candidates=candidates, groups=groups, potential=potential)
        centers = reduce_candidates(
            state.candidates, summary.weights, k, self.options.seed, RESTARTS
        )
        return state._replace(done=True, potential=potential, centers=centers)

    def done(self, state: KMeansParallelState) -> bool:
        """Stop once there are centres."""
        return state.done

    def mixes(self, state: KMeansParallelState) -> bool:
        """Take turns with the others: each draw is by the distances from all before it."""
        return False

    def progress(self, state: KMeansParallelState) -> Progress:
        """Report the cost of the candidates."""
        return Progress(state.potential, float("nan"))
