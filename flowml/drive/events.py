"""What happened: handed to callbacks, progress bars and histories; never part of a state."""

from typing import NamedTuple, TypeAlias

from flowml.data.dataset import Dataset
from flowml.runtimes.placement import Placement
from flowml.runtimes.span import Spans


class FitStarted(NamedTuple):
    """The data are placed and the first pass is about to start."""

    estimator: str
    dataset: Dataset
    placement: Placement


class StageStarted(NamedTuple):
    """A solver starts (or goes on from a checkpoint, with `passes` behind it)."""

    stage: str
    max_passes: int
    passes: int


class PassCompleted(NamedTuple):
    """One read of the data is done.

    Attributes
    ----------
    stage : str
        The solver's name within the fit.
    number : int
        Counts the fit's passes from 1.
    objective, change : float
        See `flowml.solvers.solver.Progress`.
    seconds : float
        Wall time of the pass and its step.
    rows, nbytes : int
        Rows summarised and bytes they take in memory; -1 where not known.
    error_bound : float
        With ``runtime="coded"`` 0 where the sums were exact, else the norm of what may be amiss
        in them; NaN on other runtimes.
    missing : int
        Blocks of the gradient that coded columns didn't wait for.
    """

    stage: str
    number: int
    objective: float
    change: float
    seconds: float
    rows: int
    nbytes: int
    error_bound: float = float("nan")
    missing: int = 0


class PassTimed(NamedTuple):
    """Who worked on a pass, and when: what a timeline is drawn of.

    Attributes
    ----------
    number : int
        Of the pass.
    spans : tuple of Span
        Whoever is in none of them waited.
    """

    number: int
    spans: Spans


class CheckpointWritten(NamedTuple):
    """The state is safe on disk."""

    path: str
    number: int


class Incident(NamedTuple):
    """Something befell the cluster, and the fit goes on.

    Attributes
    ----------
    what : str
        What happened and what was done, in words.
    number : int
        Passes that were complete.
    """

    what: str
    number: int


class FitCompleted(NamedTuple):
    """The fit succeeded."""

    estimator: str
    n_passes: int
    seconds: float


class CandidateScored(NamedTuple):
    """A search knows how one of its candidates does.

    Attributes
    ----------
    number, n_candidates : int
        Which one, from 1, of how many.
    parameters : str
    score : float
        Mean over the splits.
    """

    number: int
    n_candidates: int
    parameters: str
    score: float


Event: TypeAlias = (
    FitStarted
    | StageStarted
    | PassCompleted
    | PassTimed
    | CheckpointWritten
    | Incident
    | FitCompleted
    | CandidateScored
)
