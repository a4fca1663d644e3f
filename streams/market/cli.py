"""`catalyst securities refresh`: asks the market role to read the broker's list of securities again."""

import asyncio
import getpass
from datetime import UTC, datetime

import click

from schemas import codec, settings
from schemas.commands import SecuritiesRequested
from schemas.topics import COMMANDS
from streams.log import Appended, LogUnavailable, Message
from streams.log.kafka import KafkaLog

KEY = "system"


@click.group()
def securities() -> None:
    """The securities that the broker lists."""


@securities.command()
@click.argument("symbols", nargs=-1)
@click.option("--reason", default="asked by hand", help="Why; stands on the log.")
@click.option("--key", default="", help="Idempotency key: the same key is the same request. Default: the present second.")
def refresh(symbols: tuple[str, ...], reason: str, key: str) -> None:
    """Ask that the broker's list be read again, for SYMBOLS or for all. What is new comes to catalyst.reference."""
    now = datetime.now(UTC)
    asked = SecuritiesRequested.new(
        source="/catalyst/cli", subject=KEY, time=now, symbols=tuple(sorted({symbol.upper() for symbol in symbols})),
        idempotency_key=key or f"cli-{now:%Y%m%dT%H%M%SZ}", actor=getpass.getuser(), reason=reason)
    asyncio.run(_publish(asked.stamped(recordedtime=now)))
    click.echo(f"asked ({asked.id}); new securities come to catalyst.reference when the market role has read the list")


async def _publish(asked: SecuritiesRequested) -> None:
    options = settings.load()
    log = KafkaLog(options.kafka, namespace=options.namespace)
    try:
        await log.start()
        outcome = await log.append(COMMANDS.name, [Message(KEY, codec.encode(asked), codec.headers(asked))])
    except LogUnavailable as away:
        raise click.ClickException(f"the log at {options.kafka} cannot be reached: {away}. Is the stack up? `catalyst status` tells.") from None
    finally:
        await log.stop()
    if not isinstance(outcome, Appended):
        raise click.ClickException(f"the request may not be on the log: {outcome.cause}. Send it again with --key {asked.idempotency_key}: it counts once.")
