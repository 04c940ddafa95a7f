"""Losses made of straight lines: what they are, and their derivatives where they have any."""

from typing import NamedTuple

import numpy as np

from flowml.losses.loss import Array, Derivatives


class Kinks(NamedTuple):
    r"""A loss as :math:`\sum_k b_k (t_k - \eta)_+ + a_k (\eta - t_k)_+`, row by row.

    Attributes
    ----------
    position : ndarray of shape (n_rows, n_kinks)
        :math:`t_k`: where the loss has kinks.
    below, above : ndarray of shape (n_rows, n_kinks)
        :math:`b_k` and :math:`a_k`, at least 0, and above 0 in sum: how fast it rises on each side.
    """

    position: Array
    below: Array
    above: Array


class KinkedLoss:
    """A convex loss made of straight lines. A subclass gives `kinks`."""

    n_outputs = 1
    n_constants = 0
    shift_invariant = False
    expected_curvature = False
    separation = 0.0
    tail = 0.0

    def kinks(self, y: Array) -> Kinks:
        """Return where the loss of each row has its kinks, and how steep it is beside them.

        Parameters
        ----------
        y : ndarray of shape (n_rows,)
        """
        raise NotImplementedError

    def derivatives(self, y: Array, eta: Array) -> Derivatives:
        """Return value, gradient (one of many at a kink) and curvature, which is zero."""
        position, below, above = self.kinks(y)
        gap = position - eta[:, np.newaxis]
        value = np.where(gap > 0, below, -above) * gap
        gradient = np.where(gap > 0, -below, above)
        return Derivatives(value.sum(axis=1), gradient.sum(axis=1), np.zeros(len(y)))

    def constant(self, y: Array, weight: Array) -> Array:
        """Return the best predictor without features, the lowest if there are several."""
        position, below, above = self.kinks(y)
        order = np.argsort(position, axis=None, kind="stable")
        factor = weight[:, np.newaxis]
        bends = ((below + above) * factor).ravel()[order]
        place = int(np.searchsorted(np.cumsum(bends), (below * factor).sum()))
        best: Array = position.ravel()[order[[min(place, len(order) - 1)]]]
        return best
