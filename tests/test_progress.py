"""What a person sees of a running fit."""

import io
import time

import numpy as np
import pytest
from matplotlib.figure import Figure
from rich.console import Console

import flowml
from flowml.drive.events import FitCompleted, FitStarted, PassCompleted, PassTimed, StageStarted
from flowml.drive.progress import SECONDS_BETWEEN_LINES, progress
from tests.power_iteration import PowerIteration, make_rows


def slow_down(event: object) -> None:
    if isinstance(event, PassCompleted):
        time.sleep(SECONDS_BETWEEN_LINES / 4)


def test_plain_lines_every_few_seconds_on_standard_error(capsys: pytest.CaptureFixture[str]):
    with flowml.config_context(progress=True, callbacks=[slow_down]):
        PowerIteration(max_iter=6).fit(make_rows(1000))
    output = capsys.readouterr()
    assert output.out == ""
    line, last = output.err.splitlines()
    assert line.startswith("PowerIteration power: pass 5, 5 of at most 6, objective ")
    assert "rows/s" in line
    assert "left" in line
    assert last.startswith("PowerIteration: 6 passes in ")


def test_a_bar_on_a_terminal():
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=140)
    events: list[object] = []
    with (
        progress(console) as show,
        flowml.config_context(callbacks=[show, events.append]),
    ):
        PowerIteration(max_iter=3).fit(make_rows(1000))
    assert "3 passes in" in screen.getvalue()
    kinds = [type(event) for event in events]
    assert kinds == [FitStarted, StageStarted, *[PassCompleted, PassTimed] * 3, FitCompleted]


def test_nothing_is_shown_unless_asked(capsys: pytest.CaptureFixture[str]):
    PowerIteration(max_iter=2).fit(make_rows(1000))
    output = capsys.readouterr()
    assert output.out == output.err == ""


def test_the_bar_is_taken_down_after_a_failure(capsys: pytest.CaptureFixture[str]):
    def fail(event: object) -> None:
        raise OSError("no")

    with (
        flowml.config_context(progress=True, callbacks=[fail]),
        pytest.raises(OSError, match="no"),
    ):
        PowerIteration().fit(make_rows(100))
    assert "passes in" not in capsys.readouterr().err


def test_the_history_can_be_plotted():
    model = PowerIteration(max_iter=5).fit(make_rows(1000))
    axes = model.plot_history(Figure().subplots())
    (line,) = axes.lines
    np.testing.assert_array_equal(line.get_ydata(), model.history_["objective"])
    assert axes.get_ylabel() == "objective"


def test_history_before_fit_says_what_to_do():
    with pytest.raises(AttributeError, match="call fit first"):
        PowerIteration().plot_history(Figure().subplots())
