"""Passes that don't wait for stragglers: shares overlap by a code, and what came is decoded."""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from distributed import Client

from flowml.codes.code import NotFiniteError
from flowml.config import Config
from flowml.data.dataset import Dataset
from flowml.kernels.fold import Ask, Fold, Summary
from flowml.kernels.linear_loss import LOSS_GRADIENT, Point
from flowml.kernels.several import Asks, Summaries, members_of
from flowml.pool import Pool
from flowml.runtimes.blas import one_blas_thread
from flowml.runtimes.cluster.workers import cluster_workers, place_on_cluster
from flowml.runtimes.coded.coded_pass import Came, UndecodableError
from flowml.runtimes.coded.columns import CodedColumns, code_for
from flowml.runtimes.coded.stragglers import AUTO, DIRECTIONAL, ESTIMATES, LINEAR, Handling
from flowml.runtimes.coded.table import Table, has_room_for_copies
from flowml.runtimes.elastic.leaving import Watch
from flowml.runtimes.elastic.lookout import in_words
from flowml.runtimes.gangs.gang import LOST
from flowml.runtimes.placement import Placement, Worker
from flowml.runtimes.runtime import Advance, NonFiniteError, Turn
from flowml.solvers.one_pass import OnePass
from flowml.solvers.solver import Solver, State

RESTARTS = 3
"""Times in a row that all workers may be lost in one pass, before it gives up."""


