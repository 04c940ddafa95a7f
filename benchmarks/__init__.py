"""Benchmarks against the neighbours: ``make bench``, or ``python -m benchmarks --help``.

`jobs` says what is measured and what is to be reached, `contenders` who takes part, `race` lets
them take turns, `verdict` compares results and times, `page` writes docs/benchmarks.md.
"""
