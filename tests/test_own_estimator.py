"""The example of docs/add-an-estimator.md, added to a copy of the project as a newcomer would.

The copy has this project's compiled kernels, which other tests have left by now in a whole run.
"""

import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "add-an-estimator.md").read_text()
BLOCKS = re.compile(r"^`(?P<path>[\w/]+\.py)`\n\n```python\n(?P<code>.*?)^```$", re.M | re.S)
FILES: dict[str, str] = defaultdict(str)
for block in BLOCKS.finditer(PAGE):
    FILES[block["path"]] += block["code"]
MODULES = [path for path in FILES if path.startswith("flowml/")]
ROWS = {
    "tests/table.py": "FOLDS.clear()\nESTIMATORS.clear()\n",
    "tests/test_losses.py": "LOSSES.clear()\nTARGETS.clear()\n",
    "tests/test_penalties.py": "",
}
"""The tables, and what empties them, so that the page's rows stand alone."""

AGAINST_A_REFERENCE = """
import numpy as np
from scipy.optimize import minimize

from flowml.linear_model import GeneralizedLinearRegressor
from flowml.linear_model.log_cosh_regressor import LogCoshRegressor
from flowml.losses.hyperbolic_secant import HyperbolicSecant
from flowml.preprocessing.median_centerer import MedianCenterer


def test_the_geometric_median_is_what_a_general_minimiser_finds():
    X = np.random.default_rng(0).standard_normal((300, 3)) ** 3 + 50
    cost = lambda center: np.sqrt(((X - center) ** 2).sum(axis=1)).sum()
    best = minimize(cost, X.mean(axis=0), method="BFGS", options={"gtol": 1e-6}).x
    np.testing.assert_allclose(MedianCenterer(tol=1e-10).fit(X).center_, best, rtol=1e-6)


def make_lines():
    random = np.random.default_rng(1)
    X = random.standard_normal((400, 3)) * [1.0, 5.0, 0.2] + 2.0
    return X, X @ [1.0, -0.2, 3.0] + random.standard_t(2, 400)


def test_the_loss_and_penalty_are_minimised_as_a_general_minimiser_does():
    X, y = make_lines()

    def objective(b):
        errors = X @ b[:3] + b[3] - y
        small = np.minimum(np.abs(b[:3]), 0.5)
        price = 0.3 * (small * (np.abs(b[:3]) - small / 2) / 0.5).sum()
        return np.log(np.cosh(errors)).mean() + price

    best = minimize(objective, np.zeros(4), method="BFGS", options={"gtol": 1e-7}).x
    model = LogCoshRegressor(alpha=0.3, knee=0.5, tol=1e-9).fit(X, y)
    np.testing.assert_allclose([*model.coef_, model.intercept_], best, rtol=1e-4, atol=1e-5)


def test_the_family_is_fitted_by_maximum_likelihood():
    X, y = make_lines()

    def log_likelihood(b):
        mean = X @ b[:3] + b[3]
        own = y * np.arctan(mean) - np.log1p(mean**2) / 2
        return (own - np.logaddexp(np.pi / 2 * y, -np.pi / 2 * y)).sum()

    model = GeneralizedLinearRegressor(family=HyperbolicSecant(), tol=1e-9).fit(X, y)
    best = minimize(lambda b: -log_likelihood(b), np.zeros(4), options={"gtol": 1e-5})
    np.testing.assert_allclose([*model.coef_, model.intercept_], best.x, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(model.summary().log_likelihood, -best.fun, rtol=1e-9)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the project and add the page's files; its tables hold the new rows alone."""
    copy = tmp_path_factory.mktemp("project")
    for name in ("flowml", "tests"):
        shutil.copytree(ROOT / name, copy / name)
    shutil.copy(ROOT / "pyproject.toml", copy)
    for path in MODULES:
        (copy / path).write_text(FILES[path])
    for path, emptied in ROWS.items():
        with (copy / path).open("a") as table:
            table.write(f"\n{emptied}{FILES[path]}")
    (copy / "tests" / "test_against_a_reference.py").write_text(AGAINST_A_REFERENCE)
    return copy


def run(project: Path, *command: str) -> None:
    """Run a module in the copy, which comes first on the path of it and of its workers."""
    environment = {**os.environ, "PYTHONPATH": str(project)}
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_has_its_files() -> None:
    rooms = [path.split("/")[1] for path in MODULES]
    assert rooms[:3] == ["kernels", "solvers", "preprocessing"]
    assert rooms[3:] == ["losses", "penalties", "linear_model", "losses"]
    assert set(FILES) - set(MODULES) == set(ROWS)


def test_the_examples_keep_the_laws(project: Path) -> None:
    tests = ["laws", "check_estimator", "architecture", "losses", "penalties"]
    paths = [f"tests/test_{name}.py" for name in [*tests, "against_a_reference"]]
    run(project, "pytest", "-q", "-p", "no:cacheprovider", *paths, *MODULES)


def test_the_examples_are_lint_clean(project: Path) -> None:
    run(project, "ruff", "check", "--no-cache", *MODULES)
    run(project, "ruff", "format", "--check", "--no-cache", *MODULES)
