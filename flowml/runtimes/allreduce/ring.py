"""One rank's end of a collective: ``xgboost.collective``, which sums arrays over the ranks."""

import time
import weakref
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from flowml.kernels.rows import Array

FIRST_SLOT = 4096
LENGTH_BYTES = 8
STARTED_AFTER = 0.002
"""Seconds after which a tracker's thread mostly runs."""
TIMEOUT = 600
"""Seconds that a rank waits for the others: longer than a pass may take. A rank whose process
ends is noticed at once; this is for a machine that falls silent."""


class RingError(ConnectionError):
    """A rank is gone, so that no sum comes about any more."""


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
        self._checked(collective.init, **tracker, **names)

    def gather(self, payload: bytes) -> list[bytes]:
        """Return every rank's payload, in the order of the ranks.

        A slot for each rank, of which each fills its own, so that a sum of bytes is all of them.
        Where one doesn't fit, all see how long each is, and exchange just that; the next time slots
        are wide enough. Those that are too wide are half as wide the next time.
        """
        slots = np.zeros((self.size, self._slot), np.uint8)
        own = slots[self.rank]
        own[:LENGTH_BYTES] = np.frombuffer(len(payload).to_bytes(LENGTH_BYTES), np.uint8)
        if LENGTH_BYTES + len(payload) <= self._slot:
            own[LENGTH_BYTES : LENGTH_BYTES + len(payload)] = np.frombuffer(payload, np.uint8)
        slots = self.total(slots.reshape(-1)).reshape(slots.shape)
        lengths = [int.from_bytes(slot[:LENGTH_BYTES].tobytes()) for slot in slots]
        needed, had = slot_for(max(lengths)), self._slot
        self._slot = max(needed, had // 2)
        if needed > had:
            return self._joined(payload, lengths)
        ends = [LENGTH_BYTES + length for length in lengths]
        return [s[LENGTH_BYTES:end].tobytes() for s, end in zip(slots, ends, strict=True)]

    def narrow(self) -> None:
        """Forget how long payloads were, as all ranks have to: others are to come."""
        self._slot = FIRST_SLOT

    def _joined(self, payload: bytes, lengths: Sequence[int]) -> list[bytes]:
        """Return every rank's payload, where all know how long they are."""
        ends = np.cumsum(lengths)
        joined = np.zeros(ends[-1], np.uint8)
        own = slice(ends[self.rank] - len(payload), ends[self.rank])
        joined[own] = np.frombuffer(payload, np.uint8)
        return [part.tobytes() for part in np.split(self.total(joined), ends[:-1])]

    def total(self, array: Array) -> Array:
        """Return the sum of the ranks' arrays, with the same bits on each."""
        summed: Array = self._checked(self._collective.allreduce, array, self._collective.Op.SUM)
        return summed

    def close(self) -> None:
        """Leave, in the thread that came; others that have gone before are no concern.

        Where the tracker is gone xgboost doesn't leave, and others would wait for this rank. It
        does so as it joins a ring of one.
        """
        try:
            self._checked(self._collective.finalize)
        except RingError:
            self._collective.init()
            self._collective.finalize()

    def _checked(self, function: Any, *arguments: Any, **named: Any) -> Any:
        try:
            return function(*arguments, **named)
        except _xgboost("xgboost.core").XGBoostError as error:
            raise RingError(f"a worker of the allreduce is gone: {str(error)[:200]}") from None


def slot_for(longest: int) -> int:
    """Return the room that each rank's payload gets, where the longest takes so many bytes."""
    return max(FIRST_SLOT, 1 << (LENGTH_BYTES + longest - 1).bit_length())


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
