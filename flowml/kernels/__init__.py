"""Kernels: pure functions of arrays, ``(ask, rows) -> summary``: only they touch rows."""
