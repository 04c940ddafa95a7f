"""Codes: the sum of a pass from the answers that came, against plain sums of all parts."""

from collections.abc import Iterator
from itertools import chain, combinations, permutations
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from flowml.codes.backup_tasks import BackupTasks
from flowml.codes.code import NotFiniteError, TooFewAnswersError
from flowml.codes.cyclic_repetition import CyclicRepetition
from flowml.codes.directional_derivative import DirectionalDerivativeCode
from flowml.codes.fractional_repetition import FractionalRepetition
from flowml.codes.ignore_slowest import IgnoreSlowest
from flowml.codes.lent_parts import LentParts
from flowml.codes.moved_shares import MovedShares
from flowml.codes.peeling import Peeling
from flowml.codes.stochastic_gradient import StochasticGradientCoding
from flowml.codes.uncoded import Uncoded

PARTS: list[tuple[Any, int]] = [
    (Uncoded(1, 1), 0),
    (Uncoded(3, 7), 0),
    (FractionalRepetition(4, 4, s=1), 1),
    (FractionalRepetition(6, 5, s=1), 1),
    (FractionalRepetition(6, 6, s=2), 2),
    (FractionalRepetition(8, 2, s=3), 3),
]
CYCLIC: list[tuple[Any, int]] = [
    (CyclicRepetition(n, s), s) for s in (1, 2) for n in range(s + 1, 9)
]
BLOCKS: list[tuple[Any, int]] = [
    (DirectionalDerivativeCode(2, 4, 9, weight=1), 1),
    (DirectionalDerivativeCode(4, 12, 12, weight=3), 1),
    (DirectionalDerivativeCode(5, 7, 11, weight=2), 1),
    (DirectionalDerivativeCode(8, 32, 50, weight=4), 1),
    (DirectionalDerivativeCode(8, 16, 16, weight=2, s=2), 2),
    (DirectionalDerivativeCode(7, 14, 15, weight=2, s=2, seed=3), 2),
    (DirectionalDerivativeCode(7, 7, 7, weight=1, s=3), 3),
]
APPROXIMATE: list[tuple[Any, int]] = [
    (IgnoreSlowest(5, 7, k=2), 2),
    (StochasticGradientCoding(6, 12, d=2, k=2), 2),
    (StochasticGradientCoding(6, 12, d=2, k=2, p=1 / 3), 2),
]
HELPED: list[tuple[Any, int]] = [
    (BackupTasks(4, 9), 0),
    (MovedShares(4, 16, (1.0, 1.0, 8.0, 1.0)), 0),
    (LentParts(4, (1, 2, 1, 1, 2, 2, 3)), 0),
]
ALL = PARTS + CYCLIC + BLOCKS + APPROXIMATE + HELPED


def named(value: Any) -> str:
    return repr(value) if hasattr(value, "assignment") else str(value)


def subsets(n: int) -> Iterator[tuple[int, ...]]:
    """Yield every set of workers that answer."""
    return chain.from_iterable(combinations(range(n), size) for size in range(n + 1))


def summaries_of(code: Any) -> Any:
    """Return a vector for each part, of very different sizes."""
    random = np.random.default_rng(0)
    scales = np.exp(random.uniform(-3.0, 3.0, (code.n_parts, 1)))
    return scales * random.standard_normal((code.n_parts, getattr(code, "width", 3)))


def payloads(code: Any) -> list[Any]:
    who = code.assignment()
    return [who.payload(worker, summaries_of(code)) for worker in range(code.n_workers)]


def decoder_after(code: Any, workers: Any, answers: list[Any] | None = None) -> Any:
    answers = payloads(code) if answers is None else answers
    decoder = code.decoder()
    for worker in workers:
        decoder.add(worker, answers[worker])
    return decoder


def truth(code: Any) -> Any:
    """Return what an exact code should come to."""
    parts = summaries_of(code)
    if isinstance(code, DirectionalDerivativeCode):
        sizes = [code.coordinates(block) for block in range(code.n_blocks)]
        return np.concatenate([parts[b, : s.stop - s.start] for b, s in enumerate(sizes)])
    return parts.sum(axis=0)


def total(decoded: Any) -> Any:
    return sum(decoded.sum.values()) if isinstance(decoded.sum, dict) else decoded.sum


