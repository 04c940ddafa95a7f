"""The head of docs/scaling.md: what it comes to, for who reads no further."""

from collections.abc import Mapping, Sequence

from benchmarks.markdown import table
from benchmarks.scaling.future import NOT_EXACT, Point

N_WORKERS = (1, 16, 1_000, 100_000)
SUMMARY_BYTES = 1e5
WHY = {
    "dataflow": "one scheduler handles every task",
    "coded: no code": "one client takes every answer",
    "parameter server": "one server takes every push",
    "allreduce": "every rank hears from every rank",
    "tree": "levels grow with the logarithm",
}
"""What grows, by how a way's name begins."""


def ways(points: Sequence[Point]) -> str:
    """Write how long passes take in every way, on one worker and on far more."""
    some = [point for point in points if point.summary_bytes == SUMMARY_BYTES]
    counts = [n for n in N_WORKERS if n in {point.n_workers for point in some}]
    seconds = {(point.line, point.n_workers): point.seconds for point in some}
    rows = [
        [
            line,
            *(figure(seconds[line, n]) for n in counts),
            next(why for name, why in WHY.items() if line.startswith(name)),
        ]
        for line in dict.fromkeys(point.line for point in some)
    ]
    return table(["", *(workers(n) for n in counts), "what grows"], rows)


def waits(tails: Mapping[str, Sequence[Point]]) -> str:
    """Write what codes are worth where workers are late, on many workers and on far more."""
    rows = []
    for delays, points in tails.items():
        for n in [n for n in N_WORKERS if n in {point.n_workers for point in points}][-2:]:
            by_code = {point.line: point.seconds for point in points if point.n_workers == n}
            (loose,) = [line for line in by_code if NOT_EXACT in line]
            inexact = by_code.pop(loose)
            uncoded, *_ = by_code.values()
            best = min(by_code, key=lambda code: by_code[code])
            cells = [figure(uncoded), f"{figure(by_code[best])} ({best})", figure(inexact)]
            rows.append([delays, f"{n:,}", *cells])
    header = ("delays", "workers", "no code", "the best exact", "without the slowest 1 %")
    return table(header, rows)


def workers(n: int) -> str:
    """Write how many.

    Examples
    --------
    >>> workers(1), workers(1000)
    ('1 worker', '1,000 workers')
    """
    return f"{n:,} worker{'s' * (n > 1)}"


def figure(value: float) -> str:
    """Write a number with three digits.

    Examples
    --------
    >>> figure(0.36345), figure(12.34), figure(31_712.0)
    ('0.363', '12.3', '31,700')
    """
    return f"{float(f'{value:.3g}'):,g}"
