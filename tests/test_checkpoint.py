"""Checkpoints: a client that is killed or interrupted loses at most the pass it was in."""

import re
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import flowml
from flowml.drive.checkpoint import CheckpointError, read
from flowml.drive.events import CheckpointWritten, Incident, PassCompleted
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
    seen: list[Any] = []
    with flowml.config_context(
        checkpoint=tmp_path,
        resume=True,
        checkpoint_seconds=100,
        callbacks=[seen.append],
    ):
        resumed = PowerIteration(max_iter=PASSES).fit(make_rows())
    undisturbed = PowerIteration(max_iter=PASSES).fit(make_rows())
    np.testing.assert_array_equal(resumed.direction_, undisturbed.direction_)
    assert resumed.n_passes_ == PASSES
    passes = [event.number for event in seen if isinstance(event, PassCompleted)]
    assert passes == list(range(done + 1, PASSES + 1))
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


@pytest.mark.parametrize("damage", [lambda whole: whole[:-200], lambda whole: b""])
def test_a_file_that_is_cut_short_gives_way_to_the_one_before(
    tmp_path: Path, damage: Callable[[bytes], bytes]
):
    X = make_rows(100)

    def stop(event: object) -> None:
        if isinstance(event, CheckpointWritten) and event.number == 7:
            raise KeyboardInterrupt

    with (
        flowml.config_context(checkpoint=tmp_path, checkpoint_seconds=0, callbacks=[stop]),
        pytest.raises(KeyboardInterrupt),
    ):
        PowerIteration().fit(X)
    newest, before = tmp_path / "checkpoint.npz", tmp_path / "checkpoint-before.npz"
    assert [read(path)[1].stages["power"].n_passes for path in (before, newest)] == [6, 7]
    newest.write_bytes(damage(newest.read_bytes()))
    events: list[Any] = []
    with (
        flowml.config_context(checkpoint=tmp_path, resume=True, callbacks=[events.append]),
        pytest.warns(UserWarning, match=r"can't be read .* goes on from the one before it"),
    ):
        resumed = PowerIteration().fit(X)
    np.testing.assert_array_equal(resumed.direction_, PowerIteration().fit(X).direction_)
    assert next(event.number for event in events if isinstance(event, PassCompleted)) == 7
    assert len([event for event in events if isinstance(event, Incident)]) == 1


def test_a_client_killed_between_two_renamings_goes_on_from_the_one_before(tmp_path: Path):
    X = make_rows(100)
    with flowml.config_context(checkpoint=tmp_path):
        first = PowerIteration().fit(X)
    (tmp_path / "checkpoint.npz").rename(tmp_path / "checkpoint-before.npz")
    with flowml.config_context(checkpoint=tmp_path, resume=True):
        again = PowerIteration().fit(X)
    np.testing.assert_array_equal(again.direction_, first.direction_)


@contextmanager
def small_disk(folder: Path) -> Iterator[tuple[Callable[[], None], Callable[[], None]]]:
    """Yield what fills a disk and what makes room again: a real one, or the process's limit."""
    ballast = folder / "ballast"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0

    def fill() -> None:
        if not mounted:
            resource.setrlimit(resource.RLIMIT_FSIZE, (512, limits[1]))
            return
        with pytest.raises(OSError, match="No space left"):
            ballast.write_bytes(bytes(1 << 20))

    def free() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        ballast.unlink(missing_ok=True)

    try:
        yield fill, free
    finally:
        free()
        if mounted:
            subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_costs_checkpoints_and_not_the_fit(tmp_path: Path):
    X = make_rows(100)
    events: list[Any] = []
    on_disk: list[int] = []
    with small_disk(tmp_path) as (fill, free):
        path = tmp_path / "checkpoint.npz"

        def watch(event: Any) -> None:
            events.append(event)
            if isinstance(event, CheckpointWritten) and event.number == 4:
                fill()
            if isinstance(event, Incident):
                on_disk.append(read(path)[1].stages["power"].n_passes)
            if isinstance(event, Incident) and event.number == 8:
                free()

        with (
            flowml.config_context(checkpoint=tmp_path, checkpoint_seconds=0, callbacks=[watch]),
            pytest.warns(UserWarning, match="can't be written .* the fit goes on"),
        ):
            model = PowerIteration(12).fit(X)
        assert read(path)[1].stages["power"].n_passes == 12
        names = {found.name for found in tmp_path.iterdir()}
        assert names == {"checkpoint.npz", "checkpoint-before.npz"}
    np.testing.assert_array_equal(model.direction_, PowerIteration(12).fit(X).direction_)
    assert on_disk == [4] * 4
    written = [event.number for event in events if isinstance(event, CheckpointWritten)]
    assert written == [1, 2, 3, 4, 9, 10, 11, 12]


def test_a_folder_that_cannot_be_written_is_refused_before_the_first_pass(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    events: list[object] = []
    with (
        flowml.config_context(checkpoint=tmp_path / "file" / "folder", callbacks=[events.append]),
        pytest.raises(CheckpointError, match="can't be written to"),
    ):
        PowerIteration().fit(make_rows(100))
    assert events == []