def assert_close(found: Any, expected: Any, tolerance: float = 1e-10) -> None:
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize(("code", "spare"), PARTS + CYCLIC + BLOCKS + HELPED, ids=named)
def test_every_pattern_of_workers_that_do_not_answer(code: Any, spare: int):
    answers, expected = payloads(code), truth(code)
    for answering in subsets(code.n_workers):
        decoder = decoder_after(code, answering, answers)
        if len(answering) >= code.n_workers - spare:
            assert decoder.done
        if decoder.done:
            decoded = decoder.finish()
            assert_close(total(decoded), expected)
            assert decoded.error_bound == 0.0
        elif not isinstance(code, DirectionalDerivativeCode):
            with pytest.raises(TooFewAnswersError):
                decoder.finish()


@pytest.mark.parametrize("code", [BackupTasks(2, 2), BackupTasks(4, 9), BackupTasks(5, 40)])
def test_backups_stand_in_for_any_worker(code: BackupTasks):
    who, parts = code.assignment(), summaries_of(code)
    for lost in range(code.n_workers):
        decoder = decoder_after(code, [w for w in range(code.n_workers) if w != lost])
        assert not decoder.done
        for worker, backups in enumerate(who.backups):
            for part in set(backups) & set(who.parts[lost]):
                assert worker != lost
                assert decoder.add(worker, {part: parts[part]})
        assert decoder.done
        assert list(decoder.finish().sum) == list(range(code.n_parts))


def test_the_parts_of_a_worker_have_different_backups():
    who = BackupTasks(5, 20).assignment()
    for own in who.parts:
        assert sorted(len(set(own) & set(backups)) for backups in who.backups) == [0, 1, 1, 1, 1]


@pytest.mark.parametrize(("code", "spare"), PARTS, ids=named)
def test_codes_that_do_not_add_hand_back_the_very_summaries(code: Any, spare: int):
    parts = [np.float64(part) for part in range(code.n_parts)]
    who, decoder = code.assignment(), code.decoder()
    for worker in reversed(range(code.n_workers)):
        decoder.add(worker, who.payload(worker, parts))
    assert list(decoder.finish().sum.items()) == list(enumerate(parts))
    assert not who.linear


@pytest.mark.parametrize("code", [CyclicRepetition(5, 2), BLOCKS[2][0]], ids=named)
def test_any_order_of_arrival(code: Any):
    answers, expected = payloads(code), truth(code)
    for order in permutations(range(code.n_workers)):
        assert_close(decoder_after(code, order, answers).finish().sum, expected)


@pytest.mark.parametrize(("code", "spare"), ALL, ids=named)
def test_assignments_hold_what_they_say(code: Any, spare: int):
    who = code.assignment()
    assert set(chain.from_iterable(who.parts)) == set(range(code.n_parts))
    if who.linear:
        for parts, pieces in zip(who.parts, who.pieces, strict=True):
            assert set(parts) == set(np.flatnonzero(who.coefficients[list(pieces)].any(axis=0)))
    work = max(map(len, who.pieces if isinstance(code, DirectionalDerivativeCode) else who.parts))
    assert code.load == pytest.approx(work * code.n_workers / code.n_parts)
    assert code.name


@pytest.mark.parametrize(("code", "spare"), ALL, ids=named)
def test_waits_are_those_of_the_decoder(code: Any, spare: int):
    times = np.random.default_rng(1).exponential(size=(20, code.n_workers))
    waits, answers = code.wait(times), payloads(code)
    for row, wait in zip(times, waits, strict=True):
        decoder = code.decoder()
        for worker in np.argsort(row):
            decoder.add(int(worker), answers[worker])
            if decoder.done:
                break
        if isinstance(code, DirectionalDerivativeCode | BackupTasks):
            assert wait >= row[worker] or (isinstance(code, BackupTasks) and wait <= row.max())
        else:
            assert wait == row[worker]


@pytest.mark.parametrize(("code", "spare"), ALL, ids=named)
def test_the_second_of_two_equal_answers_and_late_ones_are_ignored(code: Any, spare: int):
    answers, once = payloads(code), decoder_after(code, range(code.n_workers)).finish()
    decoder = code.decoder()
    for worker, answer in enumerate(answers):
        first_of_group = not isinstance(code, FractionalRepetition) or worker % (code.s + 1) == 0
        assert decoder.add(worker, answer) == first_of_group
        assert not decoder.add(worker, answer)
    again = decoder.finish()
    np.testing.assert_array_equal(total(once), total(again))
    assert again.error_bound == once.error_bound
    wrong = np.full(3, 1e9)
    late = dict.fromkeys(answers[0], wrong) if isinstance(answers[0], dict) else wrong
    assert not decoder.add(0, late)
    np.testing.assert_array_equal(total(decoder.finish()), total(once))


