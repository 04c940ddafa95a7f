"""Data: anything with rows becomes a Dataset, an ordered list of blocks and how to get them."""
