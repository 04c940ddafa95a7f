"""Penalties on coefficients: value, proximal operator, and how far a point is from optimal."""