@pytest.mark.parametrize(("code", "spare"), ALL, ids=named)
def test_what_is_not_finite_is_refused_and_may_be_sent_again(code: Any, spare: int):
    answers, decoder, last = payloads(code), code.decoder(), code.n_workers - 1
    for bad in (np.nan, np.inf, -np.inf):
        parts = np.full((code.n_parts, getattr(code, "width", 3)), bad)
        with pytest.raises(NotFiniteError, match=rf"worker {last}'s answer .* NaN or infinity"):
            decoder.add(last, code.assignment().payload(last, parts))
    for worker in reversed(range(code.n_workers)):
        decoder.add(worker, answers[worker])
    expected = decoder_after(code, reversed(range(code.n_workers)), answers).finish()
    np.testing.assert_array_equal(total(decoder.finish()), total(expected))


def test_summaries_in_which_infinity_means_something():
    decoder = Uncoded(1, 1).decoder(finite=lambda summaries: True)
    assert decoder.add(0, {0: np.inf})
    assert decoder.finish().sum == {0: np.inf}


def test_answers_from_nowhere_are_refused():
    for code, _ in ALL:
        for worker in (-1, code.n_workers):
            with pytest.raises(ValueError, match=rf"worker {worker} isn't one of"):
                code.decoder().add(worker, payloads(code)[0])


def test_answers_that_cannot_be_this_workers_are_refused():
    with pytest.raises(ValueError, match="worker 0 sent part 3, which it doesn't hold"):
        Uncoded(2, 4).decoder().add(0, {0: 1.0, 3: 1.0})
    blocks = BLOCKS[1][0]
    foreign = blocks.pieces[1][0]
    with pytest.raises(ValueError, match=f"worker 0 sent piece {foreign}, which isn't its own"):
        blocks.decoder().add(0, {foreign: np.ones(blocks.width)})
    decoder = CyclicRepetition(3, 1).decoder()
    decoder.add(0, np.ones(4))
    with pytest.raises(ValueError, match=r"worker 1 sent .* \(3,\), not a vector of length 4"):
        decoder.add(1, np.ones(3))
    with pytest.raises(ValueError, match=r"worker 1 sent .* \(2, 2\)"):
        decoder.add(1, np.ones((2, 2)))


def test_arguments_are_left_alone():
    for code, _ in CYCLIC + BLOCKS + APPROXIMATE:
        answers = payloads(code)
        before = [np.array(list(a.values()) if isinstance(a, dict) else a) for a in answers]
        decoder_after(code, range(code.n_workers), answers).finish()
        for answer, old in zip(answers, before, strict=True):
            new = np.array(list(answer.values()) if isinstance(answer, dict) else answer)
            np.testing.assert_array_equal(new, old)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Uncoded(0, 1), "a worker at least"),
        (lambda: Uncoded(3, 2), "too few for 3 workers"),
        (lambda: BackupTasks(1, 4), "second worker"),
        (lambda: BackupTasks(2, 4, patience=0.5), "use 1 or more"),
        (lambda: FractionalRepetition(5, 5, s=1), r"groups of s \+ 1 = 2"),
        (lambda: CyclicRepetition(2, s=2), "0 to 1 can be slow"),
        (lambda: CyclicRepetition(8, s=3), "lose too many digits"),
        (lambda: IgnoreSlowest(3, 3, k=3), "0 to 2 can be slow"),
        (lambda: IgnoreSlowest(3, 3, weights=(1.0, 2.0)), "one for each part; got 2"),
        (lambda: IgnoreSlowest(2, 2, weights=(1.0, -2.0)), "the least -2.0"),
        (lambda: StochasticGradientCoding(3, 3, d=4), "can't hold d=4"),
        (lambda: StochasticGradientCoding(3, 3, p=1.0), "probability below 1"),
        (lambda: DirectionalDerivativeCode(4, 12, 8), "feature for each block"),
        (lambda: DirectionalDerivativeCode(4, 12, 12, weight=4), "need 5 workers at least"),
        (lambda: DirectionalDerivativeCode(5, 10, 10, weight=2, s=2).generator, "none|no parities"),
    ],
)
def test_codes_that_cannot_be(make: Any, says: str):
    with pytest.raises(ValueError, match=says):
        make()


