"""When a fault strikes: at a moment of a fit that its events tell of."""

import re
import threading
import time
from collections.abc import Callable
from random import Random
from typing import Any

from flowml.drive.events import Event, PassCompleted, StageStarted

MOMENT = re.compile(r"(in )?pass (\d+)")
FIRST_PASS = 0.1
"""Seconds."""
WAIT = 60.0
"""Seconds."""


class Strike:
    """Does something once, at a moment of a fit: a callback for ``config_context(callbacks=...)``.

    Parameters
    ----------
    moment : str
        ``"pass 4"`` is between the fourth pass and the fifth, ``"in pass 4"`` some time after the
        fourth has begun, before it ends as far as the third one's length tells. A first pass is
        supposed to take `FIRST_PASS` seconds.
    act : callable
    random : random.Random

    Attributes
    ----------
    happened : bool
    """

    def __init__(self, moment: str, act: Callable[[], Any], random: Random) -> None:
        found = MOMENT.fullmatch(moment)
        if found is None:
            raise ValueError(f"moment={moment!r} is neither 'pass 4' nor 'in pass 4'")
        self._within = found[1] is not None
        self._number = int(found[2]) - self._within
        self._act = act
        self._share = random.random()
        self._began = False
        self._ended = threading.Event()
        self._error: BaseException | None = None
        self._lock = threading.Lock()

    @property
    def happened(self) -> bool:
        """Whether it has been done, waiting for it if it is being done now.

        An error in doing it is raised here.
        """
        if not self._began:
            return False
        self._ended.wait(WAIT)
        if self._error is not None:
            raise self._error
        return self._ended.is_set()

    def __call__(self, event: Event) -> None:
        """Take an event."""
        match event:
            case StageStarted():
                number, seconds = event.passes, FIRST_PASS
            case PassCompleted():
                number, seconds = event.number, event.seconds
            case _:
                return
        if number < self._number:
            return
        with self._lock:
            if self._began:
                return
            self._began = True
        if self._within:
            delay = self._share * seconds
            threading.Thread(target=self._strike, args=[delay], daemon=True).start()
        else:
            self._strike(0.0)

    def _strike(self, delay: float) -> None:
        time.sleep(delay)
        try:
            self._act()
        except BaseException as error:
            self._error = error
        finally:
            self._ended.set()
