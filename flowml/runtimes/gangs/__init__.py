"""Gangs: a member on each worker, an actor with a thread of its own that holds shards."""
