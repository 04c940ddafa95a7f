"""Kernels: pure functions of arrays, ``(ask, rows) -> summary``; the only code that touches rows."""
