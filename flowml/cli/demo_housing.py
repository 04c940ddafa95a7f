"""The demo's first job: prices of houses in California, by linear models."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup
from sklearn import linear_model
from sklearn.model_selection import train_test_split

from flowml.cli.demo_story import Story, run
from flowml.cli.job import Job
from flowml.datasets import california_housing
from flowml.report import drawings
from flowml.report.page import Section, figure, note, table, text
from flowml.report.trained import Trained

TARGET = "median_house_value"
FEATURES = [
    "median_income",
    "housing_median_age",
    "total_rooms",
    "population",
    "households",
    "latitude",
    "longitude",
]
"""All numeric columns but ``total_bedrooms``, of which 207 are missing."""

PEERS: dict[str, Any] = {
    "LinearRegression": linear_model.LinearRegression(),
    "Ridge": linear_model.Ridge(alpha=1.0),
}
ROW_GROUP = 4_096


def housing(out: Path) -> Story:
    """Fit LinearRegression and Ridge on a train split, and compare with scikit-learn's."""
    train, test = split(out / "housing")
    trained = {name: run(job_of(name, out)) for name in PEERS}
    peers = {name: peer.fit(train[FEATURES], train[TARGET]) for name, peer in PEERS.items()}
    scores = pd.DataFrame(
        {
            "flowml": {name: fit.scores["R², held out"] for name, fit in trained.items()},
            "scikit-learn": {
                name: peer.score(test[FEATURES], test[TARGET]) for name, peer in peers.items()
            },
        }
    ).rename_axis("R² on the held-out rows")
    coefficients = side_by_side(trained, peers)
    gap = largest_gap(trained, peers)
    effects = coefficients.iloc[1:, :2].mul(train[FEATURES].std(), axis=0)
    effects.columns = pd.Index(["flowml", "scikit-learn"])
    section = Section(
        "California housing",
        [
            text(
                f"Median house values of {len(train) + len(test):,} block groups in the census of "
                f"1990, from {len(FEATURES)} columns; {len(train):,} rows to learn from, "
                f"{len(test):,} held out."
            ),
            table(scores),
            figure(
                drawings.pairs(effects, "US dollars for one standard deviation of the column"),
                "LinearRegression: what each column adds to the price. Where flowml and "
                "scikit-learn agree, the dot sits in its ring.",
            ),
            table(coefficients),
            note(f"The coefficients differ by at most {gap:.0e} of their size."),
            links(trained),
        ],
    )
    best = scores["flowml"].max()
    lines = {
        f"{name}: R² on held-out rows, flowml | scikit-learn": f"{ours:.6f} | {theirs:.6f}"
        for name, ours, theirs in scores.itertuples()
    }
    lines["Largest difference between coefficients, relative"] = f"{gap:.0e}"
    return Story([section], {"R², held out": f"{best:.3f}"}, lines)


def split(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Write a train and a test split as Parquet of several row groups, and return them."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = pd.read_parquet(california_housing(), columns=[*FEATURES, TARGET])
    train, test = train_test_split(rows, test_size=0.2, random_state=0)
    for name, part in (("train", train), ("test", test)):
        part.to_parquet(folder / f"{name}.parquet", index=False, row_group_size=ROW_GROUP)
    return train, test


def job_of(name: str, out: Path) -> Job:
    """Return the job that fits one of the models."""
    return Job(
        estimator=f"linear_model.{name}",
        data=str(out / "housing" / "train.parquet"),
        target=TARGET,
        features=FEATURES,
        test_data=str(out / "housing" / "test.parquet"),
        out=str(out / name),
    )


def side_by_side(trained: dict[str, Trained], peers: dict[str, Any]) -> pd.DataFrame:
    """Return all coefficients, flowml's beside scikit-learn's."""
    columns = {}
    for name, peer in peers.items():
        columns[name] = all_coefficients(trained[name].model)
        columns[f"{name}, scikit-learn"] = all_coefficients(peer)
    return pd.DataFrame(columns, pd.Index(["intercept", *FEATURES], name="coefficient"))


def largest_gap(trained: dict[str, Trained], peers: dict[str, Any]) -> float:
    """Return the largest relative difference between coefficients."""
    gaps = [
        np.abs(all_coefficients(trained[name].model) / all_coefficients(peer) - 1).max()
        for name, peer in peers.items()
    ]
    return float(max(gaps))


def all_coefficients(model: Any) -> np.ndarray:
    """Return the intercept and the coefficients."""
    return np.r_[model.intercept_, model.coef_]


def links(trained: dict[str, Trained]) -> Markup:
    """Point to the reports of the fits, which lie beside the demo's."""
    each = Markup(", ").join(
        Markup('<a href="{}/report.html">{}</a>').format(name, name) for name in trained
    )
    return Markup('<p class="note">Reports of the single fits: {}.</p>').format(each)
