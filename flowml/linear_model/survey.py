"""The first pass of an iterative fit: how many rows, which labels, and a sample to start on."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import check_random_state

from flowml.data.schema import Schema
from flowml.drive.procedure import Procedure, Step
from flowml.kernels.column_moments import COLUMN_MOMENTS, ColumnMoments
from flowml.kernels.labels import LABEL_WEIGHTS, LabelWeights
from flowml.kernels.level_weights import LEVEL_WEIGHTS, LevelWeights
from flowml.kernels.mixed import Mixed
from flowml.kernels.rows import Array, Block, Matrix, is_sparse
from flowml.kernels.sample import SAMPLE, Sample, SampleAsk, gathered
from flowml.kernels.stored_weights import STORED_WEIGHTS
from flowml.kernels.target_totals import TargetTotals
from flowml.solvers.one_pass import OnePass
from flowml.solvers.solver import Solver
from flowml.solvers.together import Together

STAGE = "survey"
SEEDS = 1 << 31
SAMPLE_BYTES = 32 << 20
FEWEST_ROWS, ROWS_PER_COLUMN = 10_000, 40
SHARE = 0.05
"""Of the rows, where their number is known: what is gone over on the way costs about a pass."""
LARGE_SHARE = 4
"""A sample of more than a quarter of the rows saves less than it costs."""


class Survey(NamedTuple):
    """What a first look tells.

    Attributes
    ----------
    rows, weight : float
        Of all rows with a weight above zero.
    sample : Block
        Some of them, drawn at random.
    center, spread : ndarray of shape (n_features,)
        The sample's means and standard deviations about them, for CSR those of all rows, as a
        sample misses most of what a rare column holds; one for a column that is constant there.
    labels : LabelWeights or None
        Of y, where it holds labels.
    levels : LevelWeights or None
        Of the categorical columns, where there are any.
    totals : TargetTotals or None
        Of y, where they were asked for.
    share : ndarray of shape (n_features,), or None
        For CSR rows, where it was asked for: that of the rows which store a column.
    """

    rows: float
    weight: float
    sample: Block
    center: Array
    spread: Array
    labels: LabelWeights | None
    levels: LevelWeights | None = None
    totals: TargetTotals | None = None
    share: Array | None = None

    @property
    def is_thin(self) -> bool:
        """Whether the sample is small enough beside the rows that it pays to start on it."""
        return self.rows > LARGE_SHARE * self.sample.X.shape[0]

    @property
    def is_whole(self) -> bool:
        """Whether the sample holds every row of a weight above zero."""
        return bool(self.rows == self.sample.X.shape[0])

    @property
    def stored(self) -> float | None:
        """Values that a row stores on average, where they aren't all of them."""
        X = self.sample.X
        if is_sparse(X):
            return float(X.nnz / max(X.shape[0], 1))
        return float(X.shape[1]) if isinstance(X, Mixed) else None


class Beside(NamedTuple):
    """What a first look is for, beside the sample.

    Attributes
    ----------
    labels : bool
        Whether y holds labels, to be counted.
    stored : bool
        Whether to count, of CSR rows, which columns they store.
    check : Solver or None
        Goes over the rows at the same time, and refuses what it can't take.
    totals : Solver or None
        Ends with `TargetTotals`.
    """

    labels: bool = False
    stored: bool = False
    check: Solver | None = None
    totals: Solver | None = None


NOTHING = Beside()


def survey(
    schema: Schema,
    n_rows: int | None,
    fit_intercept: bool,
    seed: int,
    beside: Beside = NOTHING,
) -> Procedure[Survey]:
    """Look at the rows once.

    Parameters
    ----------
    schema : Schema
    n_rows : int or None
        Where it is known.
    fit_intercept : bool
        Whether columns may be centred.
    seed : int
    beside : Beside

    Raises
    ------
    ValueError
        If there is no row, or none of a weight above zero.
    """
    members = _members(schema, sample_ask(schema, n_rows, seed), beside)
    states = (yield Step(STAGE, Together(list(members.values())))).members
    found = dict(zip(members, states, strict=True))
    sample: Sample = found["sample"].summary
    if sample.rows == 0:
        raise ValueError("there is nothing to fit: no row, or none of a weight above zero")
    drawn = gathered(sample)
    block = Block(drawn.X, drawn.y, drawn.weights)
    with np.errstate(invalid="ignore", over="ignore"):  # the next pass names what isn't finite
        moments = found["moments"].summary if schema.sparse else _dense_moments(block)
        center, spread = _units(moments, fit_intercept)
    stored = _summary(found, "stored")
    return Survey(
        sample.rows,
        sample.weight,
        block,
        center,
        spread,
        _summary(found, "labels"),
        _summary(found, "levels"),
        _summary(found, "totals"),
        None if stored is None else stored.stored / stored.weight,
    )


def sample_seed(random_state: Any) -> int:
    """Return the seed of the sample's draw; a fixed one for None, so that fits repeat to the bit.

    Which rows are drawn sets where a solver starts, not what it finds.
    """
    if random_state is None:
        return 0
    return int(check_random_state(random_state).randint(SEEDS))


def sample_ask(schema: Schema, n_rows: int | None, seed: int) -> SampleAsk:
    """Say how many rows to draw: enough to find the columns' coefficients to a few percent."""
    least_room = FEWEST_ROWS if schema.sparse else 1000
    room = max(least_room, SAMPLE_BYTES // (8 * max(1, schema.n_features)))
    least = max(FEWEST_ROWS, ROWS_PER_COLUMN * schema.n_features)
    if n_rows is None:
        return SampleAsk(min(least, room), 1.0, seed)
    wanted = min(max(least, int(SHARE * n_rows)), room)
    return SampleAsk(wanted, min(1.0, wanted / max(n_rows, 1)), seed)


def _members(schema: Schema, ask: SampleAsk, beside: Beside) -> dict[str, Any]:
    """Return what goes over the rows together, by what it finds."""
    members: dict[str, Any] = {
        "sample": OnePass(SAMPLE, ask),
        "labels": OnePass(LABEL_WEIGHTS) if beside.labels else None,
        "check": beside.check,
        "totals": beside.totals,
        "levels": OnePass(LEVEL_WEIGHTS) if schema.categorical else None,
        "moments": OnePass(COLUMN_MOMENTS) if schema.sparse else None,
        "stored": OnePass(STORED_WEIGHTS) if schema.sparse and beside.stored else None,
    }
    return {name: member for name, member in members.items() if member is not None}


def _summary(found: Mapping[str, Any], name: str) -> Any:
    """Return what was found, None where nobody looked."""
    return found[name].summary if name in found else None


def _dense_moments(sample: Block) -> ColumnMoments:
    """Return weight, means and scatter of the sample's numbers."""
    X: Matrix = sample.X.dense if isinstance(sample.X, Mixed) else sample.X
    moments: ColumnMoments = COLUMN_MOMENTS(None, [sample._replace(X=X)], {})
    return moments


def _units(moments: ColumnMoments, fit_intercept: bool) -> tuple[Array, Array]:
    """Return where the columns are and how far they reach."""
    center = moments.mean
    squares = moments.scatter / moments.weight
    if not fit_intercept:
        center, squares = np.zeros_like(center), squares + center**2
    spread = np.sqrt(squares)
    tiny = 1e-12 * np.maximum(np.abs(center), 1e-300)
    usable = np.isfinite(center) & (spread > tiny) & np.isfinite(spread)
    return np.where(np.isfinite(center), center, 0.0), np.where(usable, spread, 1.0)
