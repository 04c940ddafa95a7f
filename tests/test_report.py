"""The report: one file that needs nothing but itself, and says what happened."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from flowml.cli.main import flowml
from flowml.report.page import table

RNG = np.random.default_rng(2)
ROWS = pd.DataFrame(RNG.normal(size=(3_000, 2)), columns=["a", "<b>"]).assign(
    y=lambda rows: 3 * rows.a + 1 + RNG.normal(size=3_000)
)
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Tags(HTMLParser):
    """Checks that tags nest, and collects what a page refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.references: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.references += [
            value or "" for name, value in attrs if name in ("src", "href", "xlink:href")
        ]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report")
    ROWS.to_parquet(path / "train.parquet", row_group_size=1_000, index=False)
    return path


def report(folder: Path, estimator: str, *more: str) -> str:
    out = folder / estimator
    data = ("--data", str(folder / "train.parquet"), "--out", str(out), "--overwrite", "--quiet")
    result = CliRunner().invoke(flowml, ["fit", "--estimator", estimator, *data, *more])
    assert result.exit_code == 0, result.output
    return (out / "report.html").read_text()


def check_page(html: str) -> None:
    tags = Tags()
    tags.feed(html)
    assert not tags.open
    away = [link for link in tags.references if not link.startswith(("data:", "#"))]
    assert not away, "the page refers to something outside of itself"
    assert not re.search(r"url\((?!#)|@import|<script", html)
    for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL):
        ElementTree.fromstring(svg)
        assert "var(--ink)" in svg or "var(--soft)" in svg


def test_a_linear_model(folder: Path) -> None:
    test = ("--test-data", str(folder / "train.parquet"))
    html = report(folder, "linear_model.LinearRegression", "--target", "y", *test)
    check_page(html)
    assert html.count("<svg") == 1
    for words in ("3,000", "R², held out", "std_err", "at most 3", "adjusted R²", "&lt;b&gt;"):
        assert words in html
    training, held_out = re.findall(r"<dt>R²[^<]*</dt><dd>([\d.]+)</dd>", html)[:2]
    assert training == held_out


def test_several_targets(folder: Path) -> None:
    check_page(report(folder, "linear_model.Ridge", "--target", "y,a"))


def test_clusters(folder: Path) -> None:
    html = report(folder, "cluster.KMeans", "--param", "n_clusters=3", "--param", "random_state=0")
    check_page(html)
    assert html.count("<svg") == 2
    assert "Convergence" in html
    assert "Inertia" in html


@pytest.mark.parametrize("name", ["StandardScaler", "MinMaxScaler", "MaxAbsScaler"])
def test_scalers(name: str, folder: Path) -> None:
    html = report(folder, f"preprocessing.{name}")
    check_page(html)
    assert "scale" in html


def test_without_matplotlib_the_report_says_so(folder: Path) -> None:
    """A fresh process in which matplotlib can't be imported, as where it isn't installed."""
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from flowml.cli.main import main; sys.argv[0] = 'flowml'; main()"
    )
    data, out = folder / "train.parquet", folder / "plain"
    job = ("--estimator", "linear_model.Ridge", "--target", "y", "--data", data, "--out", out)
    done = subprocess.run(
        [sys.executable, "-c", code, "fit", *map(str, job)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    html = (out / "report.html").read_text()
    check_page(html)
    assert "<svg" not in html
    assert "matplotlib isn&#39;t installed: pip install &#39;flowml[plot]&#39;" in html


def test_long_tables_are_folded_and_cut() -> None:
    html = table(pd.DataFrame({"x": np.arange(5_000)}))
    assert "<summary>5,000 rows, 1,000 shown</summary>" in html
    assert html.count("<tr>") == 1_001
