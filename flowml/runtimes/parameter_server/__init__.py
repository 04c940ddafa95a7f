"""Parameter server: a state on one worker, and others on clocks of their own."""
