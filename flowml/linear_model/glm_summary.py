"""Summaries of generalised linear models: without data, or with the rows for robust errors."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from flowml.estimator import PassEstimator
from flowml.kernels.linear_loss import Point
from flowml.linear_model.categorical import names_of_coefficients
from flowml.linear_model.evidence import Described
from flowml.linear_model.robust import NONROBUST, check_kind, score_products, with_scores
from flowml.linear_model.summary import COLUMNS, LinearSummary
from flowml.losses.likelihood import likelihood_of
from flowml.solvers.glm_statistics import (
    Evidence,
    few_groups,
    glm_statistics,
    inverse_curvature,
    robust_covariance,
)


class GlmSummary(PassEstimator):
    """An estimator whose fit has standard errors."""

    _described: Described

    def summary(
        self,
        X: Any = None,
        y: Any = None,
        sample_weight: Any = None,
        *,
        cov_type: str | None = None,
        groups: Any = None,
    ) -> LinearSummary:
        r"""Return standard errors, tests and measures of fit; needs no data unless they are robust.

        The errors are those of maximum likelihood, from Fisher's information, and equal
        statsmodels' ``Logit``, ``MNLogit`` and ``GLM``. With a ridge penalty, whose curvature is
        Λ, the covariance is :math:`\phi (H + \Lambda)^{-1} H (H + \Lambda)^{-1}`: that of the
        estimator about its own, shrunken mean, without its bias; a penalty leaves
        :math:`\mathrm{tr}((H + \Lambda)^{-1} H)` degrees of freedom to the coefficients. Of
        three classes or more each has its coefficients against the first class.

        Tests are by the normal distribution, or by Student's where the dispersion is estimated
        (Pearson's statistic over the degrees of freedom). Rows count by their number for degrees
        of freedom and BIC, and by their weight for everything else. Up to ten million numbers in X
        a fit takes a pass more where it must for six digits of the standard errors; beyond that
        they have about five, and more with a `tol` of 1e-8. With an offset the null deviance is
        that of the best constant beside the offsets; where it has no closed form, it is found on
        the same passes as the coefficients.

        HC0 and clusters are statsmodels'; HC1 to HC3, which it only has for least squares, are
        those of MacKinnon and White with the rows' leverages.

        Parameters
        ----------
        X, y, sample_weight : as for `fit`, optional
            The rows that the model was fitted to; one pass over them.
        cov_type : {"nonrobust", "HC0", "HC1", "HC2", "HC3", "cluster"}, optional
            Robust errors need the rows.
        groups : array or Dask collection of shape (n_rows,), or str
            For "cluster", the group of each row; of a Dataset the name of a target column.

        Returns
        -------
        LinearSummary

        Raises
        ------
        NotFittedError
            If the model isn't fitted.
        ValueError
            If there are no standard errors, saying why, or what is needed isn't given.
        """
        check_is_fitted(self)
        kind = check_kind(cov_type, X, groups)
        described = self._described
        evidence, likelihood = described.evidence, likelihood_of(described.loss)
        name = type(self).__name__
        if evidence is None or likelihood is None:
            raise ValueError(
                f"this {name} has no standard errors: its penalty isn't smooth, and coefficients "
                "are set to exactly zero or a bound"
            )
        if described.separated:
            raise ValueError(
                f"this {name} has no standard errors: the classes are perfectly separated, so that "
                "without a penalty its coefficients would grow for ever; set a finite C"
            )
        if evidence.curvature is None and X is None:
            raise ValueError(
                f"solver {described.solver!r} keeps no curvature: call summary(X, y), which takes "
                "one pass, or fit with solver='newton'"
            )
        robust, remarks = None, []
        if X is not None:
            point = Point(
                described.loss,
                described.target,
                evidence.coef,
                evidence.intercept,
                evidence.center,
                described.encoding,
            )
            rows = (X, y, sample_weight, groups)
            sums = score_products(self, point, evidence, rows, kind)
            evidence = with_scores(evidence, sums)
            if kind != NONROBUST:
                inverse, used = inverse_curvature(evidence)
                robust = robust_covariance(evidence, sums, kind, inverse, used)
                remarks += few_groups(sums)
        statistics = glm_statistics(evidence, likelihood, robust)._asdict()
        columns = {column: statistics.pop(column) for column in COLUMNS}
        table = pd.DataFrame(columns, index=self._coefficient_index(evidence))
        if described.growing:
            remarks.append(self._without_growing(table, described.growing))
        return LinearSummary(name, self._target_name(), table, statistics, tuple(remarks))

    def _without_growing(self, table: pd.DataFrame, growing: tuple[int, ...]) -> str:
        """Leave out the statistics of coefficients that would grow for ever, and say so."""
        names = names_of_coefficients(self)
        grown = [names[place] for place in growing]
        rows = table.index.get_level_values("coefficient").isin(grown)
        table.loc[rows, table.columns != "coef"] = np.nan
        return f"The coefficients of {', '.join(grown)} grow for ever: they have no statistics."

    def _coefficient_index(self, evidence: Evidence) -> pd.Index:
        """Name the coefficients, of several outputs by class and coefficient."""
        names = names_of_coefficients(self)
        names = ["intercept"] * bool(evidence.free[-1, -1]) + names
        if len(evidence.coef) == 1:
            return pd.Index(names, name="coefficient")
        labels = self.classes_.tolist()[1:]  # type: ignore[attr-defined]
        return pd.MultiIndex.from_product([labels, names], names=["class", "coefficient"])

    def _target_name(self) -> str:
        names = self._described.target_names
        return "y" if names is None else names[0]
