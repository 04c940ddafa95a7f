"""Settings: in force inside the block, gone after it, and refused where they are wrong."""

import threading
from pathlib import Path
from typing import Any

import pytest

import flowml
from flowml.config import RUNTIMES
from flowml.runtimes.choose import ON_CLUSTER


def test_settings_hold_inside_the_block_and_nest():
    before = flowml.get_config()
    with flowml.config_context(keep=True, checkpoint="folder"):
        with flowml.config_context(n_threads=1):
            config = flowml.get_config()
            assert (config.keep, config.n_threads) == (True, 1)
            assert config.checkpoint == Path("folder")
        assert flowml.get_config().n_threads is None
    assert flowml.get_config() == before


def test_settings_end_with_an_error():
    before = flowml.get_config()
    with pytest.raises(OSError, match="stop"), flowml.config_context(keep=True):
        raise OSError("stop")
    assert flowml.get_config() == before


def test_settings_of_one_thread_are_not_those_of_another():
    seen: list[bool | None] = []
    with flowml.config_context(keep=True):
        thread = threading.Thread(target=lambda: seen.append(flowml.get_config().keep))
        thread.start()
        thread.join()
    assert seen == [None]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"clinet": None}, TypeError, "no setting 'clinet'; it has client, runtime"),
        ({"runtime": "magic"}, ValueError, "runtime='magic' is none of auto, dataflow"),
        ({"resume": True}, ValueError, "resume=True needs checkpoint="),
        ({"n_threads": 0}, ValueError, "n_threads=0 must be at least 1"),
        ({"callbacks": [3]}, TypeError, "callbacks holds 3, which can't be called"),
        ({"checkpoint_seconds": -1}, ValueError, "checkpoint_seconds=-1 must be at least 0"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], error: type[Exception], message: str):
    with pytest.raises(error, match=message), flowml.config_context(**settings):
        pass


def test_every_runtime_that_may_be_named_can_be_opened() -> None:
    assert set(ON_CLUSTER) == set(RUNTIMES)
