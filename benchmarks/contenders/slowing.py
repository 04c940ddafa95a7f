"""Shares of a processor for each of some processes, and hogs that take one of them away.

With a control group for each worker, as many workers as wanted are machines of the same speed on
a few processors. A hog is in the group of the worker that it slows, and takes nothing from others.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
PERIOD = 20_000
"""Microseconds."""
BUSY = "while True: pass"


@contextmanager
def processor_shares(pids: Sequence[int], share: float) -> Iterator[list[Path]]:
    """Give each process a share of a processor, within a ``with`` block; return their groups."""
    with ExitStack() as stack:
        yield [stack.enter_context(_share(pid, share)) for pid in pids]


@contextmanager
def hogs(group: Path, number: int) -> Iterator[None]:
    """Run processes that do nothing but take processor time, in a group."""
    running = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(number)]
    try:
        for process in running:
            (group / "cgroup.procs").write_text(str(process.pid))
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


@contextmanager
def _share(pid: int, share: float) -> Iterator[Path]:
    parent = ROOT / "cpu" if (ROOT / "cpu").is_dir() else ROOT
    group = parent / f"flowml-{os.getpid()}-{pid}"
    quota = int(share * PERIOD)
    group.mkdir()
    try:
        if parent == ROOT:
            (group / "cpu.max").write_text(f"{quota} {PERIOD}")
        else:
            (group / "cpu.cfs_period_us").write_text(str(PERIOD))
            (group / "cpu.cfs_quota_us").write_text(str(quota))
        (group / "cgroup.procs").write_text(str(pid))
        yield group
    finally:
        (parent / "cgroup.procs").write_text(str(pid))
        group.rmdir()
