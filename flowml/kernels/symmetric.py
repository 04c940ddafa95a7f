r"""Half of :math:`A^\top W A`, compiled: sums stay in the processor's registers.

OpenBLAS multiplies few columns by themselves no faster than two unlike matrices of that size. Half
of the products are enough, and of a few rows at a time everything else stays in the nearest cache.
"""

from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from flowml.kernels.rows import Array

LANES = 8
"""Numbers side by side in a vector of 64 bytes; processors with shorter ones use several."""
HEIGHT = 8
MOST_VECTORS = 3
"""8 times 3 sums and what is multiplied fit the 32 vector registers of AVX-512."""
NUMBER_BYTES = 8


def padded(n_columns: int) -> int:
    """Return the next multiple of `LANES`."""
    return -(-n_columns // LANES) * LANES


def _tile(n_vectors: int) -> Any:
    """Return the compiled sum of products of 8 columns with so many vectors of columns."""

    @intrinsic
    def add_tile(context: Any, left: Any, right: Any, out: Any, n_rows: Any, stride: Any) -> Any:
        signature = types.void(*[types.intp] * 5)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            _write_tile(builder, n_vectors, arguments)
            return context.get_dummy_value()

        return signature, generate

    return add_tile


def _write_tile(builder: Any, n_vectors: int, arguments: Any) -> None:
    """Write a loop over rows that keeps the sums in registers, then adds them to memory.

    `left` and `right` are the addresses of a row's first numbers, `out` that of the first sum, and
    `stride` is how many bytes lie between two rows of any of them. There is at least one row.
    """
    left, right, out, n_rows, stride = arguments
    word, number = n_rows.type, ir.DoubleType()
    vector, places = ir.VectorType(number, LANES), ir.VectorType(ir.IntType(32), LANES)
    nothing, first = ir.Constant(vector, ir.Undefined), ir.Constant(places, [0] * LANES)
    kind = ir.FunctionType(vector, [vector] * 3)
    multiply_add = builder.module.declare_intrinsic(f"llvm.fmuladd.v{LANES}f64", (), kind)

    def at(base: Any, numbers: int, of: Any) -> Any:
        place = builder.add(base, ir.Constant(word, numbers * NUMBER_BYTES))
        return builder.inttoptr(place, of.as_pointer())

    before, loop = builder.block, builder.append_basic_block("rows")
    builder.branch(loop)
    builder.position_at_end(loop)
    row, one, other = builder.phi(word), builder.phi(word), builder.phi(word)
    sums = [[builder.phi(vector) for _ in range(n_vectors)] for _ in range(HEIGHT)]
    vectors = [
        builder.load(at(other, LANES * v, vector), align=NUMBER_BYTES) for v in range(n_vectors)
    ]
    added = []
    for line, line_sums in enumerate(sums):
        single = builder.load(at(one, line, number))
        single = builder.insert_element(nothing, single, ir.Constant(ir.IntType(32), 0))
        same = builder.shuffle_vector(single, nothing, first)
        pairs = zip(vectors, line_sums, strict=True)
        added.append([builder.call(multiply_add, [same, v, total]) for v, total in pairs])
    steps = [
        (row, ir.Constant(word, 0), builder.add(row, ir.Constant(word, 1))),
        (one, left, builder.add(one, stride)),
        (other, right, builder.add(other, stride)),
    ]
    zero = ir.Constant(vector, [0.0] * LANES)
    for line_sums, line_added in zip(sums, added, strict=True):
        steps += [(total, zero, new) for total, new in zip(line_sums, line_added, strict=True)]
    for value, start, new in steps:
        value.add_incoming(start, before)
        value.add_incoming(new, loop)
    end = builder.append_basic_block("end")
    builder.cbranch(builder.icmp_signed("<", steps[0][2], n_rows), loop, end)
    builder.position_at_end(end)
    for line, line_added in enumerate(added):
        base = builder.add(out, builder.mul(stride, ir.Constant(word, line)))
        for v, new in enumerate(line_added):
            place = at(base, LANES * v, vector)
            known = builder.load(place, align=NUMBER_BYTES)
            builder.store(builder.fadd(known, new), place, align=NUMBER_BYTES)


_one, _two, _three = (_tile(n_vectors) for n_vectors in range(1, MOST_VECTORS + 1))


@numba.njit(nogil=True, cache=True)
def add_half(left: Array, right: Array, n_rows: int, sums: Array) -> None:
    r"""Add :math:`L^\top R` of the first rows, on and above the diagonal and a little below.

    Parameters
    ----------
    left, right : C-contiguous float64 ndarray of shape (at least n_rows, size)
        The size is a multiple of `LANES`.
    n_rows : int
        At least 1.
    sums : C-contiguous float64 ndarray of shape (size, size)
    """
    size = left.shape[1]
    stride = NUMBER_BYTES * size
    for line in range(0, size, HEIGHT):
        one = left.ctypes.data + NUMBER_BYTES * line
        column = line
        while column < size:
            other = right.ctypes.data + NUMBER_BYTES * column
            out = sums.ctypes.data + NUMBER_BYTES * (line * size + column)
            n_vectors = min(MOST_VECTORS, (size - column) // LANES)
            if n_vectors == 3:
                _three(one, other, out, n_rows, stride)
            elif n_vectors == 2:
                _two(one, other, out, n_rows, stride)
            else:
                _one(one, other, out, n_rows, stride)
            column += n_vectors * LANES


@numba.njit(nogil=True, cache=True)
def add_weighted_half(few: Array, weight: Array, work: Array, half: Array) -> None:
    """Add the weighted products of a few rows with themselves, as `add_half` does."""
    for i in range(len(few)):
        for j in range(few.shape[1]):
            work[i, j] = weight[i] * few[i, j]
    add_half(work, few, len(few), half)


@numba.njit(nogil=True, cache=True)
def whole_of(half: Array, out: Array) -> None:
    """Add what `add_half` left of a symmetric matrix to a smaller one, both halves."""
    for i in range(len(out)):
        for j in range(i, len(out)):
            out[i, j] += half[i, j]
            if i != j:
                out[j, i] += half[i, j]
