"""Who may import whom, and how large things may get."""

import ast
import io
import statistics
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import flowml

ROOT = Path(flowml.__file__).parent

ROOMS = (
    {"config", "pool", "datasets"},
    {"losses", "penalties"},
    {"kernels"},
    {"solvers", "codes"},
    {"data"},
    {"runtimes"},
    {"drive"},
    {"linear_model", "svm", "multiclass", "cluster", "preprocessing", "metrics"},
    {"model_selection"},
    {"simulate", "testing"},
    {"report"},
    {"cli"},
)
"""From the bottom up: a module imports from its own room and those below. Modules at the top of
the package, such as ``flowml/estimator.py``, belong to the estimators unless they are named."""

ESTIMATORS = 7
RUNTIMES = (
    {"cluster"},
    {"gangs"},
    {"elastic"},
    {"dataflow", "allreduce", "parameter_server", "coded"},
    {"automatic", "traffic"},
    {"choose"},
    {"whole"},
)
"""The folders of ``flowml/runtimes`` from the bottom up, and the modules that stand above some of
them. Modules that aren't named are below all. Two of the same level don't know each other."""
ONLY_IN = {
    "distributed": {"runtimes", "cli", "testing"},
    "dask.array": {"data"},
    "dask.dataframe": {"data"},
    "pyarrow": {"data"},
    "zarr": {"data"},
}
STRANGERS = ("sklearn", "dask", "distributed")
"""Packages whose private names are none of our business."""

FAMILIES = ("linear_model", "svm", "cluster", "preprocessing")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One file of the package, parsed."""

    path: Path
    source: str
    tree: ast.Module

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT.parent))

    @property
    def room(self) -> str:
        return self.path.relative_to(ROOT).parts[0].removesuffix(".py")


@cache
def modules() -> tuple[Module, ...]:
    paths = sorted(path for path in ROOT.rglob("*.py"))
    sources = [path.read_text() for path in paths]
    return tuple(
        Module(path, source, ast.parse(source)) for path, source in zip(paths, sources, strict=True)
    )


def imports(module: Module) -> Iterator[tuple[str, ast.AST]]:
    """Yield imported names in full: ``a.b`` for both ``import a.b`` and ``from a import b``."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module.name}: relative import"
            yield from ((f"{node.module}.{alias.name}", node) for alias in node.names)


def functions(module: Module) -> Iterator[Function]:
    yield from (node for node in ast.walk(module.tree) if isinstance(node, Function))


def level(room: str) -> int:
    for number, rooms in enumerate(ROOMS):
        if room in rooms:
            return number
    assert not (ROOT / room).is_dir(), f"flowml/{room} is in no room: add it to ROOMS"
    return ESTIMATORS


def inside(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def test_imports_go_downwards() -> None:
    upwards = []
    for module in modules():
        if module.path == ROOT / "__init__.py":
            continue
        for name, _ in imports(module):
            package, _, rest = name.partition(".")
            if package == "flowml" and level(rest.split(".")[0] or "__init__") > level(module.room):
                upwards.append(f"{module.name} imports {name}")
    assert not upwards


def test_ways_of_adding_up_know_nothing_of_each_other() -> None:
    levels = {name: number for number, names in enumerate(RUNTIMES, 1) for name in names}
    room = ROOT / "runtimes"
    assert {path.parent.name for path in room.glob("*/__init__.py")} <= set(levels)
    astray = []
    for module in (module for module in modules() if room in module.path.parents):
        own = module.path.relative_to(room).parts[0].removesuffix(".py")
        for name, _ in imports(module):
            other = name.split(".")[2] if inside(name, "flowml.runtimes") else own
            low, high = levels.get(other, 0), levels.get(own, 0)
            if other != own and (low > high or low == high > 0):
                astray.append(f"{module.name} imports {name}")
    assert not astray


def test_libraries_stay_in_their_rooms() -> None:
    astray = [
        f"{module.name} imports {name}"
        for module in modules()
        for name, _ in imports(module)
        for library, rooms in ONLY_IN.items()
        if inside(name, library) and module.room not in rooms
    ]
    assert not astray


def test_imports_stand_at_the_top() -> None:
    inner = [
        f"{module.name}:{node.lineno}"
        for module in modules()
        for function in functions(module)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert not inner


def test_private_names_of_others_stay_private() -> None:
    private = [
        f"{module.name} imports {name}"
        for module in modules()
        for name, _ in imports(module)
        if name.split(".")[0] in STRANGERS and any(part.startswith("_") for part in name.split("."))
    ]
    assert not private


def test_every_module_says_what_it_is() -> None:
    assert not [module.name for module in modules() if not ast.get_docstring(module.tree)]


def test_modules_are_small() -> None:
    sizes = {module.name: len(module.source.splitlines()) for module in modules()}
    assert not {name: size for name, size in sizes.items() if size >= 600}
    assert statistics.median(sizes.values()) < 200


def code_lines(module: Module) -> set[int]:
    """Return the numbers of the lines that hold code: no blanks, comments or docstrings."""
    idle = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(module.source).readline):
        if token.type not in (*idle, tokenize.ENDMARKER):
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            lines.difference_update(range(node.lineno, (node.end_lineno or 0) + 1))
    return lines


def test_functions_are_short() -> None:
    lengths: dict[str, int] = {}
    for module in modules():
        lines = code_lines(module)
        for function in functions(module):
            body = range(function.body[0].lineno, (function.end_lineno or 0) + 1)
            lengths[f"{module.name}:{function.name}"] = len(lines.intersection(body))
    assert not {name: length for name, length in lengths.items() if length >= 60}
    assert statistics.median(lengths.values()) < 10


def test_functions_take_few_parameters() -> None:
    """A constructor may take 12, others 7; a waiver is a ``noqa`` with its reason."""
    many = {}
    for module in modules():
        lines = module.source.splitlines()
        for function in functions(module):
            given = function.args
            names = [a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
            count = len([name for name in names if name not in ("self", "cls")])
            waived = "# noqa: PLR0913 - " in lines[function.lineno - 1]
            if count > (12 if function.name == "__init__" else 7) and not waived:
                many[f"{module.name}:{function.name}"] = count
    assert not many


def test_importing_flowml_is_light() -> None:
    heavy = "{'numba', 'distributed', 'sklearn', 'dask', 'pandas', 'matplotlib'}"
    code = f"import sys, flowml; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def public_estimators() -> list[Any]:
    families = [import_module(f"flowml.{family}") for family in FAMILIES]
    found = [getattr(family, name) for family in families for name in family.__all__]
    return [estimator for estimator in found if hasattr(estimator, "fit")]


@pytest.mark.parametrize("estimator", public_estimators(), ids=lambda cls: cls.__name__)
def test_estimators_are_documented(estimator: Any) -> None:
    for section in ("Parameters\n", "Attributes\n", "Examples\n"):
        assert f"{section}    {'-' * (len(section) - 1)}" in estimator.__doc__, section
    assert ">>> " in estimator.__doc__
    for name in (name for name in vars(estimator) if not name.startswith("_")):
        member = getattr(estimator, name)
        assert not callable(member) or member.__doc__, name


@pytest.mark.parametrize("estimator", public_estimators(), ids=lambda cls: cls.__name__)
def test_parameters_are_documented(estimator: Any) -> None:
    documented = estimator.__doc__.split("Attributes\n")[0]
    for name in estimator().get_params():
        assert f"\n    {name} : " in documented, name
