"""What befalls a fit's workers between two passes, and where its leaves go because of it."""

from collections.abc import Iterable

from distributed import Client

from flowml.data.dataset import Dataset
from flowml.runtimes.cluster.workers import Roster, cluster_workers
from flowml.runtimes.elastic.rehousing import rehouse
from flowml.runtimes.placement import Placement, Worker
from flowml.runtimes.span import Spans


class Lookout:
    """Notices workers that come and leave.

    It looks every few seconds, and at once where a worker had no part in a pass that should have.

    Parameters
    ----------
    client : distributed.Client
    dataset : Dataset
    """

    def __init__(self, client: Client, dataset: Dataset) -> None:
        self._dataset = dataset
        self._known = cluster_workers(client)
        self._roster = Roster(client, self._known)

    def news(self, placement: Placement, spans: Spans) -> tuple[Placement, tuple[str, ...]]:
        """Return where leaves are to go from now on, and what happened.

        Parameters
        ----------
        placement : Placement
            Where they are.
        spans : tuple of Span
            Who worked on the last pass.

        Returns
        -------
        placement : Placement
            The same object where nothing is to move.
        incidents : tuple of str
        """
        missed = {s.worker for s in placement.shards} - {span.place for span in spans}
        workers = self._roster.changed(now=bool(missed))
        if workers is None:
            return placement, ()
        before, self._known = self._known, workers
        after = rehouse(placement, self._dataset.parts, workers)
        return after, in_words(before, workers, moving(placement, after), len(after.leaves))


def moving(before: Placement, after: Placement) -> int:
    """Count the leaves that go from one worker to another."""
    where = {leaf: shard.worker for shard in before.shards for leaf in shard.leaves}
    return sum(where[leaf] != shard.worker for shard in after.shards for leaf in shard.leaves)


def in_words(
    before: Iterable[Worker], after: Iterable[Worker], n_moved: int, n_leaves: int
) -> tuple[str, ...]:
    """Say who left and who came.

    Examples
    --------
    >>> a, b, c = (Worker(name, 1, 0) for name in "abc")
    >>> in_words([a, b], [a, c], 5, 10)
    ('worker b is gone and worker c came: 5 of 10 leaves of the data move',)
    """
    what = who_changed(before, after) or "a worker has other threads or memory than before"
    return (f"{what}: {n_moved} of {n_leaves} leaves of the data move",)


def who_changed(before: Iterable[Worker], after: Iterable[Worker]) -> str:
    """Say who left and who came; empty where nobody did.

    Examples
    --------
    >>> a, b, c = (Worker(name, 1, 0) for name in "abc")
    >>> who_changed([a, b], [c])
    'workers a, b are gone and worker c came'
    """
    known, there = ({worker.address for worker in workers} for workers in (before, after))
    changes = []
    if gone := sorted(known - there):
        changes.append(f"{_named(gone)} {'is' if len(gone) == 1 else 'are'} gone")
    if came := sorted(there - known):
        changes.append(f"{_named(came)} came")
    return " and ".join(changes)


def _named(addresses: list[str]) -> str:
    return f"worker{'s' * (len(addresses) > 1)} {', '.join(addresses)}"
