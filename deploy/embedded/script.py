"""The orders file of a run in lockstep: JSON lines of what is asked at given minutes, so that a run with trades, signals and commands can be repeated.

    {"at": "2019-02-11T14:35:00Z", "symbol": "AAPL", "side": "buy", "quantity": 10, "key": "any-1"}                                   a trade
    {"at": "2019-02-11T14:35:00Z", "signal": "AAPL", "entry": 170.1, "stop": 168, "target": 175, "confidence": 0.8, "minutes": 5}       a signal
    {"at": "2019-02-11T14:35:00Z", "command": "mode.change_requested", "mode": "autonomous", "key": "m-1"}                              any other command
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from schemas import commands
from schemas.analysis import SignalRaised
from schemas.commands import TradeRequested
from schemas.envelope import Event
from schemas.topics import COMMANDS, SIGNALS, Topic

EXAMPLE = '{"at": "2019-02-11T14:35:00Z", "symbol": "AAPL", "side": "buy", "quantity": 10, "key": "any-1"}'
SHOWN = 10          # lines that are wrong and named
BY_NAME: Mapping[str, type[Event]] = {kind.kind().rpartition(".v")[0]: kind for kind in commands.EVENTS}


class BadOrders(ValueError):
    """The orders file cannot be used; the message names every line that is wrong, and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing to say."""

    at: datetime            # the END of the minute after which it is said, UTC
    topic: Topic
    make: Callable[[str, datetime, timedelta], Event]       # from the account, the market's time and how long a request is good for
    key: str


def read_script(path: Path) -> list[Line]:
    """What the file says, by time and then as it stands there. Raises BadOrders."""
    found, wrong = [], []
    for number, text in enumerate(path.read_text().splitlines(), 1):
        if not text.strip():
            continue
        try:
            row = json.loads(text, parse_float=Decimal)
            at = datetime.fromisoformat(row.pop("at"))
            if at.tzinfo is None:
                raise ValueError("`at` has no time zone")
            line = _line(at.astimezone(UTC), row)
            line.make("check", line.at, timedelta(0))
            found.append(line)
        except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
            why = f"{error.errors()[0]['loc'][0]}: {error.errors()[0]['msg']}" if isinstance(error, ValidationError) else repr(error)
            wrong.append(f"{path} line {number:,}: {why}")
    if wrong:
        more = [f"and {len(wrong) - SHOWN:,} more"] if len(wrong) > SHOWN else []
        raise BadOrders("\n".join([*wrong[:SHOWN], *more, f"a line is {EXAMPLE}"]))
    return sorted(found, key=lambda line: line.at)


def _line(at: datetime, row: dict[str, Any]) -> Line:
    if "signal" in row:
        return _signal(at, row)
    name = row.pop("command", "trade.requested")
    if name not in BY_NAME:
        raise ValueError(f"no such command: {name}; there are {', '.join(sorted(BY_NAME))}")
    kind, key = BY_NAME[name], str(row.pop("key"))
    given = {"actor": "driver", "reason": "orders file", **row}

    def make(account: str, now: datetime, patience: timedelta) -> Event:
        expires = {"expires": now + patience} if kind is TradeRequested else {}
        return kind.new(source="/driver", subject=account, time=now, idempotency_key=key, **expires, **given)

    return Line(at, COMMANDS, make, key)


def _signal(at: datetime, row: dict[str, Any]) -> Line:
    symbol, minutes = str(row.pop("signal")), int(row.pop("minutes", 5))
    given = {"size_hint": None, "strategy": "orders-file", "strategy_version": "1", "reasons": ("orders file",), **row}
    event = SignalRaised.new(source="/driver", subject=symbol, time=at, expires=at + timedelta(minutes=minutes), **given)
    return Line(at, SIGNALS, lambda account, now, patience: event, str(event.id))
