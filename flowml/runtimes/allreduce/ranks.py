"""The ranks of a collective: a gang whose members have met."""

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from distributed import Client

from flowml.runtimes.allreduce.rank import join_ring, leave_ring, start_tracker, stop_tracker
from flowml.runtimes.gangs.gang import LOST, Answer, Gang
from flowml.runtimes.gangs.member import present
from flowml.runtimes.gangs.preflight import agree
from flowml.runtimes.placement import Worker

MET_WITHIN = 60.0
"""Seconds."""
PARTED_WITHIN = 2.0
"""Seconds."""
LOOK_AGAIN = 0.001
"""Seconds between two looks at who has replied."""
ALREADY = 10.0
"""Seconds in which a reply that is there is read, however busy the machine is."""


class Ranks(Gang):
    """A gang whose members can add up among themselves.

    Parameters
    ----------
    client : distributed.Client
    workers : sequence of Worker
    """

    def __init__(self, client: Client, workers: Sequence[Worker]) -> None:
        super().__init__(client, workers)
        self.gather()
        size = len(workers)
        try:
            started = self.call(0, start_tracker, workers[0].address, size)
            tracker = started.result(MET_WITHIN)
            numbers = [(tracker, rank, size) for rank in range(size)]
            found = _wait(self.call_each(join_ring, numbers), MET_WITHIN)
            addresses = [worker.address for worker in workers]
            agree("versions", dict(zip(addresses, found, strict=True)))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Part, those that still can, and dissolve the gang.

        All are done before the first one leaves: leaving cuts short what others still read.
        """
        for step in (present, leave_ring):
            with suppress(*LOST):
                _wait(self.call_all(step), PARTED_WITHIN)
        members = range(len(self.members))
        with suppress(*LOST):
            _wait([self.meet(number, stop_tracker) for number in members], PARTED_WITHIN)
        super().close()


def _wait(answers: Sequence[Answer], seconds: float) -> list[Any]:
    """Return what all reply; raise as soon as one can't, for which the others would wait."""
    deadline = time.monotonic() + seconds
    waiting = list(answers)
    while waiting and time.monotonic() < deadline:
        for answer in [answer for answer in waiting if answer.done()]:
            answer.result(ALREADY)
            waiting.remove(answer)
        time.sleep(LOOK_AGAIN)
    if waiting:
        raise TimeoutError(f"{len(waiting)} of {len(answers)} ranks didn't reply in {seconds:g} s")
    return [answer.result(ALREADY) for answer in answers]
