"""Checkpoints: a client that is killed or interrupted loses at most the pass it was in."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import flowml
from flowml.drive.checkpoint import CheckpointError, read
from flowml.drive.events import CheckpointWritten
from tests.power_iteration import PowerIteration, make_rows

PASSES = 1000
ROOT = Path(__file__).parents[1]


def stop_in_mid_fit(folder: Path, with_signal: signal.Signals) -> str:
    """Start a fit in another process, send it a signal after a few passes; return its errors."""
    command = [
        sys.executable,
        "-c",
        "from tests.power_iteration import main; main()",
        str(folder),
        str(PASSES),
    ]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == "pass 20":
            process.send_signal(with_signal)
            break
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    return errors


@pytest.mark.parametrize("with_signal", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_fit_goes_on_with_the_same_bits(tmp_path: Path, with_signal: signal.Signals):
    errors = stop_in_mid_fit(tmp_path, with_signal)
    _, before = read(tmp_path / "checkpoint.npz")
    done = before.stages["power"].n_passes
    assert 19 <= done < PASSES
    seen: list[int] = []
    with flowml.config_context(
        checkpoint=tmp_path,
        resume=True,
        checkpoint_seconds=100,
        callbacks=[lambda event: seen.append(getattr(event, "seconds", -1))],
    ):
        resumed = PowerIteration(max_iter=PASSES).fit(make_rows())
    undisturbed = PowerIteration(max_iter=PASSES).fit(make_rows())
    np.testing.assert_array_equal(resumed.direction_, undisturbed.direction_)
    assert resumed.n_passes_ == PASSES
    assert len(seen) < PASSES - done + 10
    assert list(resumed.history_.index) == list(range(1, PASSES + 1))
    np.testing.assert_array_equal(resumed.history_.objective, undisturbed.history_.objective)
    if with_signal is signal.SIGINT:
        assert str(tmp_path / "checkpoint.npz") in errors
        assert "resume=True" in errors


def test_interrupt_saves_the_last_completed_pass(tmp_path: Path):
    written: list[CheckpointWritten] = []

    def interrupt(event: object) -> None:
        if isinstance(event, CheckpointWritten):
            written.append(event)
        if getattr(event, "number", 0) == 7 and not written:
            raise KeyboardInterrupt

    estimator = PowerIteration(max_iter=10)
    settings = {"checkpoint": tmp_path, "checkpoint_seconds": 1000, "callbacks": [interrupt]}
    with flowml.config_context(**settings), pytest.raises(KeyboardInterrupt) as caught:
        estimator.fit(make_rows())
    assert vars(estimator) == {"max_iter": 10}
    path = tmp_path / "checkpoint.npz"
    assert any(str(path) in note for note in caught.value.__notes__)
    assert read(path)[1].stages["power"].n_passes == 7
    assert [event.number for event in written] == [7]


def test_a_finished_fit_costs_no_pass_to_resume(tmp_path: Path):
    X = make_rows()
    with flowml.config_context(checkpoint=tmp_path):
        first = PowerIteration().fit(X)
    events: list[object] = []
    with flowml.config_context(checkpoint=tmp_path, resume=True, callbacks=[events.append]):
        again = PowerIteration().fit(X)
    assert not [event for event in events if type(event).__name__ == "PassCompleted"]
    np.testing.assert_array_equal(first.direction_, again.direction_)
    assert again.n_passes_ == first.n_passes_ == 20
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.npz"]


def test_resume_without_a_checkpoint_starts_at_the_beginning(tmp_path: Path):
    with flowml.config_context(checkpoint=tmp_path / "new", resume=True):
        assert PowerIteration().fit(make_rows()).n_passes_ == 20


@pytest.mark.parametrize("change", ["estimator", "data"])
def test_another_fit_is_refused_with_both_shown(tmp_path: Path, change: str):
    X = make_rows()
    with flowml.config_context(checkpoint=tmp_path):
        PowerIteration(max_iter=3).fit(X)
    other, expected = (
        (PowerIteration(max_iter=4), r"max_iter: the checkpoint has 3, this fit 4")
        if change == "estimator"
        else (PowerIteration(max_iter=3), r"data: the checkpoint has \w+, this fit \w+")
    )
    with (
        flowml.config_context(checkpoint=tmp_path, resume=True),
        pytest.raises(CheckpointError, match=expected),
    ):
        other.fit(X if change == "estimator" else X + 1)


@pytest.mark.parametrize("damage", ["cut short", "empty", "text", "unknown type"])
def test_a_damaged_file_is_named(tmp_path: Path, damage: str):
    X = make_rows(100)
    with flowml.config_context(checkpoint=tmp_path):
        PowerIteration().fit(X)
    path = tmp_path / "checkpoint.npz"
    content = path.read_bytes()
    if damage == "unknown type":
        # The header is UTF-32 text inside the archive.
        wrong = content.replace("PowerState".encode("utf-32-le"), "OtherState".encode("utf-32-le"))
        path.write_bytes(wrong)
    else:
        path.write_bytes({"cut short": content[:-200], "empty": b"", "text": b"hello"}[damage])
    with (
        flowml.config_context(checkpoint=tmp_path, resume=True),
        pytest.raises(CheckpointError, match=f"{re.escape(str(path))}.*delete it to start again"),
    ):
        PowerIteration().fit(X)


def test_a_folder_that_cannot_be_written_is_refused_before_the_first_pass(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    events: list[object] = []
    with (
        flowml.config_context(checkpoint=tmp_path / "file" / "folder", callbacks=[events.append]),
        pytest.raises(CheckpointError, match="can't be written to"),
    ):
        PowerIteration().fit(make_rows(100))
    assert events == []
