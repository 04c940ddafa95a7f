"""Checks of constructor parameters: what is wrong, and what is allowed."""

from typing import Any


def check_flags(estimator: Any, *names: str) -> None:
    """Check that parameters are True or False.

    Raises
    ------
    TypeError
        Naming the first that isn't.
    """
    for name in names:
        value = getattr(estimator, name)
        if not isinstance(value, bool):
            raise TypeError(
                f"{type(estimator).__name__}({name}={value!r}): {name} must be True or False"
            )
