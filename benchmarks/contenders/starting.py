"""What a fresh process waits for: imports, and the first fit. Run in a new process every turn."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from benchmarks.contenders.turn import Run, Turn, Work


@contextmanager
def importing(work: Work) -> Iterator[Run]:
    """Import ``options["modules"]``."""

    def run() -> Turn:
        started = time.perf_counter()
        for module in work.options["modules"]:
            import_module(module)
        return Turn(time.perf_counter() - started, {})

    yield run
