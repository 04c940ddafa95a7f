"""Directional derivative codes: blocks of the gradient, encoded lightly, freed one by one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np
from scipy import sparse

from flowml.codes.code import (
    Assignment,
    Decoded,
    Shares,
    check_worker,
    largest_share,
    nth_answer,
)
from flowml.codes.decoders import as_vector
from flowml.codes.light_parities import light_parities
from flowml.codes.peeling import Peeling
from flowml.kernels.rows import Array, Matrix


@dataclass(frozen=True)
class DirectionalDerivativeCode:
    r"""Coordinates in k blocks; workers hold blocks of columns and a few sums of such blocks.

    With :math:`G = (I | P)` of shape (k, N), rows :math:`\tilde X = X (G \otimes I)` are encoded
    once. A worker holds N / n of the N *pieces*, blocks of columns of :math:`\tilde X` for all
    rows. In a pass it is sent the residuals (the derivatives r of the loss by the linear
    predictor) and answers with coded partial derivatives :math:`\tilde X_p^T r`, all at once or
    one by one. They are derivatives in the directions of G's columns, so linear in the gradient:
    :math:`\tilde X_p^T r = \sum_b G_{bp} g_b`. Peeling frees the blocks of the gradient one after
    the other, and each can be applied to the model as soon as it is free.

    Parameters
    ----------
    n_workers, n_blocks, n_features : int
        No fewer features than blocks, no fewer blocks than workers.
    weight : int
        How many blocks a parity sums.
    s : int
        In how many parities a block is: any so many workers may fail to answer.
    seed : int
        Of the parities.

    Raises
    ------
    ValueError
        If there are too few workers for such parities: ``s * weight + 1`` at least.

    Notes
    -----
    *From the paper* (Soto, Ilmer, Guan & Li, *Lightweight projective derivative codes for
    compressed asynchronous gradient descent*, ICML 2022): to encode partial derivatives and not
    rows; that a code of low weight lets them be decoded iteratively and so applied
    asynchronously; to choose columns of G that say as different things as possible, in
    projective space; that what isn't decoded is noise that descent can bear.

    *Ours*: the construction of P (:mod:`flowml.codes.light_parities`), with coefficients of 1 and
    -1, so that peeling divides by nothing, and the same number of parities for each block; where
    its pieces are put, by which any s workers can be spared; encoding the columns of a linear
    model's X; moving coefficients to the pieces of those who are there (`spread`); what
    `error_bound` says. Of the paper's lossy compression nothing is here.

    *Cost.* A worker does :math:`N / k = 1 + s / w` times the work of no code, where repetition
    takes s + 1. For that, each worker needs the residuals of all rows, whose predictors are a sum
    over all workers, and a parity of sparse columns is up to w times as dense.

    *Stopping early* leaves blocks out: their coordinates are 0 in the sum, and a step along it is
    one of block descent (:mod:`flowml.solvers.block_descent`). `error_bound` is then a guess at the
    norm of what is missing: that of as many blocks of average size, infinity if there is none yet.

    Examples
    --------
    >>> import numpy as np
    >>> code = DirectionalDerivativeCode(n_workers=4, n_blocks=12, n_features=12, weight=3)
    >>> code.load
    1.33...
    >>> X, residual = np.arange(24.0).reshape(2, 12), np.array([1.0, -1.0])
    >>> decoder = code.decoder()
    >>> for worker in (3, 0, 1):
    ...     encoded = code.encode(X, worker)
    ...     news = decoder.add(worker, code.derivatives(encoded, residual, worker))
    >>> decoder.done, decoder.finish().sum - residual @ X
    (True, array([0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0.]))
    """

    n_workers: int
    n_blocks: int
    n_features: int
    weight: int = 3
    s: int = 1
    seed: int = 0
    exact = True

    def __post_init__(self) -> None:
        if not 1 <= self.n_workers <= self.n_blocks <= self.n_features:
            raise ValueError(
                "a directional derivative code needs a block at least for each worker and a "
                f"feature for each block; got n_workers={self.n_workers}, "
                f"n_blocks={self.n_blocks}, n_features={self.n_features}"
            )
        if self.weight < 1 or self.s < 1 or self.s * self.weight >= self.n_workers:
            raise ValueError(
                f"parities of weight={self.weight} that make up for s={self.s} workers need "
                f"{self.s * self.weight + 1} workers at least, not {self.n_workers}: "
                "use a smaller weight"
            )

    @property
    def name(self) -> str:
        """Its name, its s and its weight."""
        return f"directional derivative code (s={self.s}, weight={self.weight})"

    @property
    def n_parts(self) -> int:
        """The blocks are what is summed up, each from all rows."""
        return self.n_blocks

    @property
    def load(self) -> float:
        """``1 + s / weight``, or more where the pieces can't be dealt out evenly."""
        return largest_share(self.pieces, self.n_blocks)

    @cached_property
    def generator(self) -> Array:
        """G, of shape (n_blocks, n_pieces): ones on the diagonal, then the parities."""
        return np.hstack([np.eye(self.n_blocks), self._parities[0]])

    @cached_property
    def _parities(self) -> tuple[Array, Array]:
        owners = np.arange(self.n_blocks) % self.n_workers
        return light_parities(owners, self.n_workers, self.weight, self.s, self.seed)

    @cached_property
    def pieces(self) -> Shares:
        """The pieces that each worker holds: the generator's columns."""
        owners = np.append(np.arange(self.n_blocks) % self.n_workers, self._parities[1])
        return tuple(
            tuple(np.flatnonzero(owners == worker).tolist()) for worker in range(self.n_workers)
        )

    def assignment(self) -> Assignment:
        """Return the pieces of each worker, and the blocks that they hold."""
        held = [self.generator[:, list(pieces)].any(axis=1) for pieces in self.pieces]
        parts = tuple(tuple(np.flatnonzero(blocks).tolist()) for blocks in held)
        return Assignment(parts, self.generator.T, self.pieces)

    def decoder(self, n_outputs: int = 1) -> "BlockDecoder":
        """Return a decoder that waits until all blocks are free.

        Parameters
        ----------
        n_outputs : int
            Gradients at once: each coordinate is then so many numbers, next to each other.
        """
        return BlockDecoder(self, n_outputs)

    @lru_cache(maxsize=256)  # noqa: B019 - codes are small values
    def solution(self, absent: frozenset[int]) -> Array:
        """Return what peeling does with the pieces of all but some workers, as a matrix.

        Parameters
        ----------
        absent : frozenset of int
            Workers.

        Returns
        -------
        ndarray of shape (n_blocks, n_pieces)
            Blocks are this times pieces; zeros for those that aren't freed.
        """
        units, peeling = np.eye(self.generator.shape[1]), Peeling(self.generator)
        for worker, pieces in enumerate(self.pieces):
            for piece in () if worker in absent else pieces:
                peeling.add(piece, units[piece])
        solution = np.zeros_like(self.generator)
        for block, row in peeling.known.items():
            solution[block] = row
        solution.flags.writeable = False
        return solution

    def frees(self, absent: frozenset[int], blocks: Array) -> bool:
        """Tell whether peeling frees some blocks without some workers.

        Parameters
        ----------
        absent : frozenset of int
        blocks : bool ndarray of shape (n_blocks,)
        """
        return bool(self.solution(absent)[blocks].any(axis=1).all())

    def spread(self, coef: Array, solution: Array) -> Array:
        r"""Return coefficients of the pieces that predict what `coef` predicts.

        With D the `solution`, pieces times D^T are as good as blocks: :math:`D G^T = I`, so
        :math:`\tilde X (D^T \otimes I) b = X (G D^T \otimes I) b = X b`. Who is absent is spared;
        coefficients of blocks that aren't freed without them must be zero.

        Parameters
        ----------
        coef : ndarray of shape (n_outputs, n_features)
        solution : ndarray of shape (n_blocks, n_pieces)

        Returns
        -------
        ndarray of shape (n_pieces, width, n_outputs)
        """
        padded = np.zeros((self.n_blocks * self.width, len(coef)))
        padded[self._places] = coef.T
        blocks = padded.reshape(self.n_blocks, -1)
        return (solution.T @ blocks).reshape(-1, self.width, len(coef))

    def wait(self, times: Array) -> Array:
        """Wait for all but s; peeling may be done earlier."""
        return nth_answer(times, self.n_workers - self.s)

    def coordinates(self, block: int) -> slice:
        """Return a block's coordinates of the gradient."""
        first, last = (at * self.n_features // self.n_blocks for at in (block, block + 1))
        return slice(first, last)

    def blocks_of(self, features: Array) -> Array:
        """Tell which blocks hold some features.

        Parameters
        ----------
        features : bool ndarray of shape (n_features,)

        Returns
        -------
        bool ndarray of shape (n_blocks,)
        """
        firsts = [self.coordinates(block).start for block in range(self.n_blocks)]
        return np.logical_or.reduceat(features, firsts)

    @property
    def width(self) -> int:
        """Coordinates of a piece; blocks that have one less end with a zero."""
        return -(-self.n_features // self.n_blocks)

    def encode(self, X: Matrix, worker: int) -> Matrix:
        """Return a worker's columns: done once, before the first pass.

        Parameters
        ----------
        X : ndarray or CSR of shape (n_rows, n_features)
            Any of the rows.
        worker : int

        Returns
        -------
        ndarray or CSR of shape (n_rows, n_own_pieces * width)
        """
        pieces = list(self.pieces[worker])
        place = sparse.eye_array(self.width, format="csr")
        wide = sparse.csr_array(sparse.kron(self.generator[:, pieces], place))
        return X @ wide[self._places].astype(X.dtype)

    @cached_property
    def _places(self) -> Array:
        """Where the coordinates are when all blocks are padded to the same width."""
        spans = [self.coordinates(block) for block in range(self.n_blocks)]
        return np.concatenate(
            [block * self.width + np.arange(s.stop - s.start) for block, s in enumerate(spans)]
        )

    def derivatives(self, encoded: Matrix, residual: Array, worker: int) -> dict[int, Array]:
        """Return a worker's answer.

        Parameters
        ----------
        encoded : ndarray or CSR of shape (n_rows, n_own_pieces * width)
            From :meth:`encode`.
        residual : ndarray of shape (n_rows,)
        worker : int

        Returns
        -------
        dict of piece to ndarray of shape (width,)
        """
        vectors = np.asarray(encoded.T @ residual, dtype=np.float64).reshape(-1, self.width)
        return dict(zip(self.pieces[worker], vectors, strict=True))


@dataclass(eq=False)
class BlockDecoder:
    """Frees blocks of the gradient as coded partial derivatives come.

    Parameters
    ----------
    code : DirectionalDerivativeCode
    n_outputs : int

    Attributes
    ----------
    freed : dict of block to ndarray
        What the last `add` freed, in the order of peeling: parts of the gradient that may be
        applied to the model at once. Their places are ``code.coordinates(block)``.
    """

    code: DirectionalDerivativeCode
    n_outputs: int = 1
    freed: dict[int, Array] = field(default_factory=dict, init=False)
    finished: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._peeling = Peeling(self.code.generator)
        self._seen: set[int] = set()

    def add(self, worker: int, payload: Mapping[int, Array]) -> bool:
        """Take some of a worker's pieces, and tell whether one of them is new."""
        check_worker(worker, self.code.n_workers)
        if strange := set(payload) - set(self.code.pieces[worker]):
            raise ValueError(f"worker {worker} sent piece {min(strange)}, which isn't its own")
        self.freed = {}
        if self.finished:
            return False
        width = self.code.width * self.n_outputs
        news = {p: as_vector(worker, payload[p], width) for p in payload if p not in self._seen}
        self._seen.update(news)
        for piece, vector in sorted(news.items()):
            for block in self._peeling.add(piece, vector):
                self.freed[block] = self._block(block)
        return bool(news)

    def _block(self, block: int) -> Array:
        """Return a known block without its padding."""
        where = self._place(block)
        return self._peeling.known[block][: where.stop - where.start]

    def _place(self, block: int) -> slice:
        """Return a block's numbers in the sum."""
        where = self.code.coordinates(block)
        return slice(where.start * self.n_outputs, where.stop * self.n_outputs)

    @property
    def done(self) -> bool:
        """Whether all blocks are free."""
        return not self.missing

    @property
    def missing(self) -> list[int]:
        """Blocks that aren't free."""
        return [block for block in range(self.code.n_blocks) if block not in self._peeling.known]

    def finish(self) -> Decoded:
        """Return the gradient, with zeros for blocks that aren't free."""
        self.finished = True
        total = np.zeros(self.code.n_features * self.n_outputs)
        for block in self._peeling.known:
            total[self._place(block)] = self._block(block)
        return Decoded(total, self.bound(total))

    def bound(self, known: Array) -> float:
        """Guess the norm of what is missing from what is known of the gradient, of any shape."""
        n_known = len(self._peeling.known)
        if n_known == 0:
            return np.inf
        return float(np.linalg.norm(known) * np.sqrt((self.code.n_blocks - n_known) / n_known))
