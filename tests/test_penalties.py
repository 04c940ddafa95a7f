"""Penalties: the proximal operator minimises what it says, and no violation is a minimum."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from flowml.penalties.elastic_net import ElasticNet
from flowml.penalties.penalty import Penalty

PENALTIES: dict[str, Penalty] = {
    "nothing": ElasticNet(),
    "ridge": ElasticNet(l2=0.7),
    "lasso": ElasticNet(l1=0.4),
    "elastic net": ElasticNet(l1=0.4, l2=0.7),
    "bounds": ElasticNet(lower=-0.5, upper=1.5),
    "positive lasso": ElasticNet(l1=0.4, lower=0.0),
    "a price for each": ElasticNet(
        l1=np.array([[0.0, 1.0, 0.2]]),
        l2=np.array([[0.5, 0.0, 2.0]]),
        lower=np.array([[-1, -2, 0]]),
    ),
}
penalties = pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES.keys())
numbers = st.floats(-5, 5)


def price_of(penalty: Penalty, place: int, value: float) -> float:
    """Return the price of one coefficient of three."""
    coef = np.zeros((1, 3))
    coef[0, place] = value
    return penalty.value(coef)


def bounds_of(penalty: Penalty) -> np.ndarray:
    """Return the lowest and highest coefficients: from very far away one steps onto them."""
    return np.array([penalty.prox(np.full((1, 3), far), 1e-9)[0] for far in (-1e9, 1e9)])


@penalties
@settings(max_examples=40, deadline=None)
@given(coef=st.tuples(numbers, numbers, numbers), step=st.floats(0.01, 10))
def test_prox_minimises_what_it_says(
    penalty: Penalty, coef: tuple[float, ...], step: float
) -> None:
    found = penalty.prox(np.array([coef]), step)[0]
    for place, (lower, upper) in enumerate(bounds_of(penalty).T):

        def objective(b: float, place: int = place) -> float:
            return price_of(penalty, place, b) + (b - coef[place]) ** 2 / (2 * step)

        assert lower <= found[place] <= upper
        best = minimize_scalar(
            objective, bounds=(max(lower, -10), min(upper, 10)), options={"xatol": 1e-10}
        )
        assert objective(found[place]) <= best.fun + 1e-12


@penalties
@settings(max_examples=40, deadline=None)
@given(gradient=st.tuples(numbers, numbers, numbers), curvature=st.floats(0.1, 10))
def test_no_violation_at_a_minimum_and_only_there(
    penalty: Penalty, gradient: tuple[float, ...], curvature: float
) -> None:
    target = np.array([gradient])
    at_minimum = penalty.prox(target / curvature, 1 / curvature)  # of c/2 |b|² - t b + P(b)
    slope = curvature * at_minimum - target
    np.testing.assert_allclose(penalty.violation(at_minimum, slope), 0, atol=1e-12)
    for shift in (-0.1, 0.1):
        beside = np.clip(at_minimum + shift, *bounds_of(penalty))
        moved = np.abs(beside - at_minimum)[0] > 1e-3
        violation = penalty.violation(beside, curvature * beside - target)[0]
        assert (violation[moved] >= 0.99 * curvature * 1e-3).all()


@penalties
def test_value_and_units_agree(penalty: Penalty) -> None:
    coef, scale = np.array([[0.3, -0.4, 1.2]]), np.array([2.0, 0.5, 10.0])
    in_units = penalty.in_units(scale)
    assert in_units.value(coef * scale) == pytest.approx(penalty.value(coef), rel=1e-14)
    assert penalty.times(3.0).value(coef) == pytest.approx(3 * penalty.value(coef), rel=1e-14)
    bounded = np.clip(coef, *bounds_of(penalty))
    np.testing.assert_allclose(
        in_units.prox(bounded * scale, scale**2 * 0.7),
        scale * penalty.prox(bounded, 0.7),
        rtol=1e-13,
    )


@penalties
def test_each_coefficient_has_its_price(penalty: Penalty) -> None:
    coef = np.array([[0.3, -0.4, 1.2]])
    alone = [price_of(penalty, place, value) for place, value in enumerate(coef[0])]
    np.testing.assert_allclose(penalty.prices(coef), [alone], rtol=1e-15)


@pytest.mark.parametrize(
    ("name", "smooth"), [("nothing", True), ("ridge", True), ("lasso", False), ("bounds", False)]
)
def test_smooth_penalties_are_known(name: str, smooth: bool) -> None:
    assert PENALTIES[name].is_smooth is smooth


@penalties
def test_nothing_is_written_to(penalty: Penalty) -> None:
    coef, gradient = np.array([[0.3, -0.4, 1.2]]), np.array([[1.0, 0.1, -2.0]])
    coef.flags.writeable = gradient.flags.writeable = False
    penalty.value(coef)
    penalty.prox(coef, 0.5)
    penalty.violation(coef, gradient)
    penalty.in_units(np.ones(3))
