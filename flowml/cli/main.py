"""The command ``flowml``: a group whose commands load when they are asked for."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TextIO

import click

from flowml import __version__

COMMANDS = {
    "fit": "Train a model from files on disk.",
    "predict": "Score files with a saved model.",
    "plan": "Say what a job will cost, before it is paid.",
    "demo": "Train on real data that come with flowml.",
}
USER_ERRORS = (ValueError, TypeError, OSError, ImportError)
INTERRUPTED = 130


class LazyGroup(click.Group):
    """Imports a command's module on first use, so that help and mistakes answer at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands in the order that a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command."""
        if cmd_name not in COMMANDS:
            return None
        return import_module(f"flowml.cli.{cmd_name}").command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; a user's error is one line and code 1, an interrupt code 130."""
        with plain_warnings():
            try:
                return super().invoke(ctx)
            except USER_ERRORS as error:
                raise click.ClickException(" ".join(str(error).split())) from error
            except KeyboardInterrupt:
                click.echo("Stopped.", err=True)
                ctx.exit(INTERRUPTED)


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Show warnings as one line each, without the source that they come from."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        click.echo(f"Warning: {' '.join(str(message).split())}", err=True)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


@click.group("flowml", cls=LazyGroup)
@click.version_option(__version__, prog_name="flowml")
def flowml() -> None:
    """Train scikit-learn-style models on files, on threads or on a Dask cluster."""


def main() -> None:
    """Run the command line."""
    sys.exit(flowml())
