"""The laws of losses: derivatives by finite differences, curvature, extremes, arguments."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy import integrate

from flowml.losses.epsilon_insensitive import (
    EpsilonInsensitiveLoss,
    SquaredEpsilonInsensitiveLoss,
)
from flowml.losses.families import (
    Binomial,
    Family,
    Gamma,
    Gaussian,
    InverseGaussian,
    NegativeBinomial,
    Poisson,
    Tweedie,
    family_of_power,
)
from flowml.losses.family_loss import FamilyLoss, family_loss
from flowml.losses.hinge import HingeLoss, ModifiedHuberLoss, SquaredHingeLoss
from flowml.losses.huber import FixedHuberLoss, HuberLoss
from flowml.losses.links import LINKS, Link, Power
from flowml.losses.logistic import LogisticLoss
from flowml.losses.loss import Loss
from flowml.losses.multinomial import MultinomialLoss
from flowml.losses.pinball import PinballLoss
from flowml.losses.sides import SidesLoss
from flowml.losses.squared import SquaredLoss

N_ROWS = 200
STEP = 1e-5


@dataclass(frozen=True)
class LossRow:
    """A loss under the laws: a new one is a new row of `LOSSES`.

    Parameters
    ----------
    name : str
    loss : Loss
    y : callable
        Draws so many targets.
    eta : callable
        Draws predictors of a shape.
    extreme : float
        Value and gradient aren't NaN at plus and minus this; 0 if not every η has a loss.
    rtol : float
        Of derivatives by differences.
    """

    name: str
    loss: Loss
    y: Callable[[np.random.Generator, int], np.ndarray]
    eta: Callable[[np.random.Generator, Any], np.ndarray]
    extreme: float = 1000.0
    rtol: float = 1e-5


def around_zero(random: np.random.Generator, shape: Any) -> np.ndarray:
    return random.uniform(-3.0, 3.0, shape)


def above_zero(random: np.random.Generator, shape: Any) -> np.ndarray:
    return random.uniform(0.2, 3.0, shape)


def shares(random: np.random.Generator, shape: Any) -> np.ndarray:
    return random.uniform(0.05, 0.95, shape)


def zero_or_one(random: np.random.Generator, n_rows: int) -> np.ndarray:
    return random.integers(0, 2, n_rows).astype(np.float64)


def some_shares(random: np.random.Generator, n_rows: int) -> np.ndarray:
    return np.clip(random.uniform(-0.3, 1.3, n_rows), 0.0, 1.0)


def counts(random: np.random.Generator, n_rows: int) -> np.ndarray:
    return random.poisson(1.5, n_rows).astype(np.float64)


def three_classes(random: np.random.Generator, n_rows: int) -> np.ndarray:
    return random.integers(0, 3, n_rows).astype(np.float64)


TARGETS: dict[Family, Any] = {
    Gaussian(): around_zero,
    Poisson(): counts,
    Gamma(): above_zero,
    InverseGaussian(): above_zero,
    Tweedie(1.5): counts,
    Tweedie(2.5): above_zero,
    Tweedie(-1.0): above_zero,
    NegativeBinomial(0.7): counts,
    Binomial(): some_shares,
}
PROBABILITIES = ("logit", "probit", "cloglog")


def below_zero(random: np.random.Generator, shape: Any) -> np.ndarray:
    return -above_zero(random, shape)


def predictors(family: Family, link: str) -> Any:
    """Return how to draw η for which the family has a mean; None if it doesn't take the link."""
    if isinstance(family, Binomial):
        inside = {"identity": shares, "log": below_zero} | dict.fromkeys(PROBABILITIES, around_zero)
        return inside.get(link)
    if link in PROBABILITIES:
        return None
    return around_zero if link == "log" else above_zero


def family_rows() -> list[LossRow]:
    """Return a row for each family with each link that its means can have."""
    rows = []
    for family, y in TARGETS.items():
        for name, link in LINKS.items():
            inside = predictors(family, name)
            if inside is None:
                continue
            stable = inside is around_zero
            extreme = (200.0 if family == Tweedie(-1.0) else 400.0) if stable else 0.0
            rows.append(LossRow(f"{family} {name}", family_loss(family, link), y, inside, extreme))
    return rows


