"""Jobs of fits that workers are taken from."""

from benchmarks.data import Data
from benchmarks.job import Contender, Job, Measure, Target

FIT = {"workers": 4, "passes": 60}


def _killed(runtime: str) -> Job:
    options = FIT | {"runtime": runtime}
    undisturbed, killed = "undisturbed", "a worker killed"
    return Job(
        f"killed-{runtime}",
        f"k-means k=20, 60 iterations, 4 workers of which one is killed half-way, {runtime}",
        Data("noise", columns=20),
        (
            Contender(undisturbed, "dying:k_means", options | {"killed": False}),
            Contender(killed, "dying:k_means", options | {"killed": True}),
        ),
        (Target(Measure.COST, 1.35, (undisturbed,)),),
        subject=killed,
        note="The worker is killed for good (SIGKILL) in the midst of the 30th pass; the other "
        "three read its rows again and go on to the same bits. Its time is without that of reading "
        "a quarter of the rows, which is measured before each fit. A short fit comes before that: "
        "the worker that takes the place of the one killed in the turn before has just started.",
    )


FAULT_JOBS = (_killed("dataflow"), _killed("allreduce"))
