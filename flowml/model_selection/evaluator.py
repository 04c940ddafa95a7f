"""Who fits and scores candidates on the splits: shared passes, tasks, or one after the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from sklearn.base import clone

from flowml.drive.procedure import Procedure, prefixed
from flowml.estimator import validate_schema
from flowml.kernels.random_keys import uniforms
from flowml.kernels.splits import TRAIN, Thinned
from flowml.model_selection.apart import (
    Rows,
    Way,
    evaluate_in_memory,
    evaluate_in_tasks,
    refit,
)
from flowml.model_selection.outcome import Outcome
from flowml.model_selection.shared import Setting, evaluate_together


class Share(NamedTuple):
    """A random share of the training rows.

    Attributes
    ----------
    size : float
    seed : int
    """

    size: float
    seed: int


class Evaluator(Protocol):
    """Fits and scores candidates."""

    @property
    def n_train(self) -> int:
        """Training rows of the first split."""

    @property
    def n_splits(self) -> int:
        """Number of splits."""

    def evaluate(
        self, candidates: Sequence[Any], share: Share | None = None
    ) -> Procedure[list[Outcome]]:
        """Fit each on each split's training rows, or a share of them, and score it."""

    def refit(self, candidate: Any) -> Procedure[Any]:
        """Return a candidate fitted to all rows."""


@dataclass(frozen=True, eq=False)
class SharedPasses:
    """Candidates of flowml ride on the same passes.

    Parameters
    ----------
    setting : Setting
    """

    setting: Setting

    @property
    def n_train(self) -> int:
        """Training rows of the first split."""
        return self.setting.splits.count(0, TRAIN)

    @property
    def n_splits(self) -> int:
        """Number of splits."""
        return self.setting.splits.n_splits

    def evaluate(
        self, candidates: Sequence[Any], share: Share | None = None
    ) -> Procedure[list[Outcome]]:
        """Fit and score together."""
        setting = self.setting
        if share is not None:
            setting = setting._replace(splits=Thinned(setting.splits, *share))
        return evaluate_together(candidates, setting)

    def refit(self, candidate: Any) -> Procedure[Any]:
        """Fit in passes over all rows."""
        estimator, dataset = clone(candidate), self.setting.dataset
        validate_schema(estimator, dataset.schema, reset=True)
        estimator._check(dataset)
        yield from prefixed(estimator._learning(dataset.schema, dataset.n_rows), "refit")
        estimator._mark_rows(dataset)
        return estimator


@dataclass(frozen=True, eq=False)
class Tasks:
    """Candidates of others are fitted where the lazy rows are, each fit in a task.

    Parameters
    ----------
    setting : Setting
    way : Way
    """

    setting: Setting
    way: Way

    n_train = SharedPasses.n_train
    n_splits = SharedPasses.n_splits

    def evaluate(
        self, candidates: Sequence[Any], share: Share | None = None
    ) -> Procedure[list[Outcome]]:
        """Fit and score in tasks."""
        splits = self.setting.splits
        if share is not None:
            splits = Thinned(splits, *share)
        return evaluate_in_tasks(candidates, self.setting.dataset, splits, self.way)

    def refit(self, candidate: Any) -> Procedure[Any]:
        """Fit in a task."""
        yield from ()
        return refit(candidate, self.setting.dataset)


@dataclass(frozen=True, eq=False)
class InMemory:
    """Candidates of others are fitted to rows in this process.

    Parameters
    ----------
    rows : Rows
    way : Way
    """

    rows: Rows
    way: Way

    @property
    def n_train(self) -> int:
        """Training rows of the first split."""
        return len(self.rows.pairs[0][0])

    @property
    def n_splits(self) -> int:
        """Number of splits."""
        return len(self.rows.pairs)

    def evaluate(
        self, candidates: Sequence[Any], share: Share | None = None
    ) -> Procedure[list[Outcome]]:
        """Fit and score one after the other."""
        rows = self.rows
        if share is not None:
            last = 1 + max(int(numbers.max()) for pair in rows.pairs for numbers in pair)
            drawn = uniforms(share.seed, 0, last) < share.size
            rows = rows._replace(pairs=[(train[drawn[train]], test) for train, test in rows.pairs])
        return evaluate_in_memory(candidates, rows, self.way)

    def refit(self, candidate: Any) -> Procedure[Any]:
        """Fit to all rows."""
        yield from ()
        X, y, _, params = self.rows
        return clone(candidate).fit(X, *(() if y is None else (y,)), **params)
