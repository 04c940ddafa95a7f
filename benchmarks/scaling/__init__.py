"""How the time of a pass grows with the workers: measured, and simulated where none can be had."""
