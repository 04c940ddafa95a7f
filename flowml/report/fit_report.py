"""The report of one fit: what was trained on what, what it took, and what came out."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from flowml.drive.plan import size
from flowml.report import drawings
from flowml.report.page import (
    Page,
    Section,
    code,
    duration,
    facts,
    figure,
    key_figures,
    measures,
    note,
    number,
    table,
)
from flowml.report.quality import coefficient_table, summary_of
from flowml.report.trained import Trained

UNKNOWN = "not counted"
MEASURES = {
    "r_squared": "R²",
    "adjusted_r_squared": "adjusted R²",
    "sigma": "σ of the residuals",
    "f_statistic": "F",
    "f_p_value": "p of F",
    "pseudo_r_squared": "pseudo-R²",
    "deviance": "deviance",
    "null_deviance": "null deviance",
    "dispersion": "dispersion",
    "log_likelihood": "log-likelihood",
    "aic": "AIC",
    "bic": "BIC",
    "condition_number": "condition number",
}


def fit_report(trained: Trained, job: str, versions: Mapping[str, str]) -> str:
    """Write the report of a fit.

    Parameters
    ----------
    trained : Trained
    job : str
        As TOML.
    versions : mapping of str to str

    Returns
    -------
    str
        HTML, which needs nothing but itself.
    """
    sections = [
        Section("What was trained", [facts(description(trained))]),
        *result_sections(trained),
        Section("Plan and measured", list(_costs(trained))),
        Section("Job", [code(job), note(", ".join(f"{k} {v}" for k, v in versions.items()))]),
    ]
    lead = f"Trained on {trained.data}, {datetime.now():%d %B %Y, %H:%M}."
    footer = f"Written by flowml {versions['flowml']}."
    headline = key_figures(headline_figures(trained))
    return Page(type(trained.model).__name__, lead, headline, sections, footer).render()


def headline_figures(trained: Trained) -> dict[str, str]:
    """Return the few numbers that matter most."""
    rows = trained.n_rows
    return {name: number(value) for name, value in trained.scores.items()} | {
        "Rows": UNKNOWN if rows is None else f"{rows:,}",
        "Features": f"{trained.model.n_features_in_:,}",
        "Passes": f"{trained.model.n_passes_:,}",
        "Fitted in": duration(trained.seconds),
    }


def description(trained: Trained) -> dict[str, str]:
    """Return names and texts that say what was trained on what."""
    schema, dataset = trained.dataset.schema, trained.dataset
    return {
        "model": str(trained.model),
        "data": trained.data,
        "kind": f"{dataset.kind}, {len(dataset.parts):,} blocks, {schema.dtype}",
        "features": ", ".join(schema.feature_names or ()) or f"{schema.n_features} without names",
        **(
            {"target": ", ".join(schema.target_names or ("without name",))}
            if schema.n_targets
            else {}
        ),
        **({"weights": "yes"} if schema.weighted else {}),
        "ran on": trained.place,
    }


def result_sections(trained: Trained) -> Iterator[Section]:
    """Give the sections about what came out; each kind of model has its own."""
    model = trained.model
    if hasattr(model, "coef_"):
        yield Section("Coefficients", list(_coefficients(trained)))
    if hasattr(model, "cluster_centers_"):
        yield Section("Cluster centres", list(_centres(trained)))
    if hasattr(model, "transform") and hasattr(model, "scale_"):
        yield Section("Columns", [table(_columns(trained))])
    if model.n_passes_ > 1:
        yield Section("Convergence", list(_convergence(trained)))


def _coefficients(trained: Trained) -> Iterator[Markup]:
    summary = summary_of(trained.model)
    if summary is None:
        yield table(coefficient_table(trained.model, trained.dataset.schema.target_names))
        return
    coefficients = summary.coefficients
    is_slope = coefficients.index.get_level_values("coefficient") != "intercept"
    if coefficients.index.nlevels > 1:
        coefficients = coefficients.set_axis([f"{a}: {b}" for a, b in coefficients.index])
    statistic = coefficients.loc[is_slope, "statistic"]
    yield from _drawn(
        drawings.bars, statistic, "coefficient, in units of its standard error (t or z statistic)"
    )
    yield table(coefficients)
    yield measures(
        {
            label: number(float(summary.measures[name]))
            for name, label in MEASURES.items()
            if name in summary.measures
        }
    )


def _centres(trained: Trained) -> Iterator[Markup]:
    centres = pd.DataFrame(
        trained.model.cluster_centers_.astype(np.float64), columns=_features(trained)
    )
    centres.index.name = "cluster"
    yield from _drawn(drawings.heat, centres)
    yield note("Colours: how far a centre is from the mean of the centres, column by column.")
    yield table(centres)


def _columns(trained: Trained) -> pd.DataFrame:
    """Return what a scaler learned of each column."""
    learned = {
        name.removesuffix("_"): value
        for name, value in vars(trained.model).items()
        if name.endswith("_")
        and not name.startswith("_")
        and np.shape(value) == (trained.model.n_features_in_,)
    }
    learned.pop("feature_names_in", None)
    return pd.DataFrame(learned, index=pd.Index(_features(trained), name="column"))


def _convergence(trained: Trained) -> Iterator[Markup]:
    history = trained.model.history_
    if history["objective"].notna().any():
        yield from _drawn(drawings.convergence, history)
    yield table(history[["stage", "objective", "change", "seconds"]])


def _costs(trained: Trained) -> Iterator[Markup]:
    """Compare what the plan promised with what was measured."""
    plan, history = trained.plan, trained.model.history_
    read = int(history["nbytes"].max())
    planned = {
        "passes": f"at most {plan.passes:,}",
        "bytes per pass": size(plan.bytes_per_pass),
        "peak memory of a worker, over the idle process": size(plan.peak_memory),
        "time": "—",
    }
    measured = {
        "passes": f"{trained.model.n_passes_:,}",
        "bytes per pass": size(read) if read > 0 else UNKNOWN,
        "peak memory of a worker, over the idle process": size(trained.peak_bytes),
        "time": duration(trained.seconds),
    }
    yield table(pd.DataFrame({"planned": planned, "measured": measured}).rename_axis(""))
    yield note(f"Rows were {'kept' if plan.keep else 'streamed every pass'}: {plan.reason}.")


def _drawn(draw: Callable[..., str], *arguments: Any) -> Iterator[Markup]:
    yield figure(draw(*arguments)) if drawings.available() else note(drawings.MISSING)


def _features(trained: Trained) -> list[str]:
    names = trained.dataset.schema.feature_names
    return list(names) if names else [f"x{i}" for i in range(trained.dataset.schema.n_features)]
