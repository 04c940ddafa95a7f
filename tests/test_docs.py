"""Every code block of the README and the docs runs as it is written."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
OWN_TEST = {"add-an-estimator.md"}
PAGES = [
    ROOT / "README.md",
    *(page for page in sorted((ROOT / "docs").glob("*.md")) if page.name not in OWN_TEST),
]
BLOCK = re.compile(r"^```(?P<language>python|bash)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
CALLS_THIS_TEST = re.compile(r"^(make|git clone) ", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?://|#)(?P<target>[^)#]+)")


class CodeBlock(NamedTuple):
    """One fenced block of a page: its language, its text and the line that it starts on."""

    language: str
    code: str
    line: int


def blocks_of(page: Path) -> list[CodeBlock]:
    """Return a page's Python and shell blocks, in order."""
    text = page.read_text()
    return [
        CodeBlock(found["language"], found["code"], text.count("\n", 0, found.start("code")))
        for found in BLOCK.finditer(text)
    ]


def run_python(block: CodeBlock, page: Path, namespace: dict[str, object]) -> None:
    """Run a block in the page's namespace; tracebacks show the page's own lines."""
    exec(compile("\n" * block.line + block.code, str(page), "exec"), namespace)


def run_shell(block: CodeBlock) -> None:
    """Run a block of commands, with this environment's programs first."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.code],
        env={**os.environ, "PATH": path},
        check=True,
        timeout=120,
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_blocks_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in blocks_of(page):
        if block.language == "python":
            run_python(block, page, namespace)
        elif not CALLS_THIS_TEST.search(block.code):
            run_shell(block)


def test_the_readme_starts_with_the_two_commands() -> None:
    first, second, third, *_ = blocks_of(ROOT / "README.md")
    assert first.code == "make demo\n"
    assert second.code == "make test\n"
    assert third.language == "python"


@pytest.mark.parametrize("page", [*PAGES, *(ROOT / "docs" / name for name in OWN_TEST)], ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    broken = [
        link["target"]
        for link in LINK.finditer(page.read_text())
        if not (page.parent / link["target"]).exists()
    ]
    assert not broken
