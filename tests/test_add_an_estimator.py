"""The example of docs/add-an-estimator.md, added to a copy of the project as a newcomer would."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "add-an-estimator.md").read_text()
BLOCKS = re.compile(r"^`(?P<path>[\w/]+\.py)`\n\n```python\n(?P<code>.*?)^```$", re.M | re.S)
FILES = {block["path"]: block["code"] for block in BLOCKS.finditer(PAGE)}
TABLE = "tests/table.py"

AGAINST_A_REFERENCE = """
import numpy as np
from scipy.optimize import minimize

from flowml.preprocessing.median_centerer import MedianCenterer


def test_the_geometric_median_is_what_a_general_minimiser_finds():
    X = np.random.default_rng(0).standard_normal((300, 3)) ** 3 + 50
    cost = lambda center: np.sqrt(((X - center) ** 2).sum(axis=1)).sum()
    best = minimize(cost, X.mean(axis=0), method="BFGS", options={"gtol": 1e-6}).x
    np.testing.assert_allclose(MedianCenterer(tol=1e-10).fit(X).center_, best, rtol=1e-6)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the project and add the page's files; its table holds the new rows alone."""
    copy = tmp_path_factory.mktemp("project")
    for name in ("flowml", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    for path, code in FILES.items():
        if path != TABLE:
            (copy / path).write_text(code)
    with (copy / TABLE).open("a") as table:
        table.write(f"\nFOLDS.clear()\nESTIMATORS.clear()\n{FILES[TABLE]}")
    (copy / "tests" / "test_median_centerer.py").write_text(AGAINST_A_REFERENCE)
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


def test_the_page_has_its_four_files() -> None:
    rooms = [path.split("/")[:2] for path in FILES]
    assert rooms == [
        ["flowml", "kernels"],
        ["flowml", "solvers"],
        ["flowml", "preprocessing"],
        ["tests", "table.py"],
    ]


def test_the_example_keeps_the_laws(project: Path) -> None:
    tests = ["laws", "check_estimator", "architecture", "median_centerer"]
    paths = [f"tests/test_{name}.py" for name in tests]
    modules = [path for path in FILES if path != TABLE]
    run(project, "pytest", "-q", "-p", "no:cacheprovider", *paths, *modules)


def test_the_example_is_lint_clean(project: Path) -> None:
    modules = [path for path in FILES if path != TABLE]
    run(project, "ruff", "check", "--no-cache", *modules)
    run(project, "ruff", "format", "--check", "--no-cache", *modules)
