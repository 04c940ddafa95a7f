"""The job: what is measured, who takes part, and what is to be reached."""

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from benchmarks.data import Data
from benchmarks.problem import Problem

FLOWML = "flowml"


@dataclass(frozen=True)
class Contender:
    """One library's way of doing a job.

    Parameters
    ----------
    name : str
        As the page shows it.
    prepare : str
        ``module:function`` below `benchmarks.contenders`.
    options : dict
    """

    name: str
    prepare: str
    options: dict[str, Any] = field(default_factory=dict)


class Measure(Enum):
    """How two medians are compared: the better of the peers and flowml."""

    SPEEDUP = "peer's seconds / flowml's, at least"
    COST = "flowml's seconds / peer's, at most"
    DELAY = "flowml's seconds - peer's, at most"
    COUNT = "a number of flowml's own, at most"


@dataclass(frozen=True)
class Target:
    """What is to be reached against the fastest of some peers.

    Parameters
    ----------
    measure : Measure
    limit : float
    peers : tuple of str
        Names of contenders; none for a number of flowml's own.
    fact : str
        What is compared instead of seconds.
    """

    measure: Measure
    limit: float
    peers: tuple[str, ...]
    fact: str = ""


@dataclass(frozen=True)
class Job:
    """One comparison.

    Parameters
    ----------
    name : str
        For the command line.
    title : str
    data : Data
    contenders : tuple of Contender
        In the order in which they are prepared and take turns.
    targets : tuple of Target
    subject : str
        The contender whose targets these are.
    tolerance : float
        The largest difference between results, relative to the largest number of the result.
    fresh : bool
        Whether each turn has a new process.
    note : str
        What a reader has to know to judge the comparison.
    problem : Problem, optional
        What all minimise: each to the same gap, at the loosest tolerance that reaches it.
    """

    name: str
    title: str
    data: Data
    contenders: tuple[Contender, ...]
    targets: tuple[Target, ...]
    subject: str = FLOWML
    tolerance: float = 1e-6
    fresh: bool = False
    note: str = ""
    problem: Problem | None = None

    def with_rows(self, rows: int) -> "Job":
        """Return the job on at most `rows` rows."""
        return replace(self, data=replace(self.data, rows=min(rows, self.data.rows)))


def speedup(limit: float, *peers: str) -> Target:
    return Target(Measure.SPEEDUP, limit, peers)
