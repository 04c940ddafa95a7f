"""Exponentials and logarithms without branches, so that compiled loops take several at a time.

The C library's are called one by one, NumPy's only for whole arrays.
"""

from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

LOG2_E = 1.4426950408889634
LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
LN2 = 0.6931471805599453
ROUNDER = 6755399441055744.0
"""1.5 times 2 to the power of 52: what is added to it ends in its last bits as a whole number."""
LEAST, MOST = -746.0, 710.0
"""Beyond which exponentials are 0 and infinite."""
MANTISSA_BITS, BIAS = 52, 1023
SQRT2_LESS_1 = 0.41421356237309503


def _to_bits(context: Any, x: Any) -> Any:
    """Return the bits of a number."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), generate


def _to_number(context: Any, bits: Any) -> Any:
    """Return the number that has these bits."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.int64), generate


_bits_of: Any = intrinsic(_to_bits)
_number_of: Any = intrinsic(_to_number)


@numba.njit(nogil=True, inline="always")
def _power_of_two(shifted: float) -> float:
    """Return 2 to the power of a whole number, to which `ROUNDER` was added."""
    return _number_of((_bits_of(shifted) << MANTISSA_BITS) + (BIAS << MANTISSA_BITS))


@numba.njit(nogil=True, inline="always")
def exponential(x: float) -> float:
    """Return the exponential, right to one unit in the last place; NaN stays NaN.

    It is a power of two times that of what is left, at most half of ln 2, by Taylor's series.
    """
    x = LEAST if x < LEAST else x
    x = MOST if x > MOST else x
    power = (x * LOG2_E + ROUNDER) - ROUNDER
    r = (x - power * LN2_HIGH) - power * LN2_LOW
    series = 1.6059043836821613e-10
    series = series * r + 2.08767569878681e-09
    series = series * r + 2.505210838544172e-08
    series = series * r + 2.755731922398589e-07
    series = series * r + 2.7557319223985893e-06
    series = series * r + 2.48015873015873e-05
    series = series * r + 0.0001984126984126984
    series = series * r + 0.001388888888888889
    series = series * r + 0.008333333333333333
    series = series * r + 0.041666666666666664
    series = series * r + 0.16666666666666666
    series = series * r + 0.5
    series = series * r * r + r + 1.0
    half = (0.5 * power + ROUNDER) - ROUNDER  # in two steps, as the power itself may overflow
    return series * _power_of_two(half + ROUNDER) * _power_of_two((power - half) + ROUNDER)


@numba.njit(nogil=True, inline="always")
def logarithm_of_one_plus(s: float) -> float:
    r"""Return :math:`\log(1 + s)` for s from 0 to 1, right to a unit or two in the last place.

    Twice the inverse hyperbolic tangent of f, where :math:`(1 + f) / (1 - f)` is 1 + s or half of
    that, which is nearer to 1 then.
    """
    halved = s > SQRT2_LESS_1
    f = (s - 1.0) / (s + 3.0) if halved else s / (s + 2.0)
    square = f * f
    series = 1.0 / 23.0
    series = series * square + 1.0 / 21.0
    series = series * square + 1.0 / 19.0
    series = series * square + 1.0 / 17.0
    series = series * square + 1.0 / 15.0
    series = series * square + 1.0 / 13.0
    series = series * square + 1.0 / 11.0
    series = series * square + 1.0 / 9.0
    series = series * square + 1.0 / 7.0
    series = series * square + 1.0 / 5.0
    series = series * square + 1.0 / 3.0
    return (LN2 if halved else 0.0) + (2.0 * f + 2.0 * f * square * series)


@numba.njit(nogil=True, inline="always")
def logarithm(x: float) -> float:
    """Return the logarithm of a normal number above zero, right to 1e-16 of it or absolutely."""
    bits = _bits_of(x)
    power = (bits >> MANTISSA_BITS) - BIAS
    ones = BIAS << MANTISSA_BITS
    mantissa = _number_of((bits & ((1 << MANTISSA_BITS) - 1)) | ones)
    return power * LN2 + logarithm_of_one_plus(mantissa - 1.0)
