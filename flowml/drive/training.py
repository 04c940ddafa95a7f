"""What goes around the loop: states that are saved, events, and errors that name a row."""

from collections.abc import Callable

from flowml.drive.checkpoint import Checkpoint
from flowml.drive.events import (
    Event,
    Incident,
    PassCompleted,
    PassTimed,
    StageStarted,
)
from flowml.drive.records import Records
from flowml.kernels.nonfinite import FIRST_NONFINITE, PARTS, FirstNonFinite
from flowml.runtimes.runtime import Advance, NonFiniteError, Runtime, Turn
from flowml.solvers.solver import RowError, Solver, State


class Training(Records):
    """One fit: drives solvers, one stage after the other, over the shards of one runtime.

    Parameters
    ----------
    runtime : Runtime
    checkpoint : Checkpoint
    emit : callable
        Called with every event.
    """

    def __init__(
        self, runtime: Runtime, checkpoint: Checkpoint, emit: Callable[[Event], None]
    ) -> None:
        super().__init__(checkpoint, emit)
        self.runtime = runtime

    def solve(self, stage: str, solver: Solver) -> State:
        """Run a solver until it is done and return its last state.

        Parameters
        ----------
        stage : str
            Its name within the fit: unique, it finds the state again on resume.
        solver : Solver

        Raises
        ------
        ValueError
            If the rows hold a NaN or infinity that the solver can't take, naming where.
        """
        saved = self._checkpoint.progression.stages.get(stage)
        state, before = (solver.init(), self.n_passes) if saved is None else saved
        self.n_passes = max(self.n_passes, before)
        self._emit(StageStarted(stage, solver.max_passes, self.n_passes))
        try:
            for advance in self.runtime.iterate(solver, state):
                state = advance.state
                self._take(stage, advance, last=solver.done(state))
        except NonFiniteError as error:
            raise ValueError(self._name_nonfinite(not error.takes_nan)) from None
        except RowError as error:
            where = self._name_row(error.block, error.row)
            raise ValueError(f"{error.found} in {where}: {error.needs}") from None
        return state

    def _name_row(self, block: int, row: int) -> str:
        """Name a row counted from the start of a block."""
        dataset = self.runtime.dataset
        block, row = dataset.find_row(block, row)
        return f"{dataset.name_block(block)}, row {row} of the block"

    def _take(self, stage: str, advance: Advance, last: bool) -> None:
        """Note what a runtime tells, save it if it is time, and pass it on."""
        for what in advance.incidents:
            self._emit(Incident(what, self.n_passes))
        completed: list[PassCompleted | PassTimed] = []
        for turn in advance.turns:
            self.n_passes += 1
            done = self._completed(stage, turn)
            completed += [done, PassTimed(self.n_passes, turn.spans)]
            self._checkpoint.note(stage, advance.state, done)
        for event in completed:  # after all are noted: a listener may interrupt
            self._emit(event)
        if completed:
            self.save(force=last)

    def _completed(self, stage: str, turn: Turn) -> PassCompleted:
        dataset, (objective, change) = self.runtime.dataset, turn.progress
        rows, nbytes = (-1 if size is None else size for size in (dataset.n_rows, dataset.nbytes))
        return PassCompleted(
            stage,
            self.n_passes,
            float(objective),
            float(change),
            turn.seconds,
            rows,
            nbytes,
            float(turn.error_bound),
            turn.missing,
        )

    def _name_nonfinite(self, nan_counts: bool) -> str:
        """Say which value isn't finite; costs a pass, which a fit that fails can afford."""
        schema = self.runtime.dataset.schema
        found: FirstNonFinite = self.runtime.one_pass(FIRST_NONFINITE, nan_counts)
        if found.block < 0:
            return "the sums over the rows overflow float64: scale the columns down first"
        what, part = "NaN" if found.is_nan else "infinity", PARTS[found.part]
        where = self._name_row(found.block, found.row)
        names = schema.numeric_names if part == "X" else schema.target_names
        if part == "X" or (part == "y" and schema.n_targets > 1):
            where += f", column {names[found.column] if names else found.column}"
        return f"Input {part} contains {what}: {where}. Drop such rows or fill them in before fit."
