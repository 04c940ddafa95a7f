"""Files by path, glob, folder, list or fsspec URL."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from os import PathLike
from typing import Any, TypeAlias

import fsspec
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

Paths: TypeAlias = str | PathLike[str] | Sequence[str | PathLike[str]]
StorageOptions: TypeAlias = Mapping[str, Any] | None


class NoSuchFileError(FileNotFoundError, ValueError):
    """A path or pattern that no file answers to."""


@dataclass(frozen=True)
class File:
    """One file, as it was when it was found.

    Parameters
    ----------
    url : str
        A path for local files, else with its protocol.
    size : int
        Bytes.
    version : str
        Changes when the file does, as far as its file system can tell.
    options : mapping
        What its file system is opened with. It may hold secrets, and is no part of what the file
        is: not shown, not compared, not in a fingerprint.
    """

    url: str
    size: int
    version: str
    options: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def __dask_tokenize__(self) -> tuple[str, int, str]:
        return self.url, self.size, self.version

    @property
    def is_local(self) -> bool:
        """Whether `url` is a path on this machine."""
        return "://" not in self.url

    def open(self) -> AbstractContextManager[Any]:
        """Open it for reading bytes, decompressed where its name says that it is compressed."""
        return fsspec.open(self.url, "rb", compression="infer", **self.options)


def find_files(paths: Paths, *suffixes: str, storage_options: StorageOptions = None) -> list[File]:
    """Find files, in the order given; those of a glob or folder by name.

    Parameters
    ----------
    paths : path, glob, folder, URL, or a list of them
    suffixes : str
        Which files of a folder count. Names that start with ``_`` or ``.`` never do.
    storage_options : mapping, optional
        What fsspec opens the file system with.

    Raises
    ------
    NoSuchFileError
        Naming the path that leads to no file.
    """
    each = [paths] if isinstance(paths, str | PathLike) else list(paths)
    if not each:
        raise NoSuchFileError("an empty list of paths: there is nothing to read")
    return [file for path in each for file in _expand(str(path), suffixes, storage_options or {})]


def _expand(path: str, suffixes: Sequence[str], options: Mapping[str, Any]) -> list[File]:
    system, root = url_to_fs(path, **options)
    if any(sign in root for sign in "*?["):
        found = [name for name in sorted(system.glob(root)) if system.isfile(name)]
        problem = f"no file matches {path}"
    elif system.isdir(root):
        found = [name for name in sorted(system.find(root)) if _counts(name, root, suffixes)]
        problem = f"the folder {path} holds no {' or '.join(suffixes)} file"
    else:
        found = [root] if system.exists(root) else []
        problem = f"there is no file {path}"
    if not found:
        raise NoSuchFileError(problem)
    return [_describe(system, name, options) for name in found]


def _counts(name: str, root: str, suffixes: Sequence[str]) -> bool:
    inside = name[len(root) :].strip("/").split("/")
    return name.endswith(tuple(suffixes)) and not any(part[:1] in "_." for part in inside)


def _describe(system: Any, name: str, options: Mapping[str, Any]) -> File:
    url = name if isinstance(system, LocalFileSystem) else system.unstrip_protocol(name)
    return File(url, int(system.size(name)), str(system.ukey(name)), options)
