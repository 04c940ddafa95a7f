"""Who takes part: one module for each library, a context manager in it for each job.

It is entered once, with the data and the cluster that the job needs made ready, and yields the
function that is called at every turn.
"""
