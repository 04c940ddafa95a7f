"""The command ``flowml predict``."""

from pathlib import Path

import click

from flowml.cli.connection import connection
from flowml.cli.options import cluster_options, one_or_many
from flowml.cli.predicting import predict_files


@click.command("predict")
@click.option(
    "--model",
    required=True,
    metavar="FOLDER",
    type=click.Path(exists=True, path_type=Path),
    help="A folder of flowml fit, or a saved model's file.",
)
@click.option(
    "--data",
    required=True,
    multiple=True,
    metavar="PATH",
    help="Parquet, CSV, Zarr or .npy: paths, globs, folders or fsspec URLs.",
)
@click.option(
    "--out",
    required=True,
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Where the predictions go.",
)
@click.option("--overwrite", is_flag=True, help="Replace predictions that are there already.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
@cluster_options
def command(
    model: Path,
    data: tuple[str, ...],
    out: Path,
    overwrite: bool,
    quiet: bool,
    scheduler: str | None,
    workers: int | None,
) -> None:
    """Score files with a saved model.

    Writes Parquet files whose names sort in the order of the rows, block by block, with a column
    'prediction', or 'label' for clusters, or the transformed features.
    """
    with connection(scheduler, workers):
        rows = predict_files(model, one_or_many(list(data)), out, overwrite)
    if not quiet:
        click.echo(f"{rows:,} rows in {out}")
