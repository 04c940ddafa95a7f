"""Arithmetic with twice float64's digits, for the few sums that need them.

A number is a pair ``high + low``. T. J. Dekker 1971, "A floating-point technique for extending the
available precision"; T. Ogita, S. M. Rump & S. Oishi 2005, "Accurate sum and dot product".
"""

import numba

from flowml.kernels.rows import Array

SPLITTER = 134217729.0  # 2**27 + 1


@numba.njit(nogil=True, cache=True, inline="always")
def two_sum(a: float, b: float) -> tuple[float, float]:
    """Return ``a + b`` rounded, and what the rounding lost."""
    high = a + b
    shadow = high - a
    return high, (a - (high - shadow)) + (b - shadow)


@numba.njit(nogil=True, cache=True, inline="always")
def two_product(a: float, b: float) -> tuple[float, float]:
    """Return ``a * b`` rounded, and what the rounding lost."""
    high = a * b
    a_big = SPLITTER * a
    a_high = a_big - (a_big - a)
    a_low = a - a_high
    b_big = SPLITTER * b
    b_high = b_big - (b_big - b)
    b_low = b - b_high
    return high, a_low * b_low - (((high - a_high * b_high) - a_low * b_high) - a_high * b_low)


@numba.njit(nogil=True, cache=True)
def dot(a: Array, b: Array) -> float:
    """Return the product of two float64 vectors as if summed in twice the precision.

    Examples
    --------
    >>> import numpy as np
    >>> dot(np.array([1e16, 1.0, -1e16]), np.ones(3))
    1.0
    """
    high, low = 0.0, 0.0
    for i in range(len(a)):
        product, product_error = two_product(a[i], b[i])
        high, sum_error = two_sum(high, product)
        low += product_error + sum_error
    return high + low
