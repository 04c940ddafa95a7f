"""The demo, as ``make demo`` runs it."""

import re
import subprocess
import sys
from pathlib import Path

import flowml

BIN = Path(sys.executable).parent


def test_the_demo_agrees_with_scikit_learn(tmp_path: Path) -> None:
    done = subprocess.run(
        [BIN / "flowml", "demo", "--out", tmp_path / "demo"],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    scores = re.findall(r"flowml \| scikit-learn\s+([\d.]+) \| ([\d.]+)", done.stdout)
    assert len(scores) == 2
    assert all(ours == theirs for ours, theirs in scores)
    gap = re.search(r"coefficients, relative\s+(\S+)", done.stdout)
    assert gap is not None
    assert float(gap[1]) < 1e-8
    html = (tmp_path / "demo" / "report.html").read_text()
    assert html.count("data:image/jpeg;base64,") == 2
    assert html.count("data:image/png;base64,") == 2
    assert len(html) < 2_000_000
    assert str(tmp_path / "demo" / "report.html") in done.stdout
    assert flowml.load_model(tmp_path / "demo" / "KMeans").cluster_centers_.shape == (32, 3)
