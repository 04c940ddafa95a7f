"""What ranks must have in common before they begin: checked, and told in a sentence."""

import hashlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from flowml.kernels.rows import Block, is_sparse
from flowml.runtimes.shard import Leaf


class DisagreementError(RuntimeError):
    """Workers differ in what they must have in common."""


def versions() -> str:
    """Name what results depend on, in this process.

    Examples
    --------
    >>> versions().startswith("flowml ")
    True
    """
    return f"flowml {version('flowml')}, NumPy {np.__version__}, Python {platform.python_version()}"


def kind_of_rows(leaves: Sequence[Leaf]) -> str:
    """Describe the rows that lie in memory here; empty where none do.

    Rows of another kind are named beside the first.
    """
    kinds = {
        _kind(source) for leaf in leaves for source in leaf.sources if isinstance(source, Block)
    }
    return " and ".join(sorted(kinds))


def agree(what: str, facts: Mapping[str, str]) -> None:
    """See that all who said something said the same.

    Parameters
    ----------
    what : str
        That they are to agree on.
    facts : mapping of worker to str
        Empty for a worker that has nothing to say.

    Raises
    ------
    DisagreementError
        Naming who said what.

    Examples
    --------
    >>> agree("their rows", {"a": "5 columns", "b": "", "c": "5 columns"})
    >>> agree("their rows", {"a": "5 columns", "b": "4 columns", "c": "5 columns"})
    Traceback (most recent call last):
    ...
    flowml.runtimes.gangs.preflight.DisagreementError: the workers don't agree on their rows: \
4 columns at b, but 5 columns at a, c
    """
    said: dict[str, list[str]] = {}
    for worker, fact in sorted(facts.items()):
        if fact:
            said.setdefault(fact, []).append(worker)
    if len(said) > 1:
        ranked = sorted(said.items(), key=lambda item: len(item[1]))
        parts = ", but ".join(f"{fact} at {', '.join(workers)}" for fact, workers in ranked)
        raise DisagreementError(f"the workers don't agree on {what}: {parts}")


def digest(value: Any) -> str:
    """Return a name for a solver or state: the same in all processes for the same contents.

    Examples
    --------
    >>> digest((1, np.zeros(3))) == digest((1, np.zeros(3)))
    True
    >>> digest((1, np.zeros(3))) == digest((1, np.ones(3)))
    False
    """
    hashed = hashlib.blake2b(digest_size=8)
    _feed(hashed, value)
    return hashed.hexdigest()


def _feed(hashed: Any, value: Any) -> None:
    hashed.update(f"{type(value).__qualname__}:".encode())
    if isinstance(value, np.ndarray):
        hashed.update(f"{value.dtype}{value.shape}".encode())
        hashed.update(np.ascontiguousarray(value).data if value.dtype != object else b"")
    elif isinstance(value, tuple | list):
        for member in value:
            _feed(hashed, member)
    elif is_dataclass(value):
        for field in fields(value):
            _feed(hashed, getattr(value, field.name))
    elif value is None or isinstance(value, bool | int | float | complex | str | bytes):
        hashed.update(repr(value).encode())


def _kind(block: Block) -> str:
    X, y = block.X, block.y
    what = f"{'sparse ' if is_sparse(X) else ''}{X.dtype} with {X.shape[1]} columns"
    n_targets = 0 if y is None else 1 if y.ndim == 1 else y.shape[1]
    return f"{what}, {n_targets} targets{'' if block.weight is None else ', weights'}"
