"""Solvers: merged summary in, next state out; one algorithm per file, and no Dask anywhere."""