# Cyclic repetition: conditioning.


@pytest.mark.parametrize("n", [*range(2, 20), 31, 32, 64])
def test_cyclic_repetition_amplifies_rounding_no_more_than_it_says(n: int):
    assert CyclicRepetition(n, 1).amplification() <= (1.0 if n % 2 == 0 else 2.0) + 1e-9
    if n > 2:
        bound = 0.5 + (0.8 if n % 2 == 0 else 0.4) * n
        assert CyclicRepetition(n, 2).amplification() <= bound


def test_random_matrices_amplify_more():
    """The matrices of the paper, drawn at random, against ours."""
    code, random, found = CyclicRepetition(8, 2), np.random.default_rng(0), []
    for _ in range(21):
        checks = random.standard_normal((2, 8))
        checks[:, -1] = -checks[:, :-1].sum(axis=1)
        drawn = CyclicRepetition(8, 2)
        matrix = np.zeros((8, 8))
        for worker in range(8):
            own = (worker + np.arange(3)) % 8
            rest = -np.linalg.solve(checks[:, own[1:]], checks[:, own[0]])
            matrix[worker, own] = np.append(1.0, rest) / max(1.0, np.abs(rest).max())
        drawn.__dict__["matrix"] = matrix
        found.append(drawn.amplification())
    assert np.median(found) > 10.0 * code.amplification()


@pytest.mark.parametrize("s", [1, 2])
def test_cyclic_repetition_of_many_workers(s: int):
    code, random = CyclicRepetition(100, s), np.random.default_rng(s)
    answers, expected = payloads(code), truth(code)
    for _ in range(20):
        answering = random.permutation(100)[s:].tolist()
        assert_close(decoder_after(code, answering, answers).finish().sum, expected)


# Approximate codes: published errors.


@pytest.mark.parametrize(("n", "k"), [(5, 2), (6, 1), (7, 4)])
def test_ignoring_the_slowest_errs_as_a_sample_does(n: int, k: int):
    """All samples, so that expectations are exact."""
    code = IgnoreSlowest(n, n, k)
    parts, answers = summaries_of(code), payloads(code)
    found = [decoder_after(code, rest, answers).finish() for rest in combinations(range(n), n - k)]
    errors = np.array([decoded.sum for decoded in found]) - truth(code)
    assert_close(errors.mean(axis=0) + 1.0, np.ones(3))
    variance = np.square(parts - parts.mean(axis=0)).sum() / (n - 1)
    expected = n * k / (n - k) * variance
    assert np.square(errors).sum(axis=1).mean() == pytest.approx(expected)
    assert np.mean([decoded.error_bound**2 for decoded in found]) == pytest.approx(expected)


def test_ignoring_the_slowest_scales_by_the_weights_of_rows():
    weights = np.array([1.0, 5.0, 2.0, 4.0])
    code = IgnoreSlowest(4, 4, k=2, weights=tuple(weights))
    per_row = np.array([2.0, -3.0])
    for rest in combinations(range(4), 2):
        decoder = code.decoder()
        for worker in rest:
            decoder.add(worker, weights[worker] * per_row)
        decoded = decoder.finish()
        assert_close(decoded.sum, weights.sum() * per_row)
        assert decoded.error_bound == pytest.approx(0.0, abs=1e-12)


def test_one_answer_gives_an_estimate_but_no_error_and_none_gives_nothing():
    code = IgnoreSlowest(3, 3, k=1)
    decoded = decoder_after(code, [1]).finish()
    assert_close(decoded.sum, 3.0 * summaries_of(code)[1])
    assert decoded.error_bound == np.inf
    for approximate, _ in APPROXIMATE:
        with pytest.raises(TooFewAnswersError):
            approximate.decoder().finish()


def thinned(code: Any, parts: Any, n_trials: int) -> list[Any]:
    """Return what passes come to when each worker fails to answer with probability p."""
    random, who = np.random.default_rng([2, code.seed]), code.assignment()
    answers = [who.payload(worker, parts) for worker in range(code.n_workers)]
    answering = random.random((n_trials, code.n_workers)) >= code.p
    return [
        decoder_after(code, np.flatnonzero(row).tolist(), answers).finish() for row in answering
    ]


