"""Successive halving: many candidates on little, ever fewer on ever more."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.model_selection import ParameterSampler
from sklearn.utils.validation import check_random_state

from flowml.drive.procedure import Procedure, prefixed
from flowml.model_selection.base_search import BaseSearch, Trial
from flowml.model_selection.evaluator import Evaluator, Share
from flowml.parameters import check_integer
from flowml.splitters import SEEDS

ROWS = "n_samples"


class Bracket(NamedTuple):
    """One course of halving.

    Attributes
    ----------
    number : int
    params : sequence of mappings
        The candidates that it starts with.
    resources : sequence of int
        What a fit gets in each round, rising.
    """

    number: int
    params: Sequence[Mapping[str, Any]]
    resources: Sequence[int]


class HalvingSearch(BaseSearch):
    """A search in rounds, each of which keeps the best of its candidates.

    A subclass gives `_brackets`.
    """

    param_distributions: Any
    factor: int
    resource: str
    min_resources: int | None
    max_resources: int | None
    random_state: Any

    def _halve(self, evaluator: Evaluator, bracket: Bracket, seed: int) -> Procedure[list[Trial]]:
        """Go through the rounds of a bracket."""
        trials: list[Trial] = []
        params = list(bracket.params)
        for number, resource in enumerate(bracket.resources):
            share, candidates = self._equipped(evaluator, params, resource, seed)
            outcomes = yield from prefixed(evaluator.evaluate(candidates, share), f"round {number}")
            beside = {"bracket": bracket.number, "iter": number, "n_resources": resource}
            found = [Trial(p, out, beside) for p, out in zip(params, outcomes, strict=True)]
            self._tell(found)
            trials += found
            keep = math.ceil(len(params) / self.factor)
            order = np.argsort([-self._score(trial) for trial in found], kind="stable")
            params = [params[place] for place in order[:keep]]
        return trials

    def _equipped(
        self,
        evaluator: Evaluator,
        params: Sequence[Mapping[str, Any]],
        resource: int,
        seed: int,
    ) -> tuple[Share | None, list[Any]]:
        """Return the share of the rows and the candidates that a resource means."""
        if self.resource == ROWS:
            share = resource / evaluator.n_train
            given = Share(share, seed) if share < 1.0 else None
            return given, [self._candidate(one) for one in params]
        return None, [self._candidate({**one, self.resource: resource}) for one in params]

    def _score(self, trial: Trial) -> float:
        scores = trial.outcome.test
        name = self.refit if self.refit in scores else next(iter(scores))
        mean = float(scores[name].mean())
        return mean if np.isfinite(mean) else -np.inf

    def _draw(self, n_candidates: int, random: Any) -> list[dict[str, Any]]:
        sampler = ParameterSampler(self.param_distributions, n_candidates, random_state=random)
        return list(sampler)

    def _most(self, evaluator: Evaluator) -> int:
        """Return the largest resource.

        Raises
        ------
        ValueError
            If it isn't known, or below the smallest, or more rows than there are.
        """
        name, most = type(self).__name__, self.max_resources
        for given in ("min_resources", "max_resources"):
            if getattr(self, given) is not None:
                check_integer(self, given, 1)
        if most is None and self.resource != ROWS:
            raise ValueError(
                f"{name}(resource={self.resource!r}): give max_resources, the "
                "largest value of that parameter"
            )
        if most is None:
            most = evaluator.n_train
        elif self.resource == ROWS and most > evaluator.n_train:
            raise ValueError(
                f"{name}(max_resources={most}): a split has {evaluator.n_train} rows to train on"
            )
        if self.min_resources is not None and self.min_resources > most:
            raise ValueError(
                f"{name}(min_resources={self.min_resources}): no fit gets above {most}"
            )
        return most

    def _best(self, table: dict[str, Any], name: str) -> int:
        """Return the best of those that got the most."""
        scores = np.nan_to_num(table[f"mean_{name}"], nan=-np.inf)
        last = table["n_resources"] == table["n_resources"].max()
        return int(np.where(last, scores, -np.inf).argmax())

    def _candidate(self, params: Mapping[str, Any]) -> Any:
        candidate = super()._candidate(params)
        if self.resource != ROWS and self.resource not in params:
            candidate.set_params(**{self.resource: self.max_resources})
        return candidate

    def _start(self) -> tuple[Any, int]:
        """Return a source of random numbers, and the seed by which rows are drawn."""
        check_integer(self, "factor", 2)
        random = check_random_state(self.random_state)
        return random, int(random.randint(SEEDS))


def rounds(least: int, most: int, factor: int, count: int) -> list[int]:
    """Return the resources of some rounds, of which the last gets the most.

    Examples
    --------
    >>> rounds(10, 100, 3, 3)
    [11, 33, 100]
    """
    resources = [most // factor ** (count - 1 - number) for number in range(count)]
    return [max(least, resource) for resource in resources]
