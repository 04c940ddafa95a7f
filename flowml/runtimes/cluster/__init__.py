"""What runtimes have in common on a Dask cluster: its workers, and a fit's shards on them."""
