"""The command `catalyst`, put together from what each room declares: subcommands are the entry points `catalyst.commands`, roles `catalyst.roles`.

A subcommand is imported only when it is called, so `catalyst status` does not pay for the MCP server.
"""

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points, version

import click

from schemas import settings
from schemas.settings import BadSettings, Settings

COMMANDS, ROLES = "catalyst.commands", "catalyst.roles"


class Rooms(click.Group):
    """A click group whose members are found among the installed entry points, by name, when asked for."""

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted({*super().list_commands(context), *(point.name for point in entry_points(group=COMMANDS))})

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        own = super().get_command(context, name)
        if own is not None:
            return own
        point = _point(COMMANDS, name)
        command = point.load() if point else None
        assert command is None or isinstance(command, click.Command)
        return command


def _point(group: str, name: str) -> EntryPoint | None:
    return next(iter(entry_points(group=group, name=name)), None)


@click.group(cls=Rooms, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(version("catalyst-trading"), prog_name="catalyst")
def main() -> None:
    """Catalyst: an event-sourced day-trading system. Every answer about what happened, and why, is in the log."""


@main.command()
def config() -> None:
    """Print every setting, its value and where it came from."""
    for row in settings.explain():
        unit = f" {row.unit}" if row.unit else ""
        click.echo(f"{row.env:28} {row.value + unit:44} {row.source}\n{'':28} {row.doc}")


@main.command()
@click.argument("name")
@click.pass_context
def role(context: click.Context, name: str) -> None:
    """Run one role in this process until it is told to end (the supervisor and containers call this)."""
    point = _point(ROLES, name)
    if point is None:
        known = ", ".join(sorted(point.name for point in entry_points(group=ROLES)))
        raise click.UsageError(f"no role {name!r}; there are: {known}")
    run: Callable[[Settings], int] = point.load()
    context.exit(run(settings.load()))


def entry() -> None:
    """`catalyst …`; settings that cannot be used end it with a sentence, not a traceback."""
    try:
        main()
    except BadSettings as bad:
        click.echo(f"settings: {bad}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    entry()
