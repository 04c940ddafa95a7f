"""One rank's end of a collective: ``xgboost.collective``, which sums arrays over the ranks."""

import socket
import struct
import time
import weakref
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np

from flowml.kernels.rows import Array
from flowml.runtimes.allreduce.sockets import end_with_reset, listeners, new_listener

FIRST_SLOT = 4096
HEAD = struct.Struct("<QI")
CHECK = struct.Struct("<I")
HEAD_BYTES = HEAD.size + CHECK.size
STARTED_AFTER = 0.002
"""Seconds after which a tracker's thread mostly runs."""
TIMEOUT = 600
"""Seconds that a rank waits for the others: longer than a pass may take. A rank whose process
ends is noticed at once; this is for a machine that falls silent."""
CUT_SHORT = "a worker of the allreduce is gone: what it was sending is cut short"


class RingError(ConnectionError):
    """A rank is gone, so that no sum comes about any more."""


class Head(NamedTuple):
    """What is at the beginning of each rank's slot.

    Attributes
    ----------
    length : int
        Of the payload.
    check : int
        Of the payload's bytes.
    """

    length: int
    check: int

    def to_bytes(self, rank: int) -> bytes:
        """Return its bytes, with a check of their own that is another for each rank."""
        fields = HEAD.pack(*self)
        return fields + CHECK.pack(crc32(fields, rank + 1))