LOSSES = [
    LossRow("squared", SquaredLoss(), around_zero, around_zero),
    LossRow("logistic", LogisticLoss(), zero_or_one, around_zero),
    LossRow("Huber", HuberLoss(1.35, 1e-8), around_zero, above_zero),
    LossRow("pinball", PinballLoss(0.3), around_zero, around_zero),
    LossRow("hinge", HingeLoss(), zero_or_one, around_zero),
    LossRow("squared hinge", SquaredHingeLoss(), zero_or_one, around_zero),
    LossRow("modified Huber", ModifiedHuberLoss(), zero_or_one, around_zero),
    LossRow("Huber of a given scale", FixedHuberLoss(0.7), around_zero, around_zero),
    LossRow("squared, of two sides", SidesLoss(SquaredLoss()), zero_or_one, around_zero),
    LossRow("squared hinge, a class of three", SquaredHingeLoss(2.0), three_classes, around_zero),
    LossRow("ε-insensitive", EpsilonInsensitiveLoss(0.5), around_zero, around_zero),
    LossRow("squared ε-insensitive", SquaredEpsilonInsensitiveLoss(0.5), around_zero, around_zero),
    LossRow("multinomial", MultinomialLoss(3), three_classes, around_zero),
    *family_rows(),
]

losses = pytest.mark.parametrize("row", LOSSES, ids=lambda row: row.name)


def draw(row: LossRow) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    outputs = row.loss.n_outputs
    return row.y(random, N_ROWS), row.eta(random, N_ROWS if outputs == 1 else (N_ROWS, outputs))


def moved(eta: np.ndarray, output: int, step: float) -> np.ndarray:
    """Return η with one output moved in every row."""
    moved = eta.copy().reshape(len(eta), -1)
    moved[:, output] += step
    return moved.reshape(eta.shape)


def differences(row: LossRow, y: np.ndarray, eta: np.ndarray, part: str) -> np.ndarray:
    """Return the derivatives of the value or gradient by each output, in the last axis."""
    pairs = [
        [getattr(row.loss.derivatives(y, moved(eta, k, step)), part) for step in (STEP, -STEP)]
        for k in range(row.loss.n_outputs)
    ]
    slopes = [(up - down) / (2 * STEP) for up, down in pairs]
    return slopes[0] if row.loss.n_outputs == 1 else np.stack(slopes, axis=-1)


@losses
def test_gradients_are_derivatives_of_values(row: LossRow) -> None:
    y, eta = draw(row)
    gradient = row.loss.derivatives(y, eta).gradient
    scale = np.abs(gradient).max()
    slopes = differences(row, y, eta, "value")
    np.testing.assert_allclose(gradient, slopes, rtol=row.rtol, atol=row.rtol * scale)


@losses
def test_curvatures_are_derivatives_of_gradients_or_their_expectation(row: LossRow) -> None:
    y, eta = draw(row)
    if row.loss.expected_curvature:
        assert isinstance(
            row.loss, FamilyLoss
        )  # the gradient's slope is linear in y: take its mean
        y = row.loss.link.inverse(eta)
    curvature = row.loss.derivatives(y, eta).curvature
    scale = np.abs(curvature).max()
    slopes = differences(row, y, eta, "gradient")
    np.testing.assert_allclose(curvature, slopes, rtol=row.rtol, atol=row.rtol * scale)


@losses
def test_curvatures_are_positive_semidefinite(row: LossRow) -> None:
    curvature = row.loss.derivatives(*draw(row)).curvature
    assert np.isfinite(curvature).all()
    if curvature.ndim == 1:
        assert (curvature >= 0).all()
    else:
        least = np.linalg.eigvalsh(curvature).min(axis=1)
        assert (least >= -1e-12 * np.abs(curvature).max(axis=(1, 2))).all()


