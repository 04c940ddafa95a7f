"""Models as files: what comes back, and what is refused."""

import io
import json
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.base import is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge as PeerRidge

import flowml
from flowml.cli.catalogue import estimators
from flowml.cluster import KMeans
from flowml.linear_model import LinearRegression, Ridge

RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(RNG.normal(size=(200, 3)), columns=["a", "b", "c"])
TARGET = pd.Series(FRAME.to_numpy() @ [1.0, 2.0, 3.0] + RNG.normal(size=200), name="y")


def fitted(name: str) -> Any:
    model = estimators()[name]()
    positive = TARGET.abs() + 1  # any regressor takes it, whatever its family
    labels = pd.Series(np.where(TARGET > 0, "yes", "no"), name="y")
    return model.fit(FRAME, labels if is_classifier(model) else positive)


@pytest.mark.parametrize("name", sorted(estimators()))
def test_a_model_comes_back_whole(name: str, tmp_path: Path) -> None:
    model = fitted(name)
    loaded = flowml.load_model(flowml.save_model(model, tmp_path))
    assert type(loaded) is type(model)
    assert loaded.get_params() == model.get_params()
    assert list(loaded.feature_names_in_) == ["a", "b", "c"]
    pd.testing.assert_frame_equal(loaded.history_, model.history_)
    for method in ("predict", "transform"):
        if hasattr(model, method):
            expected = np.asarray(getattr(model, method)(FRAME))
            np.testing.assert_array_equal(np.asarray(getattr(loaded, method)(FRAME)), expected)


def test_a_loaded_model_can_go_on_training(tmp_path: Path) -> None:
    first = LinearRegression().fit(FRAME[:100], TARGET[:100])
    loaded = flowml.load_model(flowml.save_model(first, tmp_path))
    loaded.partial_fit(FRAME[100:], TARGET[100:])
    np.testing.assert_allclose(loaded.coef_, LinearRegression().fit(FRAME, TARGET).coef_)
    pd.testing.assert_frame_equal(
        loaded.summary().coefficients, LinearRegression().fit(FRAME, TARGET).summary().coefficients
    )


def test_array_parameters_come_back(tmp_path: Path) -> None:
    start = FRAME.to_numpy()[:4]
    model = KMeans(n_clusters=4, init=start, max_iter=3).fit(FRAME)
    loaded = flowml.load_model(flowml.save_model(model, tmp_path))
    np.testing.assert_array_equal(loaded.init, start)
    alphas = np.array([0.1, 10.0])
    two = np.column_stack([TARGET, -TARGET])
    ridge = Ridge(alpha=alphas).fit(FRAME, two)
    np.testing.assert_array_equal(
        flowml.load_model(flowml.save_model(ridge, tmp_path)).predict(FRAME), ridge.predict(FRAME)
    )


def test_lazy_labels_are_left_out_of_the_file(tmp_path: Path) -> None:
    FRAME.to_parquet(tmp_path / "rows.parquet", row_group_size=50)
    rows = flowml.read_parquet(tmp_path / "rows.parquet")
    model = KMeans(n_clusters=3, random_state=0).fit(rows)
    loaded = flowml.load_model(flowml.save_model(model, tmp_path))
    np.testing.assert_array_equal(loaded.predict(FRAME), model.predict(FRAME))


def test_unfitted_and_foreign_models_are_not_saved(tmp_path: Path) -> None:
    with pytest.raises(NotFittedError):
        flowml.save_model(LinearRegression(), tmp_path)
    with pytest.raises(TypeError, match="save_model takes flowml's estimators, not Ridge"):
        flowml.save_model(PeerRidge().fit(FRAME, TARGET), tmp_path)
    assert not list(tmp_path.iterdir())


class Foreign:
    """A type that isn't flowml's: loading it would run whatever its author wrote."""


@pytest.mark.parametrize("smuggled", [Foreign(), print, partial(print, "hello")])
def test_a_foreign_type_is_refused_before_anything_is_built(
    smuggled: object, tmp_path: Path
) -> None:
    model = fitted("linear_model.LinearRegression")
    model.extra_ = smuggled
    with pytest.raises(TypeError, match="LinearRegression holds"):
        flowml.save_model(model, tmp_path)
    assert not list(tmp_path.iterdir())
    path = tmp_path / "model.skops"
    skops.io.dump(model, path)
    with pytest.raises(TypeError, match=r"model\.skops was not loaded, because it holds"):
        flowml.load_model(path)


def test_a_tampered_file_is_refused(tmp_path: Path) -> None:
    path = flowml.save_model(fitted("linear_model.LinearRegression"), tmp_path)
    rewrite_schema(path, "LinearRegression", "flowml.cli.fitting", "write_text")
    with pytest.raises(TypeError, match=r"flowml\.cli\.fitting\.write_text"):
        flowml.load_model(path)
    rewrite_schema(path, "write_text", "subprocess", "Popen")
    with pytest.raises(TypeError, match=r"subprocess\.Popen"):
        flowml.load_model(path)


def test_a_file_of_another_kind_says_so(tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    with pytest.raises(FileNotFoundError, match="there is no saved model"):
        flowml.load_model(path)
    path.write_bytes(b"not a model")
    with pytest.raises(ValueError, match="can't be read as a saved model"):
        flowml.load_model(path)
    whole = io.BytesIO(skops.io.dumps(fitted("linear_model.LinearRegression"))).getvalue()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="can't be read as a saved model"):
        flowml.load_model(path)
    skops.io.dump(PeerRidge().fit(FRAME, TARGET), path)
    with pytest.raises(TypeError, match="holds Ridge, which isn't a flowml estimator"):
        flowml.load_model(path)


def rewrite_schema(path: Path, old: str, module: str, name: str) -> None:
    """Change the type at the root of a saved file, as a forger would."""
    with zipfile.ZipFile(path) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    schema = json.loads(members["schema.json"])
    assert schema["__class__"] == old
    schema |= {"__class__": name, "__module__": module}
    members["schema.json"] = json.dumps(schema).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)
