"""Workers that come and go: who is there, where their leaves go, and loops that regroup."""
