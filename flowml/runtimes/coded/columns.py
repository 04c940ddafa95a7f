"""Coded columns at the members of a gang, made once of the rows that other members hold."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
from distributed import Client, Future

from flowml.codes.directional_derivative import DirectionalDerivativeCode
from flowml.data.assemble import join_blocks
from flowml.kernels.linear_loss import Point
from flowml.kernels.rows import Array, Block
from flowml.pool import Pool
from flowml.runtimes.cluster.graphs import unique_token
from flowml.runtimes.cluster.workers import forget
from flowml.runtimes.coded.desk import get_up, sit_down, take
from flowml.runtimes.coded.directional_pass import WHOLE, Before, Columns, DirectionalPass
from flowml.runtimes.coded.seats import Seats
from flowml.runtimes.gangs.gang import LOST, Gang, wait_on
from flowml.runtimes.placement import Worker
from flowml.runtimes.shard import Leaf, Shard

MOST_WEIGHT = 4
"""Blocks that a parity sums; more make a code lighter, and its repairs heavier."""
SEATED_WITHIN = 60.0
"""Seconds that members have to take their columns."""
SETTLED_WITHIN = 0.5
"""Seconds that members have at the end of a fit to answer what they owe."""


def code_for(n_workers: int, n_features: int, s: int) -> DirectionalDerivativeCode:
    """Return the code for some workers.

    Raises
    ------
    ValueError
        If there are too few workers or columns for it.
    """
    n_blocks = min(MOST_WEIGHT * n_workers, n_features)
    most = min(MOST_WEIGHT, (n_workers - 1) // s) if n_features >= n_workers else 0
    for weight in range(most, 0, -1):
        code = DirectionalDerivativeCode(n_workers, n_blocks, n_features, weight, s)
        with suppress(ValueError):
            code.solution(frozenset())
            return code
    raise ValueError(
        f'straggler="directional" needs more workers than n_stragglers={s} and a column for '
        f"each of them, and this fit has {n_workers} workers and {n_features} columns: use "
        'straggler="backup" or "fractional", which share rows'
    )


class Encoded(NamedTuple):
    """Columns that workers hold for a code, in Dask's memory.

    Attributes
    ----------
    code : DirectionalDerivativeCode
    workers : tuple of Worker
    shards : list of Future
        For each worker one leaf, its pieces side by side.
    beside : Block
        y and weights of all rows.
    """

    code: DirectionalDerivativeCode
    workers: tuple[Worker, ...]
    shards: list[Future[Any]]
    beside: Block


def encode(
    client: Client,
    workers: Sequence[Worker],
    code: DirectionalDerivativeCode,
    rows: Sequence[Future[Any]],
) -> Encoded:
    """Make the columns of shards of rows, which may be released afterwards.

    Each shard is multiplied where it is, once for each worker, and only the products travel: all
    in all as many bytes as the columns have.

    Raises
    ------
    LookupError
        If a worker goes meanwhile.
    """
    token = unique_token()

    def submit(task: Any, *arguments: Any, name: str, **where: Any) -> Future[Any]:
        key = f"flowml-{task.__name__.replace('_', '-')}-{token}-{name}"
        return client.submit(task, *arguments, key=key, **where)

    numbers = range(len(rows))
    beside = [submit(beside_of, rows[n], name=str(n)) for n in numbers]
    pieces = [
        [submit(pieces_of, rows[n], code, seat, name=f"{n}-{seat}") for n in numbers]
        for seat in range(len(workers))
    ]
    shards = [
        submit(side_by_side, each, name=str(seat), workers=[workers[seat].address])
        for seat, each in enumerate(pieces)
    ]
    try:
        wait_on(client, workers, [*beside, *shards])
        found = client.gather(beside)
        for shard in shards:
            if shard.status == "error":
                shard.result()  # raises
            if shard.status != "finished":
                raise LookupError("a worker went while columns were made")
    except BaseException:
        forget(client, [*beside, *shards, *(one for each in pieces for one in each)])
        raise
    return Encoded(code, tuple(workers), shards, joined(found))


def beside_of(shard: Shard) -> list[tuple[int, Block]]:
    """Return y and weights by leaf: a task."""
    blocks = [(leaf.number, leaf.rows()[0]) for leaf in shard.leaves]
    return [(n, block._replace(X=block.X[:, :0])) for n, block in blocks]


def pieces_of(shard: Shard, code: DirectionalDerivativeCode, seat: int) -> list[tuple[int, Array]]:
    """Return a worker's columns by leaf: a task. Of double precision, for they are differences."""
    blocks = [(leaf.number, leaf.rows()[0]) for leaf in shard.leaves]
    return [(n, code.encode(block.X.astype(np.float64, copy=False), seat)) for n, block in blocks]


