"""The block without rows: what kernels make of it shows how large a summary is."""

import numpy as np
import scipy.sparse as sp

from flowml.data.schema import Schema
from flowml.kernels.mixed import Mixed
from flowml.kernels.rows import Array, Block, Matrix


def no_rows(schema: Schema) -> Block:
    """Return a block as others with this schema, but without rows."""
    return Block(_matrix(schema), _target(schema), np.empty(0) if schema.weighted else None)


def _matrix(schema: Schema) -> Matrix:
    dense = np.empty((0, schema.n_numeric), schema.dtype)
    if schema.categorical:
        n_categorical = len(schema.categorical)
        codes = np.empty((0, n_categorical), np.int32)
        return Mixed(dense, codes, (np.empty(0, str),) * n_categorical)
    return sp.csr_array(dense) if schema.sparse else dense


def _target(schema: Schema) -> Array | None:
    if not schema.n_targets:
        return None
    dtype = schema.label_dtype if schema.keeps_labels else np.float64
    return np.empty(0 if schema.y_is_1d else (0, schema.n_targets), dtype)
