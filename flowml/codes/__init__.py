"""Codes: who does which share of a pass, and how the sum is told from the answers that came.

Nothing here knows of a cluster. A runtime hands out the shares, brings answers, and decides how
long to wait.
"""
