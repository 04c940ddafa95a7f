"""Runtimes: who adds the summaries up. The only room that imports `distributed`."""
