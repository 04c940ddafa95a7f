"""Allreduce: every worker runs the whole loop, and a collective adds up."""
