"""The jobs in which an objective is minimised, or a penalty is searched for."""

from dataclasses import asdict
from typing import Any

from benchmarks.data import Data
from benchmarks.job import FLOWML, Contender, Job, Measure, Target, speedup
from benchmarks.problem import Problem

NEWTON, LBFGS = "scikit-learn (newton-cholesky)", "scikit-learn (lbfgs)"
NEWTON_CG = "scikit-learn (newton-cg)"
INTELEX, SPARK, GLUM = "scikit-learn-intelex", "Spark", "glum (lbfgs)"
DASK_NEWTON, DASK_LBFGS = "dask-ml (newton)", "dask-ml (lbfgs)"
CHUNKS = {"chunks": 20}
LOGISTIC = Problem("logistic")
MULTINOMIAL = Problem("multinomial", n_classes=5)
POISSON = Problem("poisson", alpha=1e-4)
ONE_RIDGE, RIDGE_PATH = "one Ridge fit", {"alphas": 100, "cv": 5}
PATH = {"l1_ratio": 0.5, "alphas": 100, "cv": 5, "tol": 1e-8}


def _scikit_learn(
    function: str, problem: Problem, *solvers: str, **options: Any
) -> list[Contender]:
    return [
        Contender(
            f"scikit-learn ({solver})",
            f"scikit_learn_models:{function}",
            {"problem": asdict(problem), "solver": solver} | options,
        )
        for solver in solvers
    ]


def _contender(name: str, prepare: str, problem: Problem, **options: Any) -> Contender:
    return Contender(name, prepare, {"problem": asdict(problem)} | options)


GLM_JOBS = (
    Job(
        "logistic-in-process",
        "LogisticRegression, C=1, in process",
        Data("logistic"),
        (
            _contender(FLOWML, "flowml_models:logistic", LOGISTIC),
            *_scikit_learn("logistic", LOGISTIC, "newton-cholesky", "lbfgs"),
            _contender(INTELEX, "intelex:logistic", LOGISTIC),
        ),
        (
            speedup(7.0, NEWTON, LBFGS),
            speedup(4.0, INTELEX),
            Target(Measure.COUNT, 3, (), "passes"),
        ),
        problem=LOGISTIC,
    ),
    Job(
        "logistic-on-workers",
        "LogisticRegression, C=1, on 2 workers, data persisted in 20 chunks",
        Data("logistic", parquet=True),
        (
            _contender(FLOWML, "flowml_models:logistic_on_workers", LOGISTIC, **CHUNKS),
            _contender(
                DASK_NEWTON, "dask_ml:logistic_on_workers", LOGISTIC, solver="newton", **CHUNKS
            ),
            _contender(
                DASK_LBFGS, "dask_ml:logistic_on_workers", LOGISTIC, solver="lbfgs", **CHUNKS
            ),
            _contender(SPARK, "spark:logistic", LOGISTIC),
        ),
        (speedup(40.0, DASK_NEWTON, DASK_LBFGS), speedup(12.0, SPARK)),
        problem=LOGISTIC,
        note="dask-ml penalises the intercept (lbfgs) or nothing at all (newton): on so many rows "
        "that moves the objective by less than the gap.",
    ),
    Job(
        "multinomial",
        "LogisticRegression of 5 classes, C=1, in process",
        Data("multinomial", rows=500_000, parquet=True),
        (
            _contender(FLOWML, "flowml_models:logistic", MULTINOMIAL),
            *_scikit_learn("logistic", MULTINOMIAL, "lbfgs"),
            _contender(SPARK, "spark:logistic", MULTINOMIAL),
        ),
        (speedup(3.0, LBFGS), speedup(12.0, SPARK)),
        problem=MULTINOMIAL,
    ),
    Job(
        "poisson",
        "PoissonRegressor (log link), in process",
        Data("poisson"),
        (
            _contender(FLOWML, "flowml_models:poisson", POISSON),
            *_scikit_learn("poisson", POISSON, "newton-cholesky", "lbfgs"),
        ),
        (speedup(3.0, NEWTON, LBFGS),),
        problem=POISSON,
    ),
    Job(
        "elastic-net-path",
        "ElasticNetCV, 100 alphas, 5 folds, in process",
        Data("regression"),
        (
            Contender(FLOWML, "flowml_models:elastic_net_path", PATH),
            Contender("scikit-learn", "scikit_learn_models:elastic_net_path", PATH),
        ),
        (speedup(15.0, "scikit-learn"),),
        note="Both to a duality gap of 1e-8 of the targets' sum of squares.",
    ),
    Job(
        "ridge-path",
        "RidgeCV, 100 alphas, 5 folds, in process",
        Data("regression"),
        (
            Contender(FLOWML, "flowml_models:ridge_path", RIDGE_PATH),
            Contender(ONE_RIDGE, "flowml_models:ridge_once", RIDGE_PATH),
        ),
        (Target(Measure.COST, 1.3, (ONE_RIDGE,)),),
    ),
    Job(
        "logistic-path",
        "LogisticRegressionCV, 10 C, 5 folds, on one core each",
        Data("logistic"),
        (
            Contender(FLOWML, "flowml_models:logistic_path", {"Cs": 10, "cv": 5}),
            Contender(
                LBFGS,
                "scikit_learn_models:logistic_path",
                {"Cs": 10, "cv": 5, "solver": "lbfgs", "tol": 1e-5},
            ),
        ),
        (speedup(8.0, LBFGS),),
        tolerance=1e-3,
        note="scikit-learn's quickest solver, at the tolerance that comes within 1e-8 of the "
        "objectives' minima on 200,000 rows; newton-cholesky takes 2.6 times as long there.",
    ),
    Job(
        "logistic-sparse",
        "LogisticRegression, C=1, CSR rows of 100,000 columns with 0.1 % stored",
        Data("sparse", rows=200_000, columns=100_000),
        (
            _contender(FLOWML, "flowml_models:logistic", LOGISTIC, sparse=True),
            *_scikit_learn("logistic", LOGISTIC, "liblinear", "newton-cg", sparse=True),
        ),
        (speedup(1.5, "scikit-learn (liblinear)", NEWTON_CG),),
        problem=LOGISTIC,
        note="liblinear penalises the intercept. scikit-learn's lbfgs, run once, took longer.",
    ),
    Job(
        "poisson-categories",
        "PoissonRegressor, 20 categorical columns of 5,000 levels in all, in process",
        Data("categories", columns=20),
        (
            _contender(FLOWML, "flowml_models:poisson_of_categories", POISSON),
            _contender(GLUM, "glum_models:poisson_of_categories", POISSON, solver="lbfgs"),
        ),
        (
            speedup(1.0, GLUM),
            Target(Measure.COST, 2.0, (GLUM,), "peak MB"),
        ),
        problem=POISSON,
        note="The columns are pandas categories for both; the peak is that of the process. glum's "
        "irls-ls, run once, took 45 s of processor time and 2,082 MB.",
    ),
)
"""Times to a gap of `problem.LARGEST_GAP`, and of searches to equal results."""
