"""The loss: what every measure of error looks like to the kernels and solvers that minimise it."""

from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, Any]


EXPONENTIAL = float(np.exp(-1.0))
"""`Loss.tail` of a loss that falls like an exponential."""


class Derivatives(NamedTuple):
    r"""A loss and its derivatives by the linear predictor η, row by row.

    Attributes
    ----------
    value : ndarray of shape (n_rows,)
        :math:`\ell(y, \eta)`; may overflow to infinity where η is far out.
    gradient : ndarray of shape (n_rows,) or (n_rows, n_outputs)
        :math:`\partial \ell / \partial \eta`
    curvature : ndarray of shape (n_rows,) or (n_rows, n_outputs, n_outputs)
        :math:`\partial^2 \ell / \partial \eta^2`, or another positive semidefinite stand-in such
        as its expectation (Fisher scoring).
    """

    value: Array
    gradient: Array
    curvature: Array


class Loss(Protocol):
    """The error of a linear predictor, as data: a frozen dataclass with pure methods.

    Laws, held for every loss by ``tests/test_losses.py``: the gradient is the value's derivative
    (finite differences); the curvature is positive semidefinite, and the gradient's derivative
    unless `expected_curvature` says otherwise; no argument is written to.
    """

    @property
    def n_outputs(self) -> int:
        """Number of linear predictors for a row: above one, η has a column for each."""

    @property
    def n_constants(self) -> int:
        """How many of the last outputs take no features: numbers such as a scale."""

    @property
    def shift_invariant(self) -> bool:
        """Whether the same number added to every output of a row changes nothing."""

    @property
    def separation(self) -> float:
        """A row is on the right side where its gradient is below this; 0 if there are no sides."""

    @property
    def tail(self) -> float:
        """What share of its slope a loss that falls for ever keeps after a Newton step; 0 if none.

        So far out that only its tail is left: there the steps never get shorter.
        """

    @property
    def expected_curvature(self) -> bool:
        """Whether the curvature is not the gradient's derivative but a stand-in for it."""

    def derivatives(self, y: Array, eta: Array) -> Derivatives:
        """Return value, gradient and curvature.

        Parameters
        ----------
        y : ndarray of shape (n_rows,)
            float64; class numbers for a classification loss.
        eta : ndarray of shape (n_rows,) or (n_rows, n_outputs)
        """

    def constant(self, y: Array, weight: Array) -> Array:
        """Return the best predictor without features (or a fair guess), of shape (n_outputs,)."""


def contiguous(values: Array) -> Array:
    """Return a contiguous read-only view: compiled loops are compiled for these only."""
    view = np.ascontiguousarray(values, dtype=np.float64).view()
    view.flags.writeable = False
    return view
