"""Fitted models as files that are safe to load from someone else: skops, never a pickle."""

from dataclasses import is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from sklearn.utils.validation import check_is_fitted
from skops.io import dump, get_untrusted_types, load
from skops.io.exceptions import UntrustedTypesFoundException

from flowml.estimator import PassEstimator

FILE_NAME = "model.skops"
PACKAGE = "flowml."


def save_model(model: PassEstimator, path: str | Path) -> Path:
    """Save a fitted model to one file.

    Parameters
    ----------
    model : estimator
        A fitted flowml estimator.
    path : str or Path
        The file, or a folder in which it is called ``model.skops``. It is written under a
        temporary name and renamed.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    NotFittedError
        If the model isn't fitted.
    TypeError
        If it isn't one of flowml's estimators, or holds something that could not be loaded again,
        such as a function that was given as a parameter.

    Examples
    --------
    >>> import flowml, tempfile
    >>> from flowml.linear_model import LinearRegression
    >>> model = LinearRegression().fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = flowml.save_model(model, folder)
    ...     flowml.load_model(path).predict([[10.0]]).round(6)
    array([21.])
    """
    if not isinstance(model, PassEstimator):
        raise TypeError(f"save_model takes flowml's estimators, not {type(model).__name__}")
    check_is_fitted(model)
    path = _file(Path(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        dump(model, temporary)
        _refuse(foreign_types(temporary), f"this {type(model).__name__} holds")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def load_model(path: str | Path) -> Any:
    """Load a model that `save_model` wrote, building nothing but flowml's own types and arrays.

    Parameters
    ----------
    path : str or Path
        The file, or the folder that it is in.

    Returns
    -------
    estimator
        Fitted.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError
        If the file names a type that is neither flowml's own nor a plain array, number or
        container: it is then not loaded at all.
    ValueError
        If the file isn't a saved model, or is damaged.
    """
    path = _file(Path(path))
    if not path.is_file():
        raise FileNotFoundError(f"there is no saved model at {path}")
    foreign: list[str] = []
    try:
        foreign = foreign_types(path)
        trusted = get_untrusted_types(file=path)
        model = None if foreign else load(path, trusted=trusted)
    except UntrustedTypesFoundException as error:
        raise TypeError(f"{path} was not loaded: {error}") from error
    except (BadZipFile, KeyError, AttributeError, EOFError, ImportError) as error:
        raise ValueError(f"{path} can't be read as a saved model: {error}") from error
    _refuse(foreign, f"{path} was not loaded, because it holds")
    if not isinstance(model, PassEstimator):
        raise TypeError(f"{path} holds {type(model).__name__}, which isn't a flowml estimator")
    return model


def foreign_types(path: Path) -> list[str]:
    """Return the names in a saved file that neither skops trusts by default nor flowml owns."""
    return [name for name in get_untrusted_types(file=path) if not is_own(name)]


def is_own(name: str) -> bool:
    """Tell whether a name is one of flowml's estimators or records.

    Functions, methods and any other class are not: a record is a NamedTuple or a dataclass, and
    loading one runs no code of its own.

    Examples
    --------
    >>> is_own("flowml.linear_model.linear_regression.LinearRegression"), is_own("os.system")
    (True, False)
    """
    module, _, attribute = name.rpartition(".")
    if not module.startswith(PACKAGE):
        return False
    try:
        found = getattr(import_module(module), attribute, None)
    except ImportError:
        return False
    return (
        isinstance(found, type)
        and found.__module__ == module
        and (issubclass(found, PassEstimator) or _is_record(found))
    )


def _is_record(found: type) -> bool:
    if found.__bases__ == (tuple,):
        return hasattr(found, "_fields")
    return is_dataclass(found) and not hasattr(found, "__setstate__")


def _refuse(foreign: list[str], what: str) -> None:
    if foreign:
        raise TypeError(f"{what} {', '.join(foreign)}: only flowml's own types and arrays are safe")


def _file(path: Path) -> Path:
    return path / FILE_NAME if path.is_dir() else path