class CodedRuntime:
    """Parts held by members of a gang, some of them twice; a pass ends when it can be decoded.

    Parameters
    ----------
    dataset : Dataset
    placement : Placement
    client : distributed.Client
    pool : Pool or None
        Where gangs come from, and go to.
    handling : Handling
        What is done about stragglers.
    """

    def __init__(
        self,
        dataset: Dataset,
        placement: Placement,
        client: Client,
        pool: Pool | None,
        handling: Handling,
    ) -> None:
        self.dataset, self.placement = dataset, placement
        self._client, self._pool, self._handling = client, pool, handling
        self._table: Table | None = None
        self._columns: CodedColumns | None = None
        self._watch = Watch(client, dataset)
        self._there: set[Worker] = set()
        self._news: list[str] = []
        self.seconds_decoding = 0.0
        self.seconds_in_passes = 0.0

    def one_pass(self, fold: Fold, ask: Ask) -> Summary:
        """Summarise all rows once, exactly."""
        solver = OnePass(fold, ask)
        state = solver.init()
        for advance in self.iterate(solver, state):
            state = advance.state
        return state.summary

    def iterate(self, solver: Solver, state: State) -> Iterator[Advance]:
        """Run the loop here.

        Raises
        ------
        ValueError
            If the solver can't work with what this way of handling stragglers gives.
        """
        linear, by_columns = self._is_linear(solver), self._is_by_columns(solver)
        takes_missing = getattr(solver, "takes_missing", never)
        while not solver.done(state):
            started = time.perf_counter()
            self._look()
            if by_columns:
                gaps = takes_missing(state)
                came = self._pass_by_columns(solver.fold, solver.ask(state), gaps)
            else:
                came = self._pass(solver.fold, solver.ask(state), linear)
            if not solver.fold.finite(came.summary):
                raise NonFiniteError(solver.fold.takes_nan)
            with one_blas_thread():
                state = solver.step(state, came.summary)
            seconds = time.perf_counter() - started
            self.seconds_decoding += came.decoding
            self.seconds_in_passes += seconds
            progress = solver.progress(state)
            turn = Turn(progress, seconds, came.spans, came.error_bound, came.missing)
            news, self._news = tuple(self._news), []
            yield Advance(state, (turn,), news)

    def close(self) -> None:
        """Let the members and the workers drop the rows."""
        table, self._table = self._table, None
        if table is not None:
            table.clear(self._pool)
        columns, self._columns = self._columns, None
        if columns is not None:
            columns.clear(self._pool)
        with suppress(*LOST):
            self._watch.see_off()

    def _look(self) -> None:
        """Have workers that came take part, and those leave that were asked to."""
        group = self._table or self._columns
        if group is None:
            return
        with suppress(*LOST):  # the passes notice who is gone
            staying = self._watch.staying(group.workers) or group.workers
            news, self._there = set(staying) - self._there, self._there | set(staying)
            if news or not set(group.workers) <= set(staying):
                self._regroup(group, staying, len(news))
            if self._table is None or self._table.is_settled:
                self._watch.see_off()

    def _regroup(self, group: Table | CodedColumns, staying: Sequence[Worker], n_news: int) -> None:
        """Go on with other workers: with the rows that move, or all of them brought anew."""
        if isinstance(group, Table) and group.has_seats_for(n_news):
            self._news += group.regroup(staying)
        elif n_news and group.could_seat(len(staying)):
            n_leaves = len(self.placement.leaves)
            self._news += in_words(group.workers, staying, n_leaves, n_leaves)
            self.close()
        else:
            group.part_with([worker for worker in group.workers if worker not in staying])

    def _is_linear(self, solver: Solver) -> bool:
        """Tell whether the parts' summaries are added up as vectors, for this solver."""
        straggler, name = self._handling.straggler, type(solver).__name__
        if straggler not in LINEAR:
            return False
        if straggler in ESTIMATES and not getattr(solver, "takes_estimates", False):
            if solver.max_passes == 1:
                return False
            raise ValueError(
                f"straggler={straggler!r} gives estimates of the sums over the rows, and the "
                f"solver {name} needs the sums: use one that steps by estimates (SGDClassifier, "
                'SGDRegressor), or straggler="backup" or "fractional", whose sums are exact'
            )
        if not solver.fold.additive:
            if solver.max_passes == 1:
                return False
            raise ValueError(
                f"straggler={straggler!r} adds summaries up as vectors, which isn't how those of "
                f'the solver {name} merge: use straggler="backup" or "fractional"'
            )
        return True

    def _is_by_columns(self, solver: Solver) -> bool:
        """Tell whether this solver's passes go over coded columns."""
        if self._handling.straggler != DIRECTIONAL or solver.max_passes == 1:
            return False
        schema = self.dataset.schema
        kind = "labels" if schema.categorical else "sparse rows" if schema.sparse else ""
        if kind or set(members_of(solver.fold)) != {LOSS_GRADIENT}:
            what = kind or f"the solver {type(solver).__name__}"
            raise ValueError(
                'straggler="directional" codes dense columns for gradients of linear models, which '
                f'is nothing for {what}: use solver="lbfgs" on dense columns, or '
                'straggler="backup" or "fractional", which are for any solver'
            )
        return True

    def _pass_by_columns(self, fold: Fold, ask: Ask, gaps: bool) -> Came:
        """Make a pass of gradients; a fold of several is asked some of its questions."""
        questions = ask.asks if isinstance(ask, Asks) else (ask,)
        for _ in range(RESTARTS):
            try:
                columns = self._columns or self._encode(questions[0])
                one = columns.run(questions, gaps)
            except (*LOST, UndecodableError) as error:
                self._start_over(error)
                continue
            except NotFiniteError as error:  # in a row that has no weight
                raise NonFiniteError(fold.takes_nan) from error
            self._news += columns.learn()
            summary: Summary = one.sums[0]
            if isinstance(ask, Asks):
                members: list[Summary] = [None] * len(members_of(fold))
                for place, sums in zip(ask.live, one.sums, strict=True):
                    members[place] = sums
                summary = Summaries(tuple(members))
            return one.came(summary)
        raise self._lost_too_often()

    def _encode(self, point: Point) -> CodedColumns:
        """Make columns of the rows, and let go of these."""
        table = self._table or self._set()
        code = code_for(table.n_seats, len(point.center), self._handling.tolerated)
        encoded = table.encode(code)
        self.close()
        self._columns = CodedColumns(self._client, encoded, self._pool)
        self._news += self._columns.open()
        return self._columns

    def _pass(self, fold: Fold, ask: Ask, linear: bool) -> Came:
        for _ in range(RESTARTS):
            try:
                table = self._table or self._set()
            except LOST as error:
                self._start_over(error)
                continue
            self._news += table.prepare()
            try:
                came = table.run(fold, ask, linear)
            except UndecodableError as error:
                self._start_over(error)
                continue
            self._news += table.learn(came)
            return came
        raise self._lost_too_often()

    def _lost_too_often(self) -> RuntimeError:
        return RuntimeError(
            f"the cluster lost its workers {RESTARTS} times in one pass: see their logs "
            "(memory_limit is the usual cause)"
        )

    def _start_over(self, error: Exception) -> None:
        self.close()
        self._news.append(f"the pass starts over with the workers that there are ({error})")

    def _set(self) -> Table:
        """Bring the rows to the members."""
        workers = cluster_workers(self._client)
        self._there |= set(workers)
        self._table = table = Table(
            self.dataset, self.placement, self._client, workers, self._pool, self._handling
        )
        self._news += table.open()
        return table


def never(state: State) -> bool:
    """Take no gradient with gaps."""
    return False


def open_coded(dataset: Dataset, client: Client, config: Config) -> CodedRuntime:
    """Decide whether the rows are kept: copies count."""
    keep = True if dataset.collections else config.keep
    placement = place_on_cluster(dataset, client, keep)
    handling = Handling(config.straggler, config.n_stragglers)
    copied = handling.straggler not in (AUTO, "none", "ignore", DIRECTIONAL)
    crowded = copied and not has_room_for_copies(dataset, cluster_workers(client))
    if crowded and dataset.is_lazy and placement.keep and keep is None:
        reason = "copies of the rows don't fit the workers' memory: read again in each pass"
        placement = replace(placement, keep=False, reason=reason)
    return CodedRuntime(dataset, placement, client, config.pool, handling)
