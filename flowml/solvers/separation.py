"""Whether a loss falls for ever along a step, so that without a penalty there is no minimum."""

from typing import NamedTuple

import numpy as np

from flowml.kernels.linear_loss import LOSS_GRADIENT, LossSums
from flowml.kernels.rows import Array
from flowml.kernels.several import Asks, Summaries, several
from flowml.losses.loss import Loss
from flowml.solvers.objective import Evaluation, Objective

TAIL, ROUGH_TAIL = 0.01, 0.06
"""How near to `Loss.tail` the slope's fall along two steps has to be to tell a loss's tail: the
second is for a curvature that is a stand-in, with which some tails are only reached slowly."""
NO_STEP = 1e-8
"""Length of a step that is rounding: a step along a tail is about one in the predictor."""
MOST_OF = 0.1
"""Share of the longest component of a step above which a column is named."""
FAR = 20.0
"""Times a step that is up to about one in the predictor of rows that it pulls."""
REACHES = 0.2 * 2.0 ** np.arange(8)
"""How far rows may be on the right side then: what is between two counts as the lesser."""
LONG = 10.0
"""Times the tolerance: a next step that is no longer has little left to grow."""

BOTH_WAYS = several([LOSS_GRADIENT] * 2)
"""Far out along a step, and as far back."""


class Doubt(NamedTuple):
    """From when on rows speak for a step that separates them.

    Attributes
    ----------
    against : float
        The most that a row may be on the wrong side, as a share of what another is on the right.
    along : float
        The least that some row is on the right side.
    """

    against: float
    along: float


SUSPICION, VERDICT = Doubt(0.1, 0.2), Doubt(0.002, 2.0)
UNSEEN = 5.0
"""How far on the right side there may be rows that a sample lacks."""


def falls_for_ever(objective: Objective) -> bool:
    """Tell whether the objective may have no minimum, but for what the rows say."""
    return objective.loss.tail > 0.0 and not objective.is_penalised


def slowing_of(evaluation: Evaluation, step: Array, promise: float, next_step: Array) -> float:
    """Return the slope along a step at its end, as a share of that at its beginning.

    Only where the next step is as long as a tail makes it, otherwise 0. Near a minimum a stand-in
    for the curvature lets slope and step fall by the same share.

    Parameters
    ----------
    evaluation : Evaluation
        At the step's end.
    step, next_step : ndarray of shape (n_outputs, n_features + 1)
        Steps by the second-order model.
    promise : float
        The slope at the step's beginning.
    """
    slowing = float(np.vdot(evaluation.gradient, step)) / promise
    last, next_ = float(np.linalg.norm(step)), float(np.linalg.norm(next_step))
    return slowing if next_ > max(0.5 * (1.0 + slowing) * last, NO_STEP) else 0.0


def is_tail(loss: Loss, slowing: float) -> bool:
    """Tell whether a slope falls along a second-order step as in a loss's tail."""
    return abs(slowing - loss.tail) < (ROUGH_TAIL if loss.expected_curvature else TAIL)


def growing_columns(step: Array) -> Array:
    """Return the columns along which a step that never gets shorter leads."""
    lengths = np.abs(step[:, :-1]).max(axis=0, initial=0.0)
    growing: Array = lengths > MOST_OF * lengths.max(initial=0.0)
    return growing


def may_lack_minimum(objective: Objective) -> bool:
    """Tell whether rows can be asked if the objective has a minimum.

    Only for losses of labels, where a predictor of zero speaks for none.
    """
    loss = objective.loss
    return loss.separation > 0.0 and _is_even_at_zero(loss) and falls_for_ever(objective)


def is_doubtful(objective: Objective, step: Array, tol: float) -> bool:
    """Tell whether a look far out along the next step of a quasi-Newton method may tell more.

    Near a minimum such a step is about as long as the tolerance, in a tail about one in the
    predictor.
    """
    return may_lack_minimum(objective) and bool(np.abs(step).max() > LONG * tol)


def both_ways(objective: Objective, step: Array) -> Asks:
    """Ask for the loss far out along a step and back, from where every predictor is zero."""
    return Asks((0, 1), tuple(objective.point(far * step) for far in (FAR, -FAR)))


def may_separate(loss: Loss, some: Summaries, doubt: Doubt) -> bool:
    """Tell from some of the rows whether all may speak for a step."""
    ahead, behind = some.members
    return _is_harmless(loss, ahead, doubt.against * max(_reach(loss, behind), UNSEEN))


def separates(loss: Loss, looks: Summaries, doubt: Doubt) -> bool:
    r"""Tell whether a step leads some rows to their side, and none to the wrong one.

    With :math:`m_i` how much more far out along the step the predictor speaks for row i's own
    label than for the others, that is a :math:`\min_i m_i` of zero, but for a share of
    :math:`\max_i m_i > 0`: the least is seen in the largest slope of a row's loss ahead, the
    greatest in that behind.

    A. Albert & J. A. Anderson 1984, "On the existence of maximum likelihood estimates in logistic
    regression models", Biometrika 71.

    Parameters
    ----------
    loss : Loss
    looks : Summaries
        What `both_ways` asks for.
    doubt : Doubt
        `SUSPICION` or `VERDICT`.
    """
    ahead, behind = looks.members
    reach = _reach(loss, behind)
    return reach >= doubt.along and _is_harmless(loss, ahead, doubt.against * reach)


def _is_harmless(loss: Loss, ahead: LossSums, against: float) -> bool:
    return ahead.largest < _slope(loss, -against)


def _reach(loss: Loss, behind: LossSums) -> float:
    """Return how far out some row is on the right side, at least."""
    passed = [reach for reach in REACHES.tolist() if behind.largest > _slope(loss, -reach)]
    return max(passed, default=0.0)


def _slope(loss: Loss, margin: float) -> float:
    """Return the largest slope of a row whose predictor speaks by a margin for its label."""
    eta = np.zeros((1, loss.n_outputs))
    eta[0, 0] = margin if loss.n_outputs > 1 else -margin
    return float(_slopes(loss, np.zeros(1), eta)[0])


def _is_even_at_zero(loss: Loss) -> bool:
    no, yes = _slopes(loss, np.array([0.0, 1.0]), np.zeros((2, loss.n_outputs)))
    return bool(np.isclose(no, yes))


def _slopes(loss: Loss, y: Array, eta: Array) -> Array:
    gradient = loss.derivatives(y, eta[:, 0] if loss.n_outputs == 1 else eta).gradient
    slopes: Array = np.abs(gradient.reshape(eta.shape)).max(axis=1)
    return slopes
