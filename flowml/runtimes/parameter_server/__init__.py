"""Parameter server: a state on one worker or several, and others on clocks of their own."""
