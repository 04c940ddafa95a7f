"""k-means clustering."""

import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from sklearn import cluster
from sklearn.base import ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted, check_random_state

from flowml.cluster.kmeans_start import (
    check_init,
    count_runs,
    given_centers,
    start_solver,
)
from flowml.data.adopt import is_lazy
from flowml.data.dataset import Dataset
from flowml.data.map_rows import of_rows
from flowml.data.schema import Schema
from flowml.drive.procedure import Procedure, Step, follow, together
from flowml.drive.stage import Stage
from flowml.estimator import Needs, PassEstimator, adopt
from flowml.kernels import lloyd as lloyd_kernel
from flowml.kernels import seeding as seeding_kernel
from flowml.kernels.assignment import ASSIGNMENT, Assignment, AssignmentAsk
from flowml.kernels.distances import center_distances, common_point, label_rows, slice_rows
from flowml.kernels.rows import Array, Block
from flowml.lazy_output import keeps_lazy_output
from flowml.metrics.metric import ROWS, Metric
from flowml.parameters import check_choice, check_integer, check_number
from flowml.prediction import apply
from flowml.runtimes.placement import LEAF_ROWS
from flowml.solvers.lloyd import Lloyd, LloydState, ask_about, check_enough_rows
from flowml.solvers.one_pass import OnePass
from flowml.solvers.solver import Solver
from flowml.solvers.together import Together

ALGORITHMS = ("auto", "lloyd", "hamerly")
SEEDS = 1 << 31
SHARED_BYTES = 16 << 20
"""The most that a fit keeps beside the rows where it may be one of many."""


class Way(NamedTuple):
    """How runs go over the rows.

    Attributes
    ----------
    schema : Schema
    keep : bool
        Whether distances to candidates for a start are kept beside the rows.
    remember : bool
        Whether bounds are.
    labels : bool
        Whether the last pass brings the rows' labels along.
    """

    schema: Schema
    keep: bool
    remember: bool
    labels: bool


class Run(NamedTuple):
    """One start, followed to its end."""

    centers: Array
    n_iter: int
    assignment: Assignment


