"""The members that hold rows: they work for a parameter server."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from flowml.kernels.fold import Ask, Fold
from flowml.runtimes.blas import one_blas_thread
from flowml.runtimes.columns import stored_columns
from flowml.runtimes.gangs.gang import Answer
from flowml.runtimes.gangs.member import Member
from flowml.runtimes.packed import Packed, pack
from flowml.runtimes.parameter_server.clocks import Join, Order, Push
from flowml.runtimes.parameter_server.holders import Holders
from flowml.runtimes.parameter_server.holding import Holding
from flowml.runtimes.parameter_server.ranges import Cuts, Range, cuts_of
from flowml.runtimes.parameter_server.server import Word, exchange
from flowml.runtimes.parameter_server.waiting import awaited
from flowml.runtimes.shard import align
from flowml.runtimes.span import since
from flowml.runtimes.threads import Crew


class Told(NamedTuple):
    """What a site knows of the solver.

    Attributes
    ----------
    fold : Fold
        How rows become a summary.
    names : frozenset of str
        Fields of asks and summaries that run along the columns.
    ranges : tuple of Range
        Columns that each server has; none where there is one.
    """

    fold: Fold
    names: frozenset[str]
    ranges: tuple[Range, ...]


def work(
    member: Member, name: str, fit: str, site: int, servers: Sequence[Any], told: Told
) -> None:
    """Do what the server orders with this member's leaves, until all is done.

    Parameters
    ----------
    member : Member
    name : str
        What is served.
    fit : str
        Whose leaves.
    site : int
    servers : sequence of distributed.Actor
        The member that serves, and those that hold columns for it.
    told : Told

    Raises
    ------
    ServerLostError
        If a server can't be reached.
    """
    server, *holders = servers
    crew, others = member.crews[fit], Holders(member, name, holders)
    stored = stored_columns(crew.leaves) if told.names else None
    cuts = cuts_of(told.names, told.ranges, stored)
    others.begin_each(Holding.join, [(site, some) for some in cuts.held[1:]])()
    push: Push | Join | None = Join(cuts.held[0])
    with one_blas_thread():
        while True:
            answer = Answer(server, "meet", exchange, name, site, push)
            order: Order | Word = awaited(member, server, answer)
            push = None
            if order is Word.OVER:
                return
            if isinstance(order, Order):
                asks = others.begin(Holding.ask, site, order.version)()
                start = time.time()
                first, *rest = _summarised(crew, told.fold, cuts.whole([order.ask, *asks]), cuts)
                others.begin_each(Holding.bring, [(site, packed) for packed in rest])()
                push = Push(order.round, order.clock, first._replace(spans=(since(start),)))


def _summarised(crew: Crew, fold: Fold, ask: Ask, cuts: Cuts) -> list[Packed]:
    """Summarise the leaves, and return for each server what runs along its columns."""
    return [pack(nodes) for nodes in cuts.cut(crew.summarise(fold, align(ask)))]
