"""Rings whose first rank is killed, and the tracker with it: do the others hear of it, and leave?

There is no cluster, so that a ring takes a fifth of a second, and the ranks do nothing but add up.
``python -m tests.killed_rings 100`` prints what became of the others of a hundred rings.
"""

import sys
import time
from collections import Counter
from multiprocessing import get_context
from typing import Any

import psutil

from flowml.runtimes.allreduce.ring import Ring, RingError, Tracker, require_collective

SIZE = 4
PAYLOADS = [bytes([rank]) * 1_000 for rank in range(SIZE)]
HEARS_WITHIN, ENDS_WITHIN = 10.0, 2.0
"""Seconds."""


def main(n_rings: int) -> None:
    """Print how often survivors said what."""
    require_collective()  # imported here, and not by each rank
    said = Counter(word for number in range(n_rings) for word in killed(0.005 * (number % 10)))
    print(dict(said))


def killed(seconds: float) -> list[str]:
    """Return what is said by the others of a ring whose first rank is killed after so long."""
    context = get_context("fork")
    pipes = [context.Pipe() for _ in range(SIZE)]
    ranks = [
        context.Process(target=_add_up, args=(rank, theirs))
        for rank, (_, theirs) in enumerate(pipes)
    ]
    ours = [here for here, _ in pipes]
    try:
        for process in ranks:
            process.start()
        tracker = ours[0].recv()
        for pipe in ours:
            pipe.send(tracker)
        for pipe in ours:
            assert pipe.recv() == "met"
        time.sleep(seconds)
        ranks[0].kill()
        return [pipe.recv() if pipe.poll(HEARS_WITHIN) else "waits" for pipe in ours[1:]]
    finally:
        for process in ranks:
            process.kill()
            process.join()


def _add_up(rank: int, client: Any) -> None:
    """Be a rank that does nothing else until its ring breaks; say what is left of it then."""
    this = psutil.Process()
    if rank == 0:
        tracker = Tracker("127.0.0.1", SIZE)
        client.send(tracker.arguments)
    arguments = client.recv()
    before = this.num_fds()  # the thread by which xgboost listens has one, too
    ring = Ring(arguments, rank, SIZE)
    client.send("met")
    try:
        while ring.gather(PAYLOADS[rank]) == PAYLOADS:
            time.sleep(0.0005)  # as a pass over rows does
        client.send("was told something wrong")
    except RingError:
        ring.close()
        deadline = time.monotonic() + ENDS_WITHIN
        while this.num_fds() != before and time.monotonic() < deadline:
            time.sleep(0.001)
        client.send("left" if this.num_fds() == before else "left files open")


if __name__ == "__main__":
    main(int(sys.argv[1]))
