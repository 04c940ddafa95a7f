"""The end of a worker in the midst of a merge."""

import os
import signal
from typing import Any

from flowml.runtimes import tree


def die_merging() -> None:
    """Have the process that this is called in killed when it next merges two summaries.

    All runtimes merge through one function, which is replaced in a process that won't need it.
    """
    add_node = tree.add_node

    def die(nodes: tree.Nodes, node: tree.Node, *rest: Any) -> None:
        level, index = node
        if (level, index ^ 1) in nodes:
            os.kill(os.getpid(), signal.SIGKILL)
        add_node(nodes, node, *rest)

    vars(tree)["add_node"] = die
