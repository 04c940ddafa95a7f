"""Coded passes: shares overlap by a code, and nobody waits for who is late."""
