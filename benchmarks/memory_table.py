"""The page's section on memory: what `benchmarks.memory` measured."""

from typing import Any


def memory_section(results: dict[str, Any] | None) -> str:
    """Render the results of ``python -m benchmarks.memory``, empty without any."""
    if not results:
        return ""
    return ""
