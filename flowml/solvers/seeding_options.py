"""What k-means|| and k-means++ have in common: their options, and how a pass is asked for."""

from dataclasses import dataclass

import numpy as np

from flowml.kernels.rows import Array
from flowml.kernels.seeding import SeedingAsk


@dataclass(frozen=True)
class SeedingOptions:
    """How many centres to start from, of which rows, and with which draws.

    Parameters
    ----------
    n_clusters, n_features : int
    seed : int
    remember : bool
        Keep distances beside the rows.
    sparse : bool
        Whether the rows are CSR.
    """

    n_clusters: int
    n_features: int
    seed: int
    remember: bool = True
    sparse: bool = False

    def ask(
        self, number: int, candidates: Array, groups: tuple[int, ...], trials: Array, n_draws: int
    ) -> SeedingAsk:
        """Return what travels to the data in one pass.

        Parameters
        ----------
        number : int
            The pass's, so that each draws anew.
        candidates, groups, trials, n_draws
            As in `SeedingAsk`.
        """
        seed = pass_seed(self.seed, number)
        return SeedingAsk(candidates, groups, trials, n_draws, seed, self.remember, self.sparse)


def pass_seed(seed: int, number: int) -> int:
    """Return the seed of one pass's draws: below 2**63, another for each seed and number."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0] >> 1)
