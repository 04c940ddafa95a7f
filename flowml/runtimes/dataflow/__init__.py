"""Dataflow: the client runs the loop, and each pass is a Dask graph."""
