"""The choice of a code: expected times against closed forms, and what is chosen when."""

from typing import Any

import numpy as np
import pytest

from flowml.codes.backup_tasks import BackupTasks
from flowml.codes.choice import (
    Choice,
    Chooser,
    Model,
    PassTimes,
    exact_codes,
    expected_times,
    modelled,
)
from flowml.codes.code import loads
from flowml.codes.cyclic_repetition import CyclicRepetition
from flowml.codes.delays import Pareto, ShiftedExponential, fitted
from flowml.codes.directional_derivative import DirectionalDerivativeCode
from flowml.codes.fractional_repetition import FractionalRepetition
from flowml.codes.ignore_slowest import IgnoreSlowest
from flowml.codes.moved_shares import MovedShares
from flowml.codes.stochastic_gradient import StochasticGradientCoding
from flowml.codes.uncoded import Uncoded

EVERYTHING = exact_codes(8, 64, vectors=True, n_features=200)


def harmonic(n: int) -> float:
    return float(sum(1.0 / k for k in range(1, n + 1)))


def measured(seconds: Any, gave_up: Any = False) -> PassTimes:
    return PassTimes(seconds, np.broadcast_to(gave_up, seconds.shape))


def quiet(random: np.random.Generator, n_passes: int = 20, n_workers: int = 8) -> Any:
    """Return times that vary by a few per cent."""
    return 0.1 * (1.0 + 0.02 * random.random((n_passes, n_workers)))


def settled(chooser: Chooser, times: PassTimes, choice: Choice | None = None) -> Choice:
    """Return the choice after many passes like these."""
    choice = chooser.first() if choice is None else choice
    for _ in range(10):
        choice = chooser.next(choice, times)
    return choice


# Fits and expectations.


@pytest.mark.parametrize("seed", range(5))
def test_fits_find_what_times_were_drawn_from(seed: int):
    levels = np.random.default_rng(seed).random(4000)
    exponential, pareto = ShiftedExponential(2.0, 0.5), Pareto(2.0, 1.5)
    found = fitted(exponential.quantiles(levels))
    assert isinstance(found, ShiftedExponential)
    assert found.least == pytest.approx(2.0, abs=0.01)
    assert found.mean_delay == pytest.approx(0.5, rel=0.1)
    heavy = fitted(pareto.quantiles(levels))
    assert isinstance(heavy, Pareto)
    assert heavy.least == pytest.approx(2.0, abs=0.01)
    assert heavy.shape == pytest.approx(1.5, rel=0.1)


@pytest.mark.parametrize("delays", [ShiftedExponential(1.0, 0.3), Pareto(1.0, 2.5)])
def test_densities_belong_to_the_quantiles(delays: Any):
    """The likelihood of one time is the slope of the distribution function there."""
    for level in (0.1, 0.5, 0.9):
        low, high = delays.quantiles(np.array([level - 1e-6, level + 1e-6]))
        (middle,) = delays.quantiles(np.array([level]))
        assert np.exp(delays.log_likelihood(np.array([middle]))) == pytest.approx(
            2e-6 / (high - low), rel=1e-3
        )


def test_times_that_are_all_the_same_can_be_fitted():
    assert fitted(np.ones(10)).quantiles(np.array([0.999]))[0] == pytest.approx(1.0)


