"""The plan: what a fit will cost, before it is paid."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from dask.delayed import Delayed

from flowml.data.dataset import Dataset
from flowml.data.no_rows import no_rows
from flowml.drive.stage import Stage
from flowml.runtimes.choose import ALLREDUCE, CODED, DATAFLOW, PARAMETER_SERVER, THREADS, Choice
from flowml.runtimes.cluster.graphs import shard_graph
from flowml.runtimes.dataflow.graphs import count_tasks, pass_graph
from flowml.runtimes.parameter_server.ranges import n_servers
from flowml.runtimes.placement import ShardPlan, Worker
from flowml.runtimes.traffic import (
    Traffic,
    allreduce_traffic,
    dataflow_traffic,
    measure,
    parameter_server_traffic,
)

FIXED_BYTES = 96 << 20
"""Compiled kernels, BLAS buffers, and what allocators hold back: whatever the data."""
STREAMED_COPIES = 4
"""A block read each pass is there as what the reader gives, as its array, and once more while the
next one is on its way."""
LOADED_COPIES = 2
"""While chunks are gathered into shards, both are there."""


@dataclass(frozen=True)
class Plan:
    """What a fit will cost. It has computed nothing, and holds no data but the input itself.

    Parameters
    ----------
    estimator : str
    dataset : Dataset
    stages : tuple of Stage
    choice : Choice

    Attributes
    ----------
    graph : dask.delayed.Delayed
        The lazy Dask graph of one pass.
    """

    estimator: str
    dataset: Dataset
    stages: tuple[Stage, ...]
    choice: Choice

    @property
    def passes(self) -> int:
        """Upper bound of the reads of the data, all stages together."""
        return sum(stage.max_passes for stage in self.stages)

    @property
    def runtime(self) -> str:
        """The runtime: "threads" of this process, or "dataflow"."""
        return self.choice.runtime

    @property
    def n_workers(self) -> int:
        """Number of workers; 1 in this process."""
        return len(self.choice.workers)

    @property
    def n_servers(self) -> int:
        """Workers that share out the columns of the state with a parameter server; else 0."""
        if self.runtime != PARAMETER_SERVER:
            return 0
        stage = max(self.stages, key=lambda stage: stage.shared_bytes)
        return n_servers(stage.shared_bytes, stage.shared_columns, self.n_workers)

    @property
    def keep(self) -> bool:
        """Whether the data are loaded once and kept, or streamed every pass."""
        return self.choice.placement.keep

    @property
    def reason(self) -> str:
        """Why they are kept or streamed."""
        return self.choice.placement.reason

    @property
    def tasks_per_pass(self) -> int:
        """Tasks of one pass; where data are kept, those that load them run once and don't count."""
        if self.runtime == THREADS:
            return len(self.choice.placement.leaves)
        tasks = count_tasks(self.choice.placement)
        if self.keep or not self.dataset.collections:
            return tasks
        return len(self.graph.__dask_graph__())

    @property
    def bytes_per_pass(self) -> int | None:
        """Bytes of rows that a pass goes over, as they lie in memory; None where not known."""
        return self.dataset.nbytes

    @property
    def bytes_on_the_wire(self) -> Traffic | None:
        """What a pass of the longest stage sends, once the rows are placed; None where not known.

        Asks and summaries, as pickles: never rows. A parameter server sends less where CSR rows
        store some of the columns; what codes send isn't known.
        """
        if self.choice.client is None:
            return Traffic()
        if not self.keep or self.runtime == CODED:
            return None
        stage, placement = self._longest, self.choice.placement
        workers = [worker.address for worker in self.choice.workers]
        sizes = measure(stage.fold, stage.ask, no_rows(self.dataset.schema))
        if self.runtime == DATAFLOW:
            return dataflow_traffic(placement, sizes)
        if self.runtime == ALLREDUCE:
            return allreduce_traffic(placement, workers, sizes)
        return parameter_server_traffic(placement, workers, self.n_servers, sizes)

    @property
    def row_bytes(self) -> int:
        """Bytes of one row with its target and weight."""
        schema = self.dataset.schema
        if schema.sparse and self.dataset.nbytes is not None and self.dataset.n_rows:
            return self.dataset.nbytes // self.dataset.n_rows + 1
        return schema.row_bytes + 8 * (schema.n_targets + schema.weighted)

    @property
    def peak_memory(self) -> int | None:
        """Upper bound of what the fit adds to a worker's resident memory; None where not known."""
        by_leaf = self._leaf_rows()
        if by_leaf is None:
            return None
        return max(self._peak_of(worker, by_leaf) for worker in self.choice.workers)

    @property
    def graph(self) -> Delayed:
        """The lazy Dask graph of one pass of the stage that takes the most."""
        stage, placement = self._longest, self.choice.placement
        shards = shard_graph(self.dataset, placement, "plan")
        return pass_graph(shards, placement, "plan", "plan-1", stage.fold, stage.ask)

    @property
    def _longest(self) -> Stage:
        return max(self.stages, key=lambda stage: stage.max_passes)

    def visualize(self, filename: str | None = None, **options: Any) -> Any:
        """Draw the graph of one pass, as `dask.visualize` does.

        Parameters
        ----------
        filename : str, optional
            A file to write; by default the picture is only returned, for a notebook.
        **options
            Passed on to Dask: ``engine="cytoscape"`` draws without graphviz.

        Raises
        ------
        RuntimeError
            If neither graphviz nor ipycytoscape is installed, saying how to get them.
        """
        return self.graph.visualize(filename=filename, **options)

    def rows(self) -> list[tuple[str, str]]:
        """Return the plan as pairs of a label and a text."""
        rows = self.dataset.n_rows
        count = "an unknown number of" if rows is None else f"{rows:,}"
        schema = self.dataset.schema
        where = f"{self.n_workers} workers" if self.choice.client is not None else "this process"
        threads = sum(worker.n_threads for worker in self.choice.workers)
        return [
            ("data", f"{self.dataset.kind}, {count} rows, {schema.n_features} features"),
            ("runtime", f"{self.runtime} in {where}, {threads} threads: {self.choice.reason}"),
            *([("servers", _servers(self.n_servers))] if self.n_servers else []),
            ("rows are", f"{'kept' if self.keep else 'streamed every pass'}: {self.reason}"),
            ("passes", f"at most {self.passes}"),
            *((f"  {stage.name}", _stage(stage)) for stage in self.stages),
            ("tasks per pass", f"{self.tasks_per_pass:,}"),
            ("bytes per pass", size(self.bytes_per_pass)),
            ("on the wire", _traffic(self.bytes_on_the_wire)),
            ("peak memory", f"{size(self.peak_memory)} per worker, over the idle process"),
        ]

    def __str__(self) -> str:
        """Return a table of two columns."""
        rows = self.rows()
        width = max(len(label) for label, _ in rows)
        lines = [f"{label:<{width}}  {text}" for label, text in rows]
        return "\n".join([f"Plan of {self.estimator}.fit", *lines])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        body = "".join(
            f"<tr><th style='text-align:left'>{escape(label)}</th>"
            f"<td style='text-align:left'>{escape(text)}</td></tr>"
            for label, text in self.rows()
        )
        return f"<table><caption>Plan of {escape(self.estimator)}.fit</caption>{body}</table>"

    def _leaf_rows(self) -> list[int] | None:
        """Count the rows of each leaf."""
        parts, leaves = self.dataset.parts, self.choice.placement.leaves
        counts = [[parts[part].rows for part in leaf] for leaf in leaves]
        if any(rows is None for leaf in counts for rows in leaf):
            return None
        return [sum(rows or 0 for rows in leaf) for leaf in counts]

    def _peak_of(self, worker: Worker, leaf_rows: Sequence[int]) -> int:
        shards = [s for s in self.choice.placement.shards if s.worker in ("", worker.address)]
        held = _rows_of(shards, leaf_rows)
        leaf = max(leaf_rows) * self.row_bytes
        here = not self.dataset.is_lazy and self.choice.client is None
        if here:
            rows = 0
        elif not self.keep:
            rows = STREAMED_COPIES * leaf * worker.n_threads
        elif self.dataset.collections:
            rows = LOADED_COPIES * held * self.row_bytes
        else:
            rows = held * self.row_bytes + STREAMED_COPIES * leaf * worker.n_threads
        workspace = max(stage.workspace for stage in self.stages) * worker.n_threads
        beside = max(stage.memory_per_row for stage in self.stages) * held
        return FIXED_BYTES + rows + workspace + beside


def _rows_of(shards: Sequence[ShardPlan], leaf_rows: Sequence[int]) -> int:
    return sum(leaf_rows[leaf] for shard in shards for leaf in shard.leaves)


def _stage(stage: Stage) -> str:
    passes = f"at most {stage.max_passes}" if stage.max_passes > 1 else "1"
    passes = f"{passes}, only if {stage.only_if}" if stage.only_if else passes
    return f"{passes}; {stage.note}" if stage.note else passes


def _servers(n_servers: int) -> str:
    if n_servers == 1:
        return "1 worker has the state"
    return f"{n_servers} workers have a range of the state's columns each"


def _traffic(traffic: Traffic | None) -> str:
    if traffic is None:
        return "not known before the fit"
    if not any(traffic):
        return "nothing"
    down, between, up = map(size, traffic)
    return f"per pass {down} to the workers, {between} between them, {up} back"


def size(nbytes: int | None) -> str:
    """Write a number of bytes for a person.

    Examples
    --------
    >>> size(1_536_000_000)
    '1.54 GB'
    >>> size(None)
    'not known before the data are loaded'
    """
    if nbytes is None:
        return "not known before the data are loaded"
    value = float(nbytes)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} GB"
