"""An objective's curvature as if categorical columns had nothing to do with each other."""

from typing import NamedTuple

import numpy as np

from flowml.kernels.column_curvature import ColumnCurvature
from flowml.kernels.rows import Array
from flowml.solvers.objective import Objective, in_order

ROWS_OF_DOUBT = 10.0
"""Rows of the sample that a label needs for its own mean curvature to count half."""
FLAT = 1e-6
"""Relative curvature that is assumed where there is none: all labels' coefficients together."""


class Margins(NamedTuple):
    r"""An approximate curvature whose inverse costs no more than a gradient.

    If the labels of different columns met as often as by chance, the curvature would be, about
    the columns' means :math:`r`, a block :math:`D_c - W r_c r_c^\top` for each categorical column
    and a number for everything else: diagonals and ranks of one, with the penalty in D. It is
    that matrix, whatever the labels do. What it leaves out is for the solver to find.

    Attributes
    ----------
    diagonal : ndarray of shape (n_outputs, n_features)
        D, the penalty included.
    total : ndarray of shape (n_outputs,)
        W, the curvature by the intercept.
    means : ndarray of shape (n_outputs, n_features)
        r, weighted by curvature; zero for numeric columns, which are near their center.
    group : int ndarray of shape (n_features,)
        The categorical column that a column of ones and zeros is of; 0 for numeric ones.
    """

    diagonal: Array
    total: Array
    means: Array
    group: Array

    def solve(self, gradient: Array) -> Array:
        """Return the inverse times an array of shape (n_outputs, n_features + 1)."""
        found = np.empty_like(gradient)
        for k, (slope, D, r) in enumerate(zip(gradient, self.diagonal, self.means, strict=True)):
            W = self.total[k]
            share = r / D
            about = slope[:-1] - r * slope[-1]
            left = np.bincount(self.group, r * share)
            gathered = np.bincount(self.group, share * about)
            along = gathered / np.maximum(1.0 / W - left, FLAT / W)
            found[k, :-1] = about / D + share * along[self.group]
            found[k, -1] = slope[-1] / W - r @ found[k, :-1]
        return found


def margins(
    objective: Objective, shares: Array, group: Array, sample: ColumnCurvature
) -> Margins | None:
    """Make the curvature of labels' shares of all rows and of a sample's curvature for each.

    Parameters
    ----------
    objective : Objective
    shares : ndarray of shape (n_columns - n_numeric,)
        Of the rows, by weight, that have each label.
    group : int ndarray of that shape
        The categorical column, from 0 on, that each label is of.
    sample : ColumnCurvature

    Returns
    -------
    Margins or None
        None where the loss is too steep for numbers.
    """
    n_numeric = objective.shape[1] - 1 - len(shares)
    total = sample.total / sample.total_weight
    if not (np.isfinite(sample.bend).all() and np.isfinite(total).all() and (total > 0).all()):
        return None
    of_numbers = sample.bend[:, :n_numeric] / sample.total_weight
    of_labels = shares * _means(sample, n_numeric, total)
    rest = np.maximum(1.0 - np.bincount(group, shares), 0.0)  # of labels without a column
    for bend, whole in zip(of_labels, total, strict=True):
        bend *= (whole / (np.bincount(group, bend) + rest * whole))[group]
    means = np.zeros(objective.shape)[:, :-1]
    if objective.fit_intercept:
        means[:, n_numeric:] = of_labels / total[:, np.newaxis] / objective.scale[n_numeric:]
    squares = in_order(np.empty(objective.shape), objective.price.quadratic, 0.0)
    bends = np.concatenate([of_numbers, of_labels], axis=1) / np.square(objective.scale)
    diagonal = bends + squares.reshape(objective.shape)[:, :-1]
    floor = FLAT * total[:, np.newaxis]
    groups = np.concatenate([np.zeros(n_numeric, np.intp), group])
    return Margins(np.maximum(diagonal, floor), total, means, groups)


def _means(sample: ColumnCurvature, n_numeric: int, total: Array) -> Array:
    """Return the mean curvature of each label's rows; of rare ones near that of all rows."""
    doubt = ROWS_OF_DOUBT * sample.total_weight / sample.rows
    bend, weight = sample.bend[:, n_numeric:], sample.weight[n_numeric:]
    means: Array = (bend + doubt * total[:, np.newaxis]) / (weight + doubt)
    return means
