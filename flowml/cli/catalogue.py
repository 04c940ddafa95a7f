"""Estimators by name, and their parameters from text."""

import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from flowml.estimator import PassEstimator

ROOMS = ("linear_model", "svm", "cluster", "preprocessing")
PYTHON_SPELLINGS = {"True": True, "False": False}


def estimators() -> dict[str, type[PassEstimator]]:
    """Return flowml's public estimators by the names that jobs use.

    Examples
    --------
    >>> estimators()["linear_model.LinearRegression"]
    <class 'flowml.linear_model.linear_regression.LinearRegression'>
    """
    found = {}
    for room in ROOMS:
        module = import_module(f"flowml.{room}")
        for name in module.__all__:
            if issubclass(getattr(module, name), PassEstimator):
                found[f"{room}.{name}"] = getattr(module, name)
    return found


def make_estimator(name: str, parameters: Mapping[str, Any]) -> Any:
    """Make an unfitted estimator.

    Parameters
    ----------
    name : str
        Such as ``linear_model.Ridge``.
    parameters : mapping

    Raises
    ------
    ValueError
        If there is no such estimator, or it has no such parameter; the known ones are named.

    Examples
    --------
    >>> make_estimator("linear_model.LinearRegression", {"fit_intercept": False})
    LinearRegression(fit_intercept=False)
    """
    known = estimators()
    estimator_class = known.get(name.removeprefix("flowml."))
    if estimator_class is None:
        raise ValueError(f"there is no estimator {name!r}{nearest(_by_class(name, known), known)}")
    valid = estimator_class().get_params()
    for parameter in parameters:
        if parameter not in valid:
            has = f"it has {', '.join(valid)}" if valid else "it has none"
            raise ValueError(f"{name} has no parameter {parameter!r}; {has}")
    return estimator_class(**parameters)


def name_of(estimator: Any) -> str:
    """Return the name that a job gives an estimator.

    Examples
    --------
    >>> name_of(make_estimator("linear_model.LinearRegression", {}))
    'linear_model.LinearRegression'
    """
    _, room, *_ = type(estimator).__module__.split(".")
    return f"{room}.{type(estimator).__name__}"


def parse_parameter(text: str) -> tuple[str, Any]:
    """Split ``name=value``; the value is TOML, or text where it isn't.

    Raises
    ------
    ValueError
        If there is no ``=``.

    Examples
    --------
    >>> parse_parameter("alpha=0.1"), parse_parameter("init=k-means++")
    (('alpha', 0.1), ('init', 'k-means++'))
    """
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise ValueError(f"--param takes name=value, such as alpha=0.1; got {text!r}")
    return name.strip(), _parse_value(value.strip())


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a sentence's end that names the nearest known names, or all of them.

    Examples
    --------
    >>> nearest("targt", ["target", "weight"])
    '; did you mean target?'
    """
    names = list(known)
    close = get_close_matches(name, names, n=2)
    return f"; did you mean {' or '.join(close)}?" if close else f"; there are {', '.join(names)}"


def _parse_value(text: str) -> Any:
    if text in PYTHON_SPELLINGS:
        return PYTHON_SPELLINGS[text]
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _by_class(name: str, known: Iterable[str]) -> str:
    """Return the full name for a bare class name, which most people try first."""
    matches = [full for full in known if full.rpartition(".")[2].lower() == name.lower()]
    return matches[0] if matches else name
