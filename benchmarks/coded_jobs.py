"""Jobs of coded passes."""

from dataclasses import asdict

from benchmarks.data import Data
from benchmarks.job import Contender, Job, Measure, Target
from benchmarks.problem import Problem

ROWS = Data("logistic", rows=2_000_000)
WORKERS = {"workers": 8}
PROBLEM = Problem("logistic")
FIT = WORKERS | {"problem": asdict(PROBLEM), "tol": 1e-5}
SLOWED = FIT | {"hogs": 7}
AUTO, UNDISTURBED = "auto", "auto, no straggler"
SHARES = (
    "Each worker has a tenth of a processor to itself, by a control group, so that 8 machines of "
    "the same speed fit on two processors."
)
DECODING = Target(Measure.COUNT, 2.0, (), "% of the pass for decoding")
HOGS = "Seven processes that only count share that of the slow worker."
NO_CODE, BACKUP, DIRECTIONAL = "no code", "backup tasks", "directional derivatives"


def _decoding(straggler: str, code: str) -> Job:
    subject = code
    return Job(
        f"decoding-{straggler}",
        f"A pass of logistic regression, 8 workers, {code}: decoding",
        ROWS,
        (Contender(subject, "straggling:passes", WORKERS | {"straggler": straggler, "hogs": 0}),),
        (DECODING,),
        subject=subject,
        note=SHARES,
    )


def _by_columns(name: str, title: str, hogs: int) -> Job:
    options = WORKERS | {"hogs": hogs}
    ways = {DIRECTIONAL: "directional", NO_CODE: "none", BACKUP: "backup"}
    return Job(
        name,
        f"A pass of logistic regression on wide rows, 8 workers{title}",
        Data("logistic", rows=8_000, columns=2_000),
        tuple(
            Contender(way, "straggling:passes", options | {"straggler": straggler})
            for way, straggler in ways.items()
        ),
        (DECODING,),
        subject=DIRECTIONAL,
        note=f"{SHARES} {HOGS}" if hogs else SHARES,
    )


CODED_JOBS = (
    Job(
        "straggler",
        "LogisticRegression (L-BFGS) to a gap below 1e-6, 8 workers, one 8 times slower",
        ROWS,
        (
            Contender(UNDISTURBED, "straggling:logistic", FIT | {"straggler": "auto", "hogs": 0}),
            Contender(AUTO, "straggling:logistic", SLOWED | {"straggler": "auto"}),
            Contender(NO_CODE, "straggling:logistic", SLOWED | {"straggler": "none"}),
        ),
        (Target(Measure.COST, 1.5, (UNDISTURBED,)),),
        subject=AUTO,
        problem=PROBLEM,
        note=f"{SHARES} {HOGS} The whole "
        "fit is timed, reading the rows included; nothing is known of the workers when it begins.",
    ),
    _decoding("backup", BACKUP),
    _decoding("cyclic", "cyclic repetition"),
    _by_columns("decoding-directional", "", 0),
    _by_columns("straggler-directional", ", one 8 times slower", 7),
)