class Ring:
    """A rank among ranks that all call the same methods in the same order.

    Parameters
    ----------
    tracker : dict
        The arguments of a `Tracker`.
    rank : int

    Attributes
    ----------
    rank, size : int

    Raises
    ------
    RingError
        If the ranks don't find each other.
    """

    def __init__(self, tracker: dict[str, Any], rank: int, size: int) -> None:
        self.rank, self.size = rank, size
        self._slot = FIRST_SLOT
        self._collective = collective = _xgboost("xgboost.collective")
        # One try to reach a peer: more would hold a rank that leaves for a tracker that is gone.
        names = {"dmlc_task_id": f"{rank:09d}", "dmlc_timeout": TIMEOUT, "dmlc_retry": 1}
        _xgboost("xgboost").set_config(verbosity=0)  # of this thread
        before = listeners()
        self._checked(collective.init, **tracker, **names)
        end_with_reset(TIMEOUT)
        self._listener = new_listener(before)

    def gather(self, payload: bytes) -> list[bytes]:
        """Return every rank's payload, in the order of the ranks.

        A slot for each rank, of which each fills its own, so that a sum of bytes is all of them.
        Where one doesn't fit, all see how long each is, and exchange just that; the next time slots
        are wide enough. Those that are too wide are half as wide the next time.
        """
        slots = np.zeros((self.size, self._slot), np.uint8)
        head = Head(len(payload), crc32(payload)).to_bytes(self.rank)
        filled = head + payload if HEAD_BYTES + len(payload) <= self._slot else head
        slots[self.rank, : len(filled)] = np.frombuffer(filled, np.uint8)
        slots = self._sum(slots.reshape(-1)).reshape(slots.shape)
        heads = [read_head(slot, rank) for rank, slot in enumerate(slots)]
        needed, had = slot_for(max(head.length for head in heads)), self._slot
        self._slot = max(needed, had // 2)
        if needed > had:
            return self._joined(payload, heads)
        filled_parts = (slot[HEAD_BYTES:] for slot in slots)
        return [read_payload(part, head) for part, head in zip(filled_parts, heads, strict=True)]

    def narrow(self) -> None:
        """Forget how long payloads were, as all ranks have to: others are to come."""
        self._slot = FIRST_SLOT

    def _joined(self, payload: bytes, heads: Sequence[Head]) -> list[bytes]:
        """Return every rank's payload, where all know how long they are."""
        ends = np.cumsum([head.length for head in heads])
        joined = np.zeros(ends[-1], np.uint8)
        own = slice(ends[self.rank] - len(payload), ends[self.rank])
        joined[own] = np.frombuffer(payload, np.uint8)
        parts = np.split(self._sum(joined), ends[:-1])
        return [read_payload(part, head) for part, head in zip(parts, heads, strict=True)]

    def total(self, vector: Array) -> Array:
        """Return the sum of the ranks' vectors, with the same bits on each.

        The collective sums a part of it at each rank. A one beside each part counts the ranks that
        are in it.
        """
        width = -(-vector.size // self.size)
        padded = np.zeros(self.size * width)
        padded[: vector.size] = vector
        parts = np.column_stack([padded.reshape(self.size, width), np.ones(self.size)])
        parts = self._sum(parts.reshape(-1)).reshape(parts.shape)
        if np.any(parts[:, -1] != self.size):
            raise RingError(CUT_SHORT)
        return parts[:, :-1].reshape(-1)[: vector.size]

    def close(self) -> None:
        """Leave, in the thread that came; others that have gone before are no concern.

        xgboost takes what its loop hasn't told yet for a mistake of its own, and ends the process:
        so it is asked once more. Where the tracker is gone, it leaves a thread that listens.
        """
        with suppress(RingError):
            self._sum(np.empty(0))
        try:
            self._checked(self._collective.finalize)
        except RingError:
            if self._listener is not None:
                self._listener.shutdown(socket.SHUT_RDWR)
        if self._listener is not None:
            self._listener.close()

    def _sum(self, array: Array) -> Array:
        summed: Array = self._checked(self._collective.allreduce, array, self._collective.Op.SUM)
        return summed

    def _checked(self, function: Any, *arguments: Any, **named: Any) -> Any:
        try:
            return function(*arguments, **named)
        except _xgboost("xgboost.core").XGBoostError as error:
            raise RingError(f"a worker of the allreduce is gone: {_cause(str(error))}") from None


def _cause(report: str) -> str:
    """Return the last reason that xgboost gives, which is the first one, without where it is from.

    Examples
    --------
    >>> _cause("[..]: \\n- [comm.cc:5|..]: Failed.\\n- [loop.cc:9|..]: EOF\\nStack trace:")
    'EOF'
    """
    reasons = [line for line in report.splitlines() if line.startswith("- [")]
    return (reasons or [report])[-1].rpartition("]: ")[2][:200]


def read_head(slot: Array, rank: int) -> Head:
    """Read the head of a rank's slot; raise where it isn't there whole."""
    head = Head(*HEAD.unpack(slot[: HEAD.size].tobytes()))
    if head.to_bytes(rank) != slot[:HEAD_BYTES].tobytes():
        raise RingError(CUT_SHORT)
    return head


def read_payload(part: Array, head: Head) -> bytes:
    """Return a payload from the beginning of what there is; raise where it isn't there whole."""
    payload = part[: head.length].tobytes()
    if crc32(payload) != head.check:
        raise RingError(CUT_SHORT)
    return payload


def slot_for(longest: int) -> int:
    """Return the room that each rank's payload gets, where the longest takes so many bytes."""
    return max(FIRST_SLOT, 1 << (HEAD_BYTES + longest - 1).bit_length())


def exchanged(size: int, longest: int) -> int:
    """Count the bytes that ranks send each other to gather payloads, all together.

    The collective sums a part of the slots at each rank in ``size - 1`` rounds around the ring and
    hands the parts on in `size` more.
    """
    return size * (2 * size - 1) * slot_for(longest) if size > 1 else 0


class Tracker:
    """What ranks meet at.

    Parameters
    ----------
    host : str
        By which the others reach this one.
    size : int
        How many ranks there will be.

    Attributes
    ----------
    arguments : dict
        What a rank needs to find it.
    """

    def __init__(self, host: str, size: int) -> None:
        made = _xgboost("xgboost.tracker").RabitTracker(n_workers=size, host_ip=host, sortby="task")
        made.start()
        time.sleep(STARTED_AFTER)  # else xgboost sleeps a tenth of a second itself
        self.arguments: dict[str, Any] = made.worker_args()
        self._finalizer = weakref.finalize(self, _free, made)

    def close(self) -> None:
        """Stop it, as happens too when nobody refers to it any more."""
        self._finalizer()


def _free(tracker: Any) -> None:
    """Free it; ranks that went without a word make it complain, which is no news."""
    with suppress(_xgboost("xgboost.core").XGBoostError):
        tracker.free()


def require_collective() -> None:
    """See that the collective is installed.

    Raises
    ------
    ImportError
        If not, saying how to install it.
    """
    _xgboost("xgboost.collective")


def has_collective() -> bool:
    """Tell whether the collective is installed here."""
    return find_spec("xgboost") is not None and find_spec("xgboost.collective") is not None


def _xgboost(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(
            'runtime="allreduce" sums with xgboost.collective: pip install "flowml[allreduce]" '
            "here and on the workers"
        ) from error