def test_expected_times_of_a_shifted_exponential_are_those_of_the_books():
    """Order statistics of n exponentials: the k-th of n comes after H(n) - H(n - k)."""
    n, least, delay = 12, 1.0, 0.7
    expected: dict[Any, float] = {
        Uncoded(n, n): least + delay * harmonic(n),
        IgnoreSlowest(n, n, k=3): least + delay * (harmonic(n) - harmonic(3)),
        CyclicRepetition(n, 1): 2 * (least + delay * (harmonic(n) - harmonic(1))),
        CyclicRepetition(n, 2): 3 * (least + delay * (harmonic(n) - harmonic(2))),
        FractionalRepetition(n, n, s=1): 2 * (least + delay / 2 * harmonic(n // 2)),
        FractionalRepetition(n, n, s=2): 3 * (least + delay / 3 * harmonic(n // 3)),
        StochasticGradientCoding(n, n, d=2, k=3): 2 * (least + delay * (harmonic(n) - harmonic(3))),
        DirectionalDerivativeCode(n, 4 * n, 4 * n, weight=4): 1.25
        * (least + delay * (harmonic(n) - harmonic(1))),
    }
    model = Model(np.ones(n), ShiftedExponential(least, delay))
    found = expected_times(tuple(expected), model)
    np.testing.assert_allclose(found, list(expected.values()), rtol=0.02)


def test_backups_against_a_run_of_events():
    """One worker of four never ends: the others begin its parts when they are due."""
    code, times = BackupTasks(4, 12, patience=1.5), np.ones((1, 4))
    times[0, 2] = 100.0
    # At 1.5 the three others each begin one of the three parts, a third of a worker's second.
    assert code.wait(times)[0] == pytest.approx(1.5 + 1.0 / 3.0)
    assert BackupTasks(4, 4, patience=2.0).wait(times)[0] == pytest.approx(2.0 + 1.0)
    assert code.wait(np.ones((3, 4))).tolist() == [1.0, 1.0, 1.0]


# What is chosen.


@pytest.mark.parametrize("seed", range(10))
def test_without_stragglers_no_code_is_chosen(seed: int):
    choice = settled(Chooser(EVERYTHING), measured(quiet(np.random.default_rng(seed))))
    assert choice.code == Uncoded(8, 64)
    assert choice.reason.startswith("stays with no code: 0.10")


@pytest.mark.parametrize("seed", range(5))
def test_repetition_is_not_chosen_where_it_costs_more_than_it_saves(seed: int):
    """A shifted exponential with a small tail, time in proportion to the load."""
    random = np.random.default_rng(seed)
    codes = (Uncoded(8, 8), CyclicRepetition(8, 1), CyclicRepetition(8, 2))
    times = measured(1.0 + random.exponential(0.1, (30, 8)))
    choice = settled(Chooser(codes), times)
    assert choice.code == codes[0]
    assert choice.expected[1] > 1.5 * choice.expected[0]


def test_repetition_is_chosen_where_it_saves_more_than_it_costs():
    codes = (Uncoded(8, 8), CyclicRepetition(8, 1), CyclicRepetition(8, 2))
    times = measured(quiet(np.random.default_rng(0)))
    times.seconds[:, 5] *= 8.0
    choice = settled(Chooser(codes), times)
    assert choice.code == codes[1]


@pytest.mark.parametrize("slow", range(8))
@pytest.mark.parametrize("codes", [EVERYTHING, exact_codes(8, 64), exact_codes(8, 64, True)])
def test_one_worker_slowed_eight_times_is_no_longer_waited_for(slow: int, codes: Any):
    random = np.random.default_rng(slow)
    times = measured(quiet(random))
    times.seconds[:, slow] *= 8.0
    chooser = Chooser(codes)
    choice = settled(chooser, times)
    assert choice.code != codes[0]
    assert f"worker {slow} usually takes 8 times as long" in changes(chooser, times)[-1]
    coming = quiet(random, 100)
    undisturbed = coming.max(axis=1).mean()
    coming[:, slow] *= 8.0
    assert choice.code.wait(coming * choice.code.load).mean() < 1.5 * undisturbed
    assert Uncoded(8, 64).wait(coming).mean() > 7.0 * undisturbed


def changes(chooser: Chooser, times: PassTimes) -> list[str]:
    """Return the reasons that were given up to the first change."""
    choice, reasons = chooser.first(), []
    while choice.code == chooser.codes[0]:
        choice = chooser.next(choice, times)
        reasons.append(choice.reason)
    return reasons


def test_rare_long_delays_of_any_worker_are_met_too():
    """Each worker is held up for ten times its usual time in one pass of ten."""
    random = np.random.default_rng(3)
    seconds = quiet(random, 40)
    seconds[random.random(seconds.shape) < 0.1] *= 10.0
    choice = settled(Chooser(EVERYTHING), measured(seconds))
    assert choice.code != EVERYTHING[0]
    assert "Pareto" in changes(Chooser(EVERYTHING), measured(seconds))[-1]


def test_a_change_takes_several_passes_on_end():
    chooser, calm = Chooser(EVERYTHING, passes=3), measured(quiet(np.random.default_rng(0)))
    slow = measured(calm.seconds * np.where(np.arange(8) == 4, 8.0, 1.0))
    choice = chooser.first()
    for times in (slow, slow, calm, slow, slow):
        choice = chooser.next(choice, times)
        assert choice.code == EVERYTHING[0]
    assert choice.streak == 2
    assert "may go from no code" in choice.reason
    assert "seen in 2 of 3 passes" in choice.reason
    choice = chooser.next(choice, slow)
    assert choice.code != EVERYTHING[0]
    assert choice.streak == 0


def test_what_is_better_by_less_than_the_margin_changes_nothing():
    codes = (Uncoded(2, 2), IgnoreSlowest(2, 2, k=1))
    seconds = np.ones((10, 2))
    seconds[:, 1] = 1.08
    assert settled(Chooser(codes, margin=0.1), measured(seconds)).code == codes[0]
    assert settled(Chooser(codes, margin=0.05), measured(seconds)).code == codes[1]


def test_nothing_is_chosen_from_a_few_passes():
    seconds = np.ones((4, 8))
    seconds[:, 0] = 100.0
    choice = settled(Chooser(EVERYTHING), measured(seconds))
    assert choice == Choice(
        EVERYTHING[0], "stays with no code: 4 passes measured so far, 5 are needed"
    )


def test_a_worker_that_is_given_up_on_is_still_slow_until_it_answers_in_time():
    chooser, random = Chooser(EVERYTHING), np.random.default_rng(0)
    calm = quiet(random)
    slow = calm * np.where(np.arange(8) == 4, 8.0, 1.0)
    coded = settled(chooser, measured(slow))
    cut, given_up = np.minimum(slow, 0.13), slow > 0.13
    assert settled(chooser, measured(cut, given_up), coded).code == coded.code
    recovered = settled(chooser, measured(calm), coded)
    assert recovered.code == EVERYTHING[0]


def test_a_worker_seen_to_be_slow_in_some_passes_only():
    """Times that weren't waited for count as longer than all others."""
    seconds, gave_up = np.ones((5, 2)), np.zeros((5, 2), dtype=bool)
    gave_up[:2, 1] = True
    assert modelled(PassTimes(seconds, gave_up)).usual.tolist() == [1.0, 1.0]
    gave_up[:3, 1] = True
    assert modelled(PassTimes(seconds, gave_up)).usual.tolist() == [1.0, 2.0]


def test_the_choice_is_a_function_of_what_it_is_given():
    times = measured(quiet(np.random.default_rng(1)) * np.array([1, 1, 1, 8, 1, 1, 1, 1]))
    chooser, before = Chooser(EVERYTHING), times.seconds.copy()
    first = chooser.next(chooser.first(), times)
    assert chooser.next(chooser.first(), times) == first
    np.testing.assert_array_equal(times.seconds, before)


@pytest.mark.parametrize("n_workers", [1, 2, 3, 5])
def test_candidates_for_few_workers(n_workers: int):
    codes = exact_codes(n_workers, 2 * n_workers, vectors=True, n_features=100)
    assert all(code.exact and code.n_workers == n_workers for code in codes)
    seconds = np.ones((10, n_workers))
    assert settled(Chooser(codes), measured(seconds)).code == codes[0]


# Shares that are moved.


@pytest.mark.parametrize("slow", [1.5, 3.0, 8.0, 1e3])
@pytest.mark.parametrize("patience", [np.inf, 1.25])
def test_moved_shares_end_at_about_one_time(slow: float, patience: float):
    slowness = tuple(np.where(np.arange(8) == 3, slow, 1.0).tolist())
    code = MovedShares(8, 64, slowness, patience)
    who = code.assignment()
    assert set().union(*who.parts) == set(range(64))
    for mine, backups in zip(who.parts, who.backups, strict=True):
        assert not set(mine) & set(backups)
    times = np.array(slowness) * loads(code)
    assert code.wait(times[np.newaxis])[0] <= (9 if slow <= 8.0 else 10) / 8
    assert np.median(times) <= code.wait(times[np.newaxis])[0]
    assert code.load == max(loads(code))


def test_shares_are_moved_from_who_is_always_slow_and_back():
    chooser = Chooser(exact_codes(8, 64), moves=True)
    times = measured(quiet(np.random.default_rng(0)))
    slowed = measured(times.seconds * np.where(np.arange(8) == 5, 8.0, 1.0))
    choice = settled(chooser, slowed)
    assert isinstance(choice.code, MovedShares)
    assert len(choice.code.assignment().parts[5]) == 1
    assert settled(chooser, times, choice).code == Uncoded(8, 64)
