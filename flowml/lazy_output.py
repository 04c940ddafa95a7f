"""Transformers that leave lazy results alone."""

from functools import wraps
from typing import Any, TypeVar

from flowml.data.adopt import is_lazy

Class = TypeVar("Class", bound=type)


def keeps_lazy_output(cls: Class) -> Class:
    """Decorate a transformer: ``set_output`` is for results in memory, lazy ones stay as they are.

    scikit-learn's own wrapper around ``transform`` would compute a lazy result to put it into a
    frame.
    """
    in_memory = cls.transform  # type: ignore[attr-defined]

    @wraps(in_memory)
    def transform(self: Any, X: Any) -> Any:
        return in_memory.__wrapped__(self, X) if is_lazy(X) else in_memory(self, X)

    cls.transform = transform  # type: ignore[attr-defined]
    return cls
