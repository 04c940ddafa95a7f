"""Losses of a linear predictor: target and predictor in, value and derivatives out, row by row."""
