"""Drive: the loop that asks, passes and steps; its checkpoints and its events."""