@pytest.mark.parametrize(("d", "p"), [(1, 0.1), (2, 0.1), (2, 0.3), (4, 0.3)])
def test_stochastic_gradient_coding_errs_as_published(d: int, p: float):
    """Over assignments and over who answers."""
    n, n_codes, n_trials = 12, 40, 100
    parts = np.random.default_rng(0).standard_normal((600, 3)) + 2.0
    gradient, found, exactly = parts.sum(axis=0), [], []
    for seed in range(n_codes):
        code: Any = StochasticGradientCoding(n, 600, d, p=p, seed=seed)
        found += thinned(code, parts, n_trials)
        coded = code.assignment().coefficients @ parts
        exactly.append(p / (1 - p) * np.square(coded).sum())
    published = (1 / d - 1 / n) * np.square(parts).sum() + np.square(gradient).sum() / n
    published *= p / (1 - p)
    assert np.mean(exactly) == pytest.approx(published, rel=0.02)
    errors = np.array([decoded.sum for decoded in found]) - gradient
    assert np.linalg.norm(errors.mean(axis=0)) < 4.0 * np.sqrt(published / len(found))
    bounds = np.array([decoded.error_bound**2 for decoded in found])
    for squared in (np.square(errors).sum(axis=1), bounds):
        noise = squared.std() / np.sqrt(len(found))
        assert abs(squared.mean() - np.mean(exactly)) < 4.0 * noise
        assert noise < 0.05 * published


def test_stochastic_gradient_coding_without_a_probability():
    """All samples of a given size: unbiased, exact where all answer, and better with copies."""
    errors = {}
    for d in (1, 3):
        code = StochasticGradientCoding(6, 12, d, k=2)
        parts, who = summaries_of(code), code.assignment()
        answers = [who.payload(worker, parts) for worker in range(6)]
        samples = [
            decoder_after(code, four, answers).finish() for four in combinations(range(6), 4)
        ]
        found = np.array([decoded.sum for decoded in samples])
        assert_close(found.mean(axis=0), truth(code))
        errors[d] = np.square(found - truth(code)).sum(axis=1).mean()
        bounds = [decoded.error_bound**2 for decoded in samples]
        assert np.mean(bounds) == pytest.approx(errors[d])
        assert_close(decoder_after(code, range(6), answers).finish().sum, truth(code))
    assert errors[3] < errors[1] / 2.0


def test_stochastic_gradient_coding_spreads_parts_evenly_and_nearly_pair_wise_balanced():
    overlaps = []
    for seed in range(20):
        code: Any = StochasticGradientCoding(8, 40, d=3, seed=seed)
        held = code.assignment().coefficients > 0.0
        assert set(held.sum(axis=0)) == {3}
        assert set(held.sum(axis=1)) == {15}
        shared = held.T.astype(int) @ held
        overlaps.append(shared[np.triu_indices(40, 1)].mean())
    np.testing.assert_allclose(overlaps, 3 * (3 * 40 / 8 - 1) / 39)
    assert len({StochasticGradientCoding(8, 40, seed=s).assignment().parts for s in range(5)}) == 5


# Peeling and directional derivatives.


def determined(generator: Any) -> set[int]:
    """Return the unknowns that elimination can tell: those with no part in the null space."""
    if not generator.shape[1]:
        return set()
    _, singular, right = np.linalg.svd(generator.T)
    null = right[np.count_nonzero(singular > 1e-9) :]
    return set(np.flatnonzero((np.abs(null) < 1e-9).all(axis=0)).tolist())


def closure(generator: Any) -> set[int]:
    """Return the unknowns that substitution can tell, by looking again until nothing changes."""
    known: set[int] = set()
    supports = [set(np.flatnonzero(column).tolist()) for column in generator.T]
    while single := {
        block for some in supports for block in some - known if len(some - known) == 1
    }:
        known |= single
    return known


@pytest.mark.parametrize("seed", range(60))
def test_peeling_against_elimination_on_random_codes(seed: int):
    random = np.random.default_rng(seed)
    k, n = int(random.integers(1, 12)), int(random.integers(1, 20))
    generator = random.standard_normal((k, n)) * (random.random((k, n)) < 2.0 / k)
    blocks = random.standard_normal((k, 3))
    values, order = generator.T @ blocks, random.permutation(n)[: random.integers(0, n + 1)]
    peeling, freed = Peeling(generator), []
    for piece in order.tolist():
        freed += peeling.add(piece, values[piece])
        assert set(freed) == closure(generator[:, order[: order.tolist().index(piece) + 1]])
    assert len(freed) == len(set(freed)) == len(peeling.known)
    assert set(freed) <= determined(generator[:, order])
    if freed:
        solved = np.linalg.lstsq(generator[:, order].T, values[order])[0]
        for block, value in peeling.known.items():
            np.testing.assert_allclose(value, solved[block], atol=1e-8, rtol=1e-8)