@keeps_lazy_output
class KMeans(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, PassEstimator):
    r"""Find k centres that minimise the squared distances of the rows to the nearest of them.

    .. math:: \sum_i w_i \min_j \|x_i - c_j\|^2

    by Lloyd's algorithm, one pass over the data for each move of the centres. From the same start
    it takes the same steps as scikit-learn's `KMeans`, with the same rules for stopping and for
    clusters that lose all their rows, except that the variance in the stopping rule is weighted.

    Parameters
    ----------
    n_clusters : int, default=8
    init : {"k-means||", "k-means++"}, array of shape (n_clusters, n_features) or callable
        Where to start. "k-means||" (Bahmani et al. 2012, "Scalable k-means++") draws
        ``2 * n_clusters`` rows in each of five passes and clusters these; "k-means++" (Arthur &
        Vassilvitskii 2007) takes a pass for each centre. A callable is called as
        ``init(X, n_clusters=..., random_state=...)`` and returns centres.
    n_init : "auto" or int, default="auto"
        Starts to try, of which the best result is kept: "auto" is 10 for a callable, else 1.
    max_iter : int, default=300
        Most moves from one start.
    tol : float, default=1e-4
        Stop when the centres move by no more than this, as a sum of squares relative to the mean
        variance of the columns.
    random_state : int, RandomState or None, default=None
        Draws depend on it and on the rows' positions in the data, not on blocks or workers.
    algorithm : {"auto", "lloyd", "hamerly"}, default="auto"
        "hamerly" (Hamerly 2010, "Making k-means even faster") keeps 20 bytes beside each row, with
        which most rows needn't be compared with every centre; "lloyd" keeps nothing. The result
        is the same. "auto" keeps them where the rows themselves are kept between passes; in a
        search, where each fit has its own, for up to 800,000 rows.

    Attributes
    ----------
    cluster_centers_ : ndarray of shape (n_clusters, n_features)
        In X's dtype.
    labels_ : ndarray of shape (n_rows,), int32
        The nearest centre of each training row; for lazy X a lazy collection, which reads X again
        when it is computed, and which isn't pickled with the estimator.
    inertia_ : float
        The minimised sum.
    n_iter_ : int
        Moves of the centres.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Where X had names.
    n_passes_ : int
    history_ : DataFrame

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> from flowml.cluster import KMeans
    >>> X = np.array([[1.0, 2], [1, 4], [1, 0], [10, 2], [10, 4], [10, 0]])
    >>> kmeans = KMeans(n_clusters=2, init=X[[0, 3]]).fit(da.from_array(X, chunks=(2, 2)))
    >>> kmeans.cluster_centers_
    array([[ 1.,  2.],
           [10.,  2.]])
    >>> kmeans.predict([[0, 0], [12, 3]])
    array([0, 1], dtype=int32)
    """

    needs = Needs(many_passes=True)
    of_training_rows = ("labels_",)

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: Any = "k-means||",
        n_init: int | str = "auto",
        max_iter: int = 300,
        tol: float = 1e-4,
        random_state: Any = None,
        algorithm: str = "auto",
    ) -> None:
        self.n_clusters = n_clusters
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state
        self.algorithm = algorithm

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> "KMeans":
        """Find the centres.

        Parameters
        ----------
        X : array, CSR, frame, Dask collection or Dataset of shape (n_rows, n_features)
        y : None
            Ignored.
        sample_weight : array of shape (n_rows,), optional
            A weight of 2 is the row twice, a weight of 0 the row absent.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If rows with a weight above zero are fewer than the clusters, X holds NaN or infinity
            (block and column are named), or a parameter is out of range.
        """
        with self._training(X, None, sample_weight) as session:
            schema, keep = session.runtime.dataset.schema, session.runtime.placement.keep
            way = self._way(schema, keep, labels=not is_lazy(X))
            best = follow(session, self._best_run(self._starts(schema, X), way))
            self.labels_ = self.predict(X) if is_lazy(X) else best.assignment.labels
        return self

    def predict(self, X: Any) -> Any:
        """Return the number of the nearest centre of each row.

        Parameters
        ----------
        X : array, CSR, frame, Dask collection or Dataset of shape (n_rows, n_features)

        Returns
        -------
        int32 labels of shape (n_rows,): an array, a series for a frame, lazy where X is.
        """
        check_is_fitted(self)
        return apply(self, X, partial(label_rows, centers=self.cluster_centers_), dtype=np.int32)

    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Fit, and return ``labels_``."""
        return self.fit(X, sample_weight=sample_weight).labels_

    def transform(self, X: Any) -> Any:
        """Return the distance of each row to each centre.

        Parameters
        ----------
        X : array, CSR, frame, Dask collection or Dataset of shape (n_rows, n_features)

        Returns
        -------
        Distances of shape (n_rows, n_clusters), of X's kind and dtype.
        """
        check_is_fitted(self)
        distances = partial(center_distances, centers=self.cluster_centers_)
        names = self.get_feature_names_out()
        return apply(self, X, distances, names, n_columns=len(self.cluster_centers_))

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return minus the sum of squared distances to the nearest centre, in one pass.

        Parameters
        ----------
        X, y, sample_weight
            As in ``fit``.
        """
        check_is_fitted(self)
        dataset = adopt(self, X, None, sample_weight, self.needs, reset=False)
        metric = self._own_metric(dataset.schema)
        ((fold, ask),) = metric.sums
        return float(metric.finish(self._summarise(dataset, fold, ask)))

    def to_sklearn(self) -> cluster.KMeans:
        """Return a fitted scikit-learn `KMeans` with the same centres."""
        check_is_fitted(self)
        centers = self.cluster_centers_
        peer = cluster.KMeans(len(centers), init=centers, n_init=1, max_iter=1, tol=0.0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            peer.fit(centers)  # sets up what its predict needs, whatever its version
        peer.set_params(max_iter=self.max_iter, tol=self.tol, random_state=self.random_state)
        names = ("inertia_", "n_iter_", "n_features_in_", "feature_names_in_")
        for name in names if is_lazy(self.labels_) else (*names, "labels_"):
            if hasattr(self, name):
                setattr(peer, name, getattr(self, name))
        peer.cluster_centers_ = centers.copy()
        return peer

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _check(self, dataset: Dataset) -> None:
        check_integer(self, "n_clusters", 1)
        check_integer(self, "max_iter", 1)
        if self.n_init != "auto":
            check_integer(self, "n_init", 1)
        check_choice(self, "algorithm", ALGORITHMS)
        check_number(self, "tol", 0.0)
        check_random_state(self.random_state)
        check_init(self.init, self.n_clusters, dataset.schema.n_features)
        if dataset.n_rows is not None:
            check_enough_rows(dataset.n_rows, self.n_clusters)

    def _learning(
        self, schema: Schema, n_rows: int | None, describe: bool = True
    ) -> Procedure[None]:
        """Learn on passes that other fits may share, each of which keeps bounds of its own."""
        small = n_rows is not None and n_rows * lloyd_kernel.MEMORY_PER_ROW <= SHARED_BYTES
        yield from self._best_run(self._starts(schema), self._way(schema, small, labels=False))

    def _way(self, schema: Schema, keep: bool, labels: bool) -> Way:
        remember = keep if self.algorithm == "auto" else self.algorithm == "hamerly"
        return Way(schema, keep, remember, labels)

    def _starts(self, schema: Schema, X: Any = None) -> list[Array | int]:
        """Return for each run the centres to start from, or the seed by which they are drawn."""
        random = check_random_state(self.random_state)
        runs = range(count_runs(self.init, self.n_init))
        if isinstance(self.init, str):
            return [int(random.randint(SEEDS)) for _ in runs]
        if callable(self.init) and X is None:
            raise ValueError(
                "KMeans: where fits share their passes, init can't be a callable, as no fit has "
                "its rows at hand: give centres, 'k-means||' or 'k-means++'"
            )
        size = (self.n_clusters, schema.n_features)
        if callable(self.init):
            options = {"n_clusters": self.n_clusters, "random_state": random}
            return [given_centers(self.init(X, **options), *size) for _ in runs]
        return [given_centers(self.init, *size)]

    def _best_run(self, starts: Sequence[Array | int], way: Way) -> Procedure[Run]:
        """Follow all starts to their ends on the same passes, and take the best."""
        if len(starts) == 1:
            runs = [(yield from self._run(starts[0], way))]
        else:
            runs = yield from together([self._run(start, way) for start in starts])
        best = min(runs, key=lambda run: run.assignment.inertia)
        self.cluster_centers_ = best.centers
        self._n_features_out = len(best.centers)
        self.inertia_ = best.assignment.inertia
        self.n_iter_ = best.n_iter
        self._warn_if_few(best)
        return best

    def _run(self, start: Array | int, way: Way) -> Procedure[Run]:
        schema, remember = way.schema, way.remember
        if isinstance(start, int):
            solver = start_solver(self.init, self.n_clusters, schema, start, way.keep)
            first: Array = (yield Step(self.init, solver)).centers
        else:
            first = start
        lloyd = Lloyd(first, self.max_iter, float(self.tol), remember, schema.sparse)
        state: LloydState = yield Step("lloyd", lloyd)
        centers = state.centers.astype(schema.dtype)
        ask = _ask_labels(centers, schema.sparse, start=first, remember=remember, labels=way.labels)
        assignment = (yield Step("assign", OnePass(ASSIGNMENT, ask))).summary
        return Run(centers, state.n_iter, assignment)

    def _mark_rows(self, dataset: Dataset) -> None:
        """Set the training rows' labels."""
        labels = partial(_labels_of_block, self.cluster_centers_)
        self.labels_ = of_rows(dataset, labels, np.empty(0, np.int32))

    def _own_metric(self, schema: Schema) -> Metric:
        """Return what ``score`` is summed up from."""
        ask = _ask_labels(self.cluster_centers_, schema.sparse)
        return Metric(ROWS, ((ASSIGNMENT, ask),), _gain)

    def _warn_if_few(self, run: Run) -> None:
        held = int(np.count_nonzero(run.assignment.weights))
        if held < self.n_clusters:
            warnings.warn(
                f"Number of distinct clusters ({held}) found smaller than n_clusters "
                f"({self.n_clusters}). Possibly due to duplicate points in X.",
                ConvergenceWarning,
                stacklevel=5,
            )

    def _stages(self, schema: Schema) -> list[Stage]:
        k, p = self.n_clusters, schema.n_features
        runs = count_runs(self.init, self.n_init)
        lloyd = Lloyd(np.zeros((k, p)), self.max_iter, float(self.tol), sparse=schema.sparse)
        assign = OnePass(ASSIGNMENT, _ask_labels(lloyd.start, schema.sparse))
        per_row = 0 if self.algorithm == "lloyd" else lloyd_kernel.MEMORY_PER_ROW
        solvers: list[tuple[str, Solver, int]] = [
            ("lloyd", lloyd, per_row),
            ("assign", assign, per_row),
        ]
        if isinstance(self.init, str):
            seeding = start_solver(self.init, k, schema, 0, True)
            solvers.insert(0, (self.init, seeding, seeding_kernel.MEMORY_PER_ROW))
        sums = 8 * 8 * k * (p + 1)
        work = slice_rows(k) * (8 * k + 16 * p + 64) + 48 * LEAF_ROWS + sums
        stages = []
        for name, solver, held in solvers:
            every = solver if runs == 1 else Together([solver] * runs)
            ask = every.ask(every.init())
            stages.append(Stage(name, every.fold, ask, solver.max_passes, work, runs * held))
        return stages


def _labels_of_block(centers: Array, block: Block) -> Array:
    return label_rows(block.X, centers)


def _gain(assignment: Assignment) -> float:
    return -assignment.inertia


def _ask_labels(
    centers: Array,
    sparse: bool,
    *,
    start: Array | None = None,
    remember: bool = False,
    labels: bool = False,
) -> AssignmentAsk:
    """Ask for the nearest of centres.

    Parameters
    ----------
    centers : ndarray of shape (k, p)
    sparse : bool
        Whether the rows are CSR.
    start : ndarray of shape (k, p), optional
        Where the run began: with it, the bounds that it left beside the rows still hold.
    remember : bool
        Whether there are bounds.
    labels : bool
        Whether the labels come along, or their sums alone.
    """
    wide = centers.astype(np.float64)
    shift = common_point(wide if start is None else start, sparse)
    return AssignmentAsk(ask_about(wide, shift, remember), labels)
