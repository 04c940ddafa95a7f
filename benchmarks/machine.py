"""What it was measured on: the machine and the versions."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil
from threadpoolctl import threadpool_info

PACKAGES = (
    "flowml",
    "dask",
    "distributed",
    "numpy",
    "scipy",
    "numba",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "scikit-learn-intelex",
    "dask-ml",
    "pyspark",
    "glum",
)


def machine() -> dict[str, str]:
    """Describe the processor, its cores, the memory and the system."""
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": platform.platform(),
    }


def versions() -> dict[str, str]:
    """Return the versions of everything that takes part."""
    found = {"Python": platform.python_version(), "Java": _java(), "NumPy's BLAS": _blas()}
    return found | {package: _version(package) for package in PACKAGES}


def commit() -> str:
    """Return the commit that is checked out, with a plus if files differ from it."""
    command = ["git", "describe", "--always", "--dirty=+"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent)
    return done.stdout.strip() or "unknown"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _java() -> str:
    try:
        done = subprocess.run(["java", "-version"], capture_output=True, text=True)
    except FileNotFoundError:
        return "not installed"
    return done.stderr.splitlines()[0].split('"')[1]


def _blas() -> str:
    libraries = [info for info in threadpool_info() if info["user_api"] == "blas"]
    return ", ".join(sorted({f"{info['internal_api']} {info['version']}" for info in libraries}))