def side_by_side(pieces: Sequence[list[tuple[int, Array]]]) -> Shard:
    """Return a worker's columns of all rows, each column by itself in memory: a task."""
    ordered = [part for _, part in sorted((pair for each in pieces for pair in each), key=first)]
    whole = np.empty((sum(map(len, ordered)), ordered[0].shape[1]), order="F")
    return Shard([Leaf(WHOLE, [Block(np.concatenate(ordered, out=whole))])])


def first(pair: tuple[int, Any]) -> int:
    """Return the number of a leaf."""
    return pair[0]


def joined(found: Sequence[list[tuple[int, Block]]]) -> Block:
    """Join y and weights in the order of the leaves."""
    return join_blocks([one for _, one in sorted((p for each in found for p in each), key=first)])


class CodedColumns:
    """A gang at work on coded columns.

    Parameters
    ----------
    client : distributed.Client
    encoded : Encoded
    pool : Pool or None
        Where gangs come from, and go to.
    """

    def __init__(self, client: Client, encoded: Encoded, pool: Pool | None) -> None:
        self._client, self._encoded = client, encoded
        self._fit, self._before = unique_token(), Before()
        self._kind = ("gang", client.id, encoded.workers)
        self._gang = (
            Gang(client, encoded.workers)
            if pool is None
            else pool.borrow(self._kind, lambda: Gang(client, encoded.workers))
        )
        self._seats = Seats(self._gang, self._fit)
        self._known_lost: set[int] = set()

    @property
    def workers(self) -> list[Worker]:
        """Those of the members that aren't lost."""
        pairs = enumerate(self._encoded.workers)
        return [worker for seat, worker in pairs if seat not in self._seats.lost]

    def could_seat(self, n_workers: int) -> bool:
        """Tell whether there is a code for so many workers."""
        code = self._encoded.code
        try:
            code_for(n_workers, code.n_features, code.s)
        except ValueError:
            return False
        return True

    def part_with(self, workers: Sequence[Worker]) -> None:
        """Let members go; the others decode their columns, or miss them if they are too many."""
        for worker in workers:
            seat = self._encoded.workers.index(worker)
            self._seats.dismiss(seat)
            self._encoded.shards[seat].release()

    def open(self) -> list[str]:
        """Give the members their columns; tell what that takes.

        Raises
        ------
        LookupError
            If a worker goes meanwhile.
        """
        self._gang.gather()
        for answer in self._gang.ask_all(sit_down, self._fit):
            answer.result(SEATED_WITHIN)
        self._gang.bring(take, self._fit, [[shard] for shard in self._encoded.shards])
        code, n_rows = self._encoded.code, len(self._encoded.beside.X)
        megabytes = 8e-6 * n_rows * code.width * code.generator.shape[1]
        return [f"{code.name}: coded columns of {megabytes:.1f} MB are at {code.n_workers} workers"]

    def run(self, points: Sequence[Point], gaps: bool) -> DirectionalPass:
        """Make a pass, in which blocks may be missing where there may be `gaps`.

        Raises
        ------
        UndecodableError
            If too few workers are left.
        """
        columns = Columns(self._seats, self._encoded.code, self._encoded.beside)
        one = DirectionalPass(columns, self._before, points, gaps)
        one.run()
        self._before = one.after
        return one

    def learn(self) -> list[str]:
        """Tell which workers are gone since the last pass."""
        news = self._seats.lost - self._known_lost
        self._known_lost |= news
        addresses = [self._encoded.workers[seat].address for seat in sorted(news)]
        return [f"worker {address} is gone: its columns are decoded" for address in addresses]

    def clear(self, pool: Pool | None) -> None:
        """Let go of everything; the gang serves the next fit, if all of it is there."""
        with suppress(*LOST):
            self._gang.ask_all(get_up, self._fit)
        whole = self._seats.settle(SETTLED_WITHIN)
        for shard in self._encoded.shards:
            shard.release()
        if pool is not None and whole:
            pool.give_back(self._kind, self._gang)
        else:
            self._gang.close()
