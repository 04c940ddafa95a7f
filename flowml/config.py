"""Where and how fits run: everything that is infrastructure and so isn't in a constructor."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from flowml.pool import Pool

RUNTIMES = ("auto", "dataflow", "allreduce", "parameter_server", "coded")
DEFAULT_RUNTIME = "dataflow"
RUNTIME_SETTINGS = ("keep", "staleness", "local_steps", "straggler", "n_stragglers")
"""What a job's table about its runtime may hold beside the name."""
STRAGGLERS = (
    "auto",
    "none",
    "backup",
    "fractional",
    "cyclic",
    "directional",
    "stochastic",
    "ignore",
)


@dataclass(frozen=True)
class Config:
    """Settings of the current context; see :func:`config_context` for their meaning.

    Attributes
    ----------
    pool : Pool or None
        What fits in the outermost block open for each other; None outside of any.
    """

    client: Any = None
    runtime: str = DEFAULT_RUNTIME
    staleness: int = 0
    local_steps: int | None = 1
    straggler: str = "auto"
    n_stragglers: int = 1
    keep: bool | None = None
    n_threads: int | None = None
    checkpoint: Path | None = None
    checkpoint_seconds: float = 5.0
    resume: bool = False
    progress: bool = False
    callbacks: tuple[Callable[[Any], None], ...] = ()
    pool: Pool | None = None


_current: ContextVar[Config] = ContextVar("flowml_config", default=Config())  # noqa: B039 - frozen


def get_config() -> Config:
    """Return the settings in force.

    Examples
    --------
    >>> from flowml import get_config
    >>> get_config().runtime
    'dataflow'
    """
    return _current.get()


@contextmanager
def config_context(**settings: Any) -> Iterator[Config]:
    """Run fits with other settings, inside a ``with`` block.

    Parameters
    ----------
    client : distributed.Client, optional
        The cluster to run on. Without one, lazy input runs on the client that is active, if any,
        and data in this process on this process's threads.
    runtime : str, default="dataflow"
        Who adds the summaries up on a cluster. "dataflow": a Dask graph for each pass.
        "allreduce": the workers among themselves, which then run the whole loop
        (``pip install "flowml[allreduce]"``) and meet once for all fits in the block.
        "parameter_server": one worker that serves the others, or several that share out the
        columns of wide CSR rows. "coded": workers of which some
        needn't be waited for. "auto": data in this process stay on its threads, others start on
        dataflow and go over to allreduce once graphs have cost more time than that takes.
    staleness : int, default=0
        Passes that a worker may be ahead of the slowest with ``runtime="parameter_server"``. With
        0 the bits are those of the other runtimes; more is for solvers that take sums of answers
        to different states: k-means, stochastic gradients, and linear models with
        ``solver="admm"``.
    local_steps : int or None, default=1
        Epochs that each leaf of the data goes through by itself in a pass, before they are
        averaged, with any runtime: a few fat rounds where the network is slow. For stochastic
        gradients (`SGDClassifier`, `SGDRegressor`), whose result depends on it; a leaf's epoch is
        a step for every 64 rows. With None all are averaged once, at the end.
    straggler : str, default="auto"
        What is done with ``runtime="coded"`` about workers that are late. "auto" measures how long
        the workers take, and brings parts of the rows to others, moves shares, or begins backup
        tasks where that pays. "none" waits, "backup" has others begin again what is late, and
        "fractional" has groups of workers do the same work: the bits are those of the other
        runtimes. "cyclic" gives the same sums to rounding, for solvers whose summaries add up as
        vectors. "directional" cuts columns instead of rows, with sums of columns beside them, for
        gradients of linear models with many dense columns; with ``solver="block_descent"`` passes
        end without those who are late even if they are more. "stochastic" and "ignore" give
        estimates, for stochastic gradients.
    n_stragglers : int, default=1
        How many workers need not answer, with "fractional", "cyclic", "directional", "stochastic"
        and "ignore".
    keep : bool, optional
        Load lazy data once and keep it for the length of the fit (True), or read it again every
        pass (False). By default it is kept where it fits the workers' memory.
    n_threads : int, optional
        Threads for data in this process; by default one for each processor.
    checkpoint : str or Path, optional
        Folder for the checkpoint: the state is saved there after a pass, at most every
        `checkpoint_seconds`.
    checkpoint_seconds : float, default=5
        Least seconds between two checkpoints; 0 saves after each pass.
    resume : bool, default=False
        Go on from the checkpoint, where there is one.
    progress : bool, default=False
        Show a progress bar, or plain lines where the output isn't a terminal.
    callbacks : sequence of callables
        Each is called with every event of `flowml.drive.events`.

    Raises
    ------
    TypeError
        For a setting that doesn't exist.
    ValueError
        For a value out of range.

    Examples
    --------
    >>> import flowml
    >>> with flowml.config_context(n_threads=1):
    ...     flowml.get_config().n_threads
    1
    """
    before = get_config()
    config = _checked(replace_known(before, settings))
    with nullcontext(before.pool) if before.pool is not None else Pool() as pool:
        token = _current.set(replace(config, pool=pool))
        try:
            yield config
        finally:
            _current.reset(token)


def replace_known(config: Config, settings: dict[str, Any]) -> Config:
    """Replace settings, naming the one that doesn't exist."""
    known = [field.name for field in fields(Config) if field.name != "pool"]
    for name in settings:
        if name not in known:
            raise TypeError(f"config_context has no setting {name!r}; it has {', '.join(known)}")
    if settings.get("checkpoint") is not None:
        settings = settings | {"checkpoint": Path(settings["checkpoint"])}
    if "callbacks" in settings:
        settings = settings | {"callbacks": tuple(settings["callbacks"])}
    return replace(config, **settings)


def _checked(config: Config) -> Config:
    if config.runtime not in RUNTIMES:
        raise ValueError(f"runtime={config.runtime!r} is none of {', '.join(RUNTIMES)}")
    if config.staleness < 0:
        raise ValueError(f"staleness={config.staleness} must be at least 0")
    if config.local_steps is not None and config.local_steps < 1:
        raise ValueError(f"local_steps={config.local_steps} must be at least 1, or None")
    if config.straggler not in STRAGGLERS:
        raise ValueError(f"straggler={config.straggler!r} is none of {', '.join(STRAGGLERS)}")
    if config.n_stragglers < 1:
        raise ValueError(f"n_stragglers={config.n_stragglers} must be at least 1")
    if config.resume and config.checkpoint is None:
        raise ValueError("resume=True needs checkpoint=, the folder to resume from")
    if config.n_threads is not None and config.n_threads < 1:
        raise ValueError(f"n_threads={config.n_threads} must be at least 1")
    if config.checkpoint_seconds < 0:
        raise ValueError(f"checkpoint_seconds={config.checkpoint_seconds} must be at least 0")
    for callback in config.callbacks:
        if not callable(callback):
            raise TypeError(f"callbacks holds {callback!r}, which can't be called")
    return config