def test_peeling_stops_where_elimination_would_go_on():
    generator = np.array([[1.0, 1.0], [1.0, -1.0]])
    peeling = Peeling(generator)
    assert peeling.add(0, np.array([3.0])) == peeling.add(1, np.array([1.0])) == []
    assert determined(generator) == {0, 1}


@pytest.mark.parametrize(("code", "spare"), BLOCKS, ids=named)
def test_blocks_are_freed_as_they_come(code: DirectionalDerivativeCode, spare: int):
    answers, expected = payloads(code), truth(code)
    pieces = [(w, piece) for w, answer in enumerate(answers) for piece in answer]
    gradient, decoder = np.zeros(code.n_features), code.decoder()
    for number in np.random.default_rng(4).permutation(len(pieces)):
        worker, piece = pieces[number]
        decoder.add(worker, {piece: answers[worker][piece]})
        for block, value in decoder.freed.items():
            assert not gradient[code.coordinates(block)].any()
            gradient[code.coordinates(block)] = value
        if decoder.done:
            break
    assert_close(gradient, expected)
    np.testing.assert_array_equal(gradient, decoder.finish().sum)


@pytest.mark.parametrize("code", [BLOCKS[0][0], BLOCKS[2][0]], ids=named)
def test_every_pattern_of_pieces_that_do_not_come(code: DirectionalDerivativeCode):
    """What is freed is right, and what peeling tells; a worker that is lost half-way counts."""
    answers, expected = payloads(code), truth(code)
    pieces = [(worker, piece) for worker, answer in enumerate(answers) for piece in answer]
    for some in subsets(len(pieces)):
        decoder = code.decoder()
        for worker, piece in (pieces[number] for number in some):
            decoder.add(worker, {piece: answers[worker][piece]})
        free = closure(code.generator[:, [pieces[number][1] for number in some]])
        known = np.zeros(code.n_features, dtype=bool)
        for block in free:
            known[code.coordinates(block)] = True
        assert decoder.done == (len(free) == code.n_blocks)
        assert_close(decoder.finish().sum, np.where(known, expected, 0.0))


@pytest.mark.parametrize(("code", "spare"), BLOCKS, ids=named)
def test_stopping_early_loses_only_blocks_that_are_not_free(
    code: DirectionalDerivativeCode, spare: int
):
    expected, some = truth(code), payloads(code)[1]
    assert code.decoder().finish().error_bound == np.inf
    decoder, free = code.decoder(), np.zeros(code.n_features, dtype=bool)
    piece = next(iter(some))
    decoder.add(1, {piece: some[piece]})
    decoded = decoder.finish()
    assert list(decoder.freed) == [piece]
    free[code.coordinates(piece)] = True
    assert_close(decoded.sum, np.where(free, expected, 0.0))
    assert 0.0 < decoded.error_bound < np.inf


@pytest.mark.parametrize(("code", "spare"), BLOCKS, ids=named)
def test_parities_are_light_regular_and_say_different_things(
    code: DirectionalDerivativeCode, spare: int
):
    np.testing.assert_array_equal(code.generator[:, : code.n_blocks], np.eye(code.n_blocks))
    used = code.generator[:, code.n_blocks :] != 0.0
    assert set(used.sum(axis=1)) == {code.s}
    assert set(used.sum(axis=0)) <= {code.weight, code.weight - 1}
    assert set(np.unique(code.generator)) <= {-1.0, 0.0, 1.0}
    columns = code.generator / np.linalg.norm(code.generator, axis=0)
    coherence = np.abs(columns.T @ columns - np.eye(columns.shape[1])).max()
    assert coherence <= 1.0 / np.sqrt(used.sum(axis=0).min()) + 1e-12


