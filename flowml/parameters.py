"""Checks of constructor parameters: what is wrong, and what is allowed."""

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np


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


def check_integer(estimator: Any, name: str, least: int) -> None:
    """Check that a parameter is a whole number of at least `least`.

    Raises
    ------
    TypeError, ValueError
        Naming the parameter and what it is.
    """
    value = getattr(estimator, name)
    what = f"{type(estimator).__name__}({name}={value!r}): {name} must be"
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{what} a whole number")
    if value < least:
        raise ValueError(f"{what} at least {least}")


def check_number(estimator: Any, name: str, least: float) -> None:
    """Check that a parameter is a number of at least `least`.

    Raises
    ------
    TypeError, ValueError
        Naming the parameter and what it is.
    """
    value = getattr(estimator, name)
    what = f"{type(estimator).__name__}({name}={value!r}): {name} must be"
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{what} a number")
    if not least <= float(value) < float("inf"):
        raise ValueError(f"{what} at least {least} and finite")


def check_share(estimator: Any, name: str) -> None:
    """Check that a parameter is a number from 0 to 1.

    Raises
    ------
    TypeError, ValueError
        Naming the parameter and what it is.
    """
    check_number(estimator, name, 0.0)
    value = getattr(estimator, name)
    if value > 1:
        raise ValueError(f"{type(estimator).__name__}({name}={value!r}): {name} must be at most 1")


def check_numbers(estimator: Any, name: str, least: float, most: float = float("inf")) -> None:
    """Check that a parameter is a number, or a few of them, within limits.

    Raises
    ------
    TypeError, ValueError
        Naming the parameter and what it is.
    """
    value = getattr(estimator, name)
    what = f"{type(estimator).__name__}({name}={value!r}): {name} must be numbers"
    try:
        numbers = np.atleast_1d(np.asarray(value, dtype=np.float64))
    except (TypeError, ValueError):
        raise TypeError(what) from None
    if numbers.size == 0:
        raise ValueError(f"{what}, at least one")
    if not ((numbers >= least) & (numbers <= most)).all():
        limits = f"of at least {least:g}" if most == np.inf else f"from {least:g} to {most:g}"
        raise ValueError(f"{what} {limits}")


def check_positive(estimator: Any, name: str) -> None:
    """Check that a parameter is a number above 0.

    Raises
    ------
    TypeError, ValueError
        Naming the parameter and what it is.
    """
    check_number(estimator, name, 0.0)
    value = getattr(estimator, name)
    if value == 0:
        raise ValueError(f"{type(estimator).__name__}({name}={value!r}): {name} must be above 0")


def check_choice(estimator: Any, name: str, choices: Sequence[str]) -> None:
    """Check that a parameter is one of a few words.

    Raises
    ------
    ValueError
        Naming the parameter, what it is and what it may be.
    """
    value = getattr(estimator, name)
    if not isinstance(value, str) or value not in choices:
        allowed = ", ".join(map(repr, choices))
        raise ValueError(f"{type(estimator).__name__}({name}={value!r}): {name} must be {allowed}")
