"""What scikit-learn has and flowml hasn't stands in docs/scikit-learn.md, name by name."""

import inspect
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.linear_model

import flowml.linear_model

PAGE = Path(__file__).parents[1] / "docs" / "scikit-learn.md"
ROOMS = (
    "linear_model",
    "svm",
    "multiclass",
    "model_selection",
    "metrics",
    "cluster",
    "preprocessing",
)


def documented(heading: str) -> list[tuple[str, str]]:
    """Return the first two columns of a section's table."""
    section = PAGE.read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line.split("|") for line in section.splitlines() if line.startswith("| `")]
    assert lines
    return [(line[1], line[2]) for line in lines]


def missed(heading: str, name: str) -> set[str]:
    """Return what a section says that one of flowml's hasn't."""
    rows = [what for what, who in documented(heading) if f"`{name}`" in who or who.strip() == "all"]
    return {name for what in rows for name in re.findall(r"`(\w+)", what)}


def pairs() -> list[Any]:
    """Return what has the same name here and there."""
    found = []
    for room in ROOMS:
        ours, theirs = import_module(f"flowml.{room}"), import_module(f"sklearn.{room}")
        for name in ours.__all__:
            if hasattr(theirs, name):
                found.append(pytest.param(getattr(ours, name), getattr(theirs, name), id=name))
    return found


@pytest.mark.parametrize(("ours", "theirs"), pairs())
def test_what_is_missing_is_documented(ours: Any, theirs: Any) -> None:
    name = ours.__name__
    mine, peers = inspect.signature(ours).parameters, inspect.signature(theirs).parameters
    assert set(peers) - set(mine) <= missed("Parameters", name)
    shared = set(peers) & set(mine)
    differ = {key for key in shared if str(mine[key].default) != str(peers[key].default)}
    assert differ <= missed("Defaults that differ", name)


SEARCHED = {"param_grid": {"C": [0.1, 1.0]}, "param_distributions": {"C": [0.1, 1.0]}, "n_iter": 2}


def fitted(kind: Any, room: Any) -> Any:
    """Return an estimator that has seen a few rows."""
    random = np.random.default_rng(0)
    X = random.standard_normal((60, 3))
    y = 1.0 + (X[:, 0] > 0)
    takes = inspect.signature(kind).parameters
    given = {name: value for name, value in SEARCHED.items() if name in takes and "cv" in takes}
    if "estimator" in takes:
        given["estimator"] = room.LogisticRegression()
    return kind(**given).fit(X, y)


def is_estimator(pair: Any) -> bool:
    """Tell whether a pair can be fitted."""
    return hasattr(pair.values[1], "fit")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("ours", "theirs"), [pair for pair in pairs() if hasattr(pair.values[1], "fit")]
)
def test_what_fitted_models_lack_is_documented(ours: Any, theirs: Any) -> None:
    mine, peer = fitted(ours, flowml.linear_model), fitted(theirs, sklearn.linear_model)
    public = {
        name for name in dir(peer) if not name.startswith(("_", "set_")) and hasattr(peer, name)
    }
    lacking = {name for name in public if not hasattr(mine, name)}
    parameters = set(inspect.signature(theirs).parameters)
    assert lacking - parameters <= missed("Fitted attributes and methods", ours.__name__)
