"""The command ``flowml demo``: two real jobs and one report."""

import time
from datetime import datetime
from pathlib import Path

import click

from flowml import __version__
from flowml.cli.demo_colours import colours
from flowml.cli.demo_housing import housing
from flowml.cli.fitting import write_text
from flowml.report import drawings
from flowml.report.page import Page, duration, key_figures


@click.command("demo")
@click.option(
    "--out",
    metavar="FOLDER",
    default="flowml-demo",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Where data, models and the report go.",
)
def command(out: Path) -> None:
    """Train on real data that come with flowml.

    House prices in California by linear models, beside scikit-learn's, and the colours of two
    photographs by k-means. Writes one report.
    """
    if not drawings.available():
        raise ImportError("the demo draws plots and pictures: pip install 'flowml[plot]'")
    started = time.perf_counter()
    stories = []
    for name, run in (("California housing", housing), ("Colours of photographs", colours)):
        click.echo(f"{name} …", err=True)
        stories.append(run(out))
    seconds = time.perf_counter() - started
    page = Page(
        "flowml demo",
        "Two jobs on real data: house prices by linear models, beside scikit-learn's, and the "
        "colours of two photographs by k-means.",
        key_figures({name: value for story in stories for name, value in story.figures.items()}),
        [section for story in stories for section in story.sections],
        f"Written by flowml {__version__}, {datetime.now():%d %B %Y, %H:%M}.",
    )
    write_text(out / "report.html", page.render())
    for name, value in (line for story in stories for line in story.lines.items()):
        click.echo(f"{name:<62}{value}")
    click.echo(f"\n{duration(seconds)}. The report: {(out / 'report.html').resolve()}")
