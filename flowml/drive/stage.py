"""The stage: what a plan needs to know of one solver before a fit."""

from dataclasses import dataclass

from flowml.kernels.fold import Ask, Fold


@dataclass(frozen=True)
class Stage:
    """One solver's share of a fit, described before it runs.

    Parameters
    ----------
    name : str
        As it is passed to `Training.solve`.
    fold : Fold
    ask : Ask
        One of the shapes that the solver will ask with; its values don't matter.
    max_passes : int
    workspace : int
        Bytes that one thread needs beside its rows: slices, distances, a summary or two.
    memory_per_row : int
        Bytes that the fold keeps beside each row between passes.
    only_if : str
        What the data must turn out to be for this stage to run; empty where it always runs.
    note : str
        How it is done and why, for people.
    shared_columns : int
        Columns that several servers can share out a state's arrays by; 0 where one has it all.
    shared_bytes : int
        Of these arrays.
    """

    name: str
    fold: Fold
    ask: Ask
    max_passes: int
    workspace: int
    memory_per_row: int = 0
    only_if: str = ""
    note: str = ""
    shared_columns: int = 0
    shared_bytes: int = 0