@pytest.mark.parametrize("row", [row for row in LOSSES if row.extreme], ids=lambda row: row.name)
@pytest.mark.filterwarnings("error:divide")
@pytest.mark.filterwarnings("error:invalid")
def test_extreme_predictors_give_no_nan(row: LossRow) -> None:
    y, eta = draw(row)
    for sign in (-1.0, 1.0):
        far = np.full_like(eta, sign * row.extreme)
        if eta.ndim == 2:
            far[:, 0] = 0.0
        with np.errstate(over="ignore"):
            value, gradient, curvature = row.loss.derivatives(y, far)
        assert not np.isnan(value).any()
        assert not np.isnan(gradient).any()
        assert (np.isfinite(curvature) | np.isposinf(np.abs(curvature))).all()


@losses
def test_losses_write_to_no_argument(row: LossRow) -> None:
    y, eta = draw(row)
    y.flags.writeable = eta.flags.writeable = False
    first, second = row.loss.derivatives(y, eta), row.loss.derivatives(y, eta)
    row.loss.constant(y, np.ones_like(y))
    for left, right in zip(first, second, strict=True):
        np.testing.assert_array_equal(left, right)
        assert not np.shares_memory(left, y)
        assert not np.shares_memory(left, eta)


@losses
def test_no_rows_are_fine(row: LossRow) -> None:
    shape = (0,) if row.loss.n_outputs == 1 else (0, row.loss.n_outputs)
    value, gradient, curvature = row.loss.derivatives(np.empty(0), np.empty(shape))
    assert value.shape == (0,)
    assert gradient.shape == shape
    assert curvature.shape == shape + shape[1:]


# --- families and links --------------------------------------------------------------------------

families = pytest.mark.parametrize("family", TARGETS, ids=str)


@pytest.mark.parametrize("row", family_rows(), ids=lambda row: row.name)
def test_the_stable_forms_equal_the_plain_one(row: LossRow) -> None:
    assert isinstance(row.loss, FamilyLoss)
    y, eta = draw(row)
    plain = FamilyLoss(row.loss.family, row.loss.link).derivatives(y, eta)
    for left, right in zip(row.loss.derivatives(y, eta), plain, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-7, atol=1e-12)  # the plain one's digits


@pytest.mark.parametrize("row", family_rows(), ids=lambda row: row.name)
def test_a_loss_is_constant_best_at_the_mean(row: LossRow) -> None:
    y, _ = draw(row)
    weight = np.random.default_rng(1).uniform(0.5, 2.0, N_ROWS)
    (best,) = row.loss.constant(y, weight)
    gradient = row.loss.derivatives(y, np.full(N_ROWS, best)).gradient
    assert abs(weight @ gradient) < 1e-10 * (weight @ np.abs(gradient))


@families
def test_deviances_are_integrals_of_the_variance(family: Family) -> None:
    for y, mean in ((0.3, 0.6), (0.9, 0.2)):
        area, _ = integrate.quad(lambda t, y=y: (y - t) / family.variance(np.array(t)), mean, y)
        found = family.unit_deviance(np.array([y]), np.array([mean]))
        np.testing.assert_allclose(found, 2 * area, rtol=1e-9)
        np.testing.assert_allclose(family.unit_deviance(np.array([y]), np.array([y])), 0.0)


@pytest.mark.parametrize("link", [*LINKS.values(), Power(1.5)], ids=str)
def test_links_invert_themselves(link: Link) -> None:
    mean = np.linspace(0.05, 0.95, 19)
    eta = link.link(mean)
    np.testing.assert_allclose(link.inverse(eta), mean, rtol=1e-12)
    slope = (link.inverse(eta + STEP) - link.inverse(eta - STEP)) / (2 * STEP)
    np.testing.assert_allclose(link.slope(eta), slope, rtol=1e-5)


def test_powers_between_0_and_1_have_no_family() -> None:
    with pytest.raises(ValueError, match=r"power=0\.5"):
        family_of_power(0.5)
    assert family_of_power(3) == InverseGaussian()


def test_parameters_of_families_and_links_are_checked() -> None:
    with pytest.raises(ValueError, match=r"alpha=0\.0.* must be above 0"):
        NegativeBinomial(0.0)
    with pytest.raises(ValueError, match=r"exponent=0\.0.* other than 0"):
        Power(0.0)
