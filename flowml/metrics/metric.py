"""The metric: which sums over the rows it takes, and what becomes of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from flowml.data.dataset import Dataset
from flowml.data.pairs import pair
from flowml.drive.one_summary import one_summary
from flowml.kernels.fold import Ask, Fold
from flowml.kernels.several import Asks, several

PREDICTION, SCORE, ROWS = "y_pred", "y_score", "rows"


@dataclass(frozen=True)
class Metric:
    """A measure of predictions, as data.

    Parameters
    ----------
    takes : {"y_pred", "y_score", "rows"}
        Predictions, or probabilities and other scores, or the rows as they are.
    sums : tuple of (Fold, ask)
    finish : callable ``*summaries -> value``
    """

    takes: str
    sums: tuple[tuple[Fold, Ask], ...]
    finish: Callable[..., Any]


class Measured(float):
    """A number, and how far it may be from what sorting all rows at once would give.

    Attributes
    ----------
    error_bound : float
        0 where it is exact.

    Examples
    --------
    >>> area = Measured(0.75, 1e-6)
    >>> area, area.error_bound
    (0.75, 1e-06)
    """

    error_bound: float

    def __new__(cls, value: float, error_bound: float = 0.0) -> "Measured":
        """Make a float that knows its error."""
        number = super().__new__(cls, value)
        number.error_bound = float(error_bound)
        return number

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep the bound in copies."""
        return Measured, (float(self), self.error_bound)


def measure(metrics: Sequence[Metric], dataset: Dataset) -> list[Any]:
    """Return the metrics' values, in one pass over targets beside predictions."""
    wanted: list[tuple[Fold, Ask]] = []
    for metric in metrics:
        wanted += [pair for pair in metric.sums if pair not in wanted]
    asks = Asks(tuple(range(len(wanted))), tuple(ask for _, ask in wanted))
    found = one_summary(dataset, several([fold for fold, _ in wanted]), asks, "metrics").members
    return [
        metric.finish(*(found[wanted.index(pair)] for pair in metric.sums)) for metric in metrics
    ]


def measure_predictions(metric: Metric, y_true: Any, y_pred: Any, sample_weight: Any) -> Any:
    """Return one metric of predictions."""
    return measure([metric], pair(y_true, predicted=y_pred, weight=sample_weight))[0]


def measure_scores(metric: Metric, y_true: Any, y_score: Any, sample_weight: Any) -> Any:
    """Return one metric of probabilities or other scores."""
    return measure([metric], pair(y_true, scores=y_score, weight=sample_weight))[0]
