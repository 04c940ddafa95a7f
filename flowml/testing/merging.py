"""The end of a worker in the midst of a merge."""

import os
import signal
from pathlib import Path
from typing import Any

from flowml.runtimes import tree


def die_merging(latch: Path) -> None:
    """Have this process killed when it next merges, unless another one was first.

    All runtimes merge through one function, which is replaced here until then.

    Parameters
    ----------
    latch : Path
        A file that the first one makes.
    """
    add_node = tree.add_node

    def die(nodes: tree.Nodes, *rest: Any) -> None:
        if nodes:
            vars(tree)["add_node"] = add_node
            if _is_first(latch):
                os.kill(os.getpid(), signal.SIGKILL)
        add_node(nodes, *rest)

    vars(tree)["add_node"] = die


def _is_first(latch: Path) -> bool:
    try:
        latch.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