@pytest.mark.parametrize("n_workers", [8, 16, 64])
def test_a_worker_does_little_more_than_without_a_code(n_workers: int):
    code = DirectionalDerivativeCode(n_workers, 4 * n_workers, 4 * n_workers, weight=4)
    assert code.load == pytest.approx(1.25)


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array, sparse.csr_matrix])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_coded_columns_give_the_gradient(kind: Any, dtype: Any):
    random = np.random.default_rng(5)
    X = (random.standard_normal((30, 11)) * (random.random((30, 11)) < 0.5)).astype(dtype)
    residual, code = random.standard_normal(30), DirectionalDerivativeCode(5, 7, 11, weight=2)
    for lost in range(5):
        decoder = code.decoder()
        for worker in set(range(5)) - {lost}:
            encoded = code.encode(kind(X), worker)
            assert encoded.dtype == dtype
            assert encoded.shape == (30, len(code.pieces[worker]) * code.width)
            assert sparse.issparse(encoded) == (kind is not np.asarray)
            decoder.add(worker, code.derivatives(encoded, residual, worker))
        tolerance = 1e-10 if dtype == np.float64 else 1e-5
        assert_close(decoder.finish().sum, X.T.astype(float) @ residual, tolerance)


def of_blocks(code: DirectionalDerivativeCode, blocks: Any) -> Any:
    """Return which coordinates belong to some blocks."""
    mask = np.zeros(code.n_features, dtype=bool)
    for block in np.flatnonzero(blocks):
        mask[code.coordinates(block)] = True
    return mask


@pytest.mark.parametrize(("code", "spare"), BLOCKS, ids=named)
def test_coefficients_of_free_blocks_can_be_moved_to_any_pieces(
    code: DirectionalDerivativeCode, spare: int
):
    random = np.random.default_rng(8)
    X, coef = (
        random.standard_normal((9, code.n_features)),
        random.standard_normal((2, code.n_features)),
    )
    encoded = [code.encode(X, worker) for worker in range(code.n_workers)]
    for answering in subsets(code.n_workers):
        absent = frozenset(range(code.n_workers)) - set(answering)
        used = [piece for worker in answering for piece in code.pieces[worker]]
        free = np.isin(np.arange(code.n_blocks), list(closure(code.generator[:, used])))
        assert code.frees(absent, free)
        assert free.all() or not code.frees(absent, np.ones(code.n_blocks, dtype=bool))
        moved = np.where(of_blocks(code, free), coef, 0.0)
        np.testing.assert_array_equal(code.blocks_of(moved.any(axis=0)), free)
        spread, eta = code.spread(moved, code.solution(absent)), np.zeros((9, 2))
        for worker in answering:
            eta += encoded[worker] @ spread[list(code.pieces[worker])].reshape(-1, 2)
        assert_close(eta, X @ moved.T)


def test_several_gradients_are_decoded_at_once():
    code, random = BLOCKS[2][0], np.random.default_rng(9)
    X, residuals = random.standard_normal((30, 11)), random.standard_normal((30, 3))
    decoder = code.decoder(n_outputs=3)
    for worker in range(1, 5):
        products = (code.encode(X, worker).T @ residuals).reshape(-1, 3 * code.width)
        decoder.add(worker, dict(zip(code.pieces[worker], products, strict=True)))
    assert_close(decoder.finish().sum.reshape(11, 3), X.T @ residuals)


def test_rows_are_encoded_block_by_block():
    code, X = BLOCKS[3][0], np.random.default_rng(6).standard_normal((20, 50))
    whole = code.encode(X, 2)
    np.testing.assert_array_equal(np.vstack([code.encode(X[:7], 2), code.encode(X[7:], 2)]), whole)


def test_descent_with_blocks_as_they_are_freed():
    """A worker is lost in each pass and the last ones aren't waited for: it still converges."""
    random = np.random.default_rng(7)
    X = random.standard_normal((200, 16))
    y = X @ random.standard_normal(16)
    code, solution = DirectionalDerivativeCode(4, 12, 16, weight=3), np.linalg.lstsq(X, y)[0]
    encoded = [code.encode(X, worker) for worker in range(4)]
    coefficients, step = np.zeros(16), 1.0 / np.linalg.norm(X, 2) ** 2
    for _ in range(300):
        decoder, residual = code.decoder(), X @ coefficients - y
        for worker in random.permutation(4)[:2].tolist():
            decoder.add(worker, code.derivatives(encoded[worker], residual, worker))
            for block, value in decoder.freed.items():
                coefficients[code.coordinates(block)] -= step * value
    np.testing.assert_allclose(coefficients, solution, atol=1e-8)
