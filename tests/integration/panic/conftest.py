"""A real exchange in an open market, with something to lose; panic runs as a person runs it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from streams.trading.cli import panic
from tests.integration.exchange.conftest import ExchangeProcess, exchange, start

__all__ = ["exchange", "start"]


@pytest.fixture
def held(exchange: ExchangeProcess) -> ExchangeProcess:
    """Two positions, and an order that rests far below the market."""
    exchange.advance(7)
    for wish in ({"symbol": "AAPL", "qty": "10", "type": "market"}, {"symbol": "MSFT", "qty": "5", "type": "market"},
                 {"symbol": "UGA", "qty": "3", "type": "limit", "limit_price": "1"}):
        status, order = exchange.call("POST", "/v2/orders", {**wish, "side": "buy", "time_in_force": "day"})
        assert status == 200, order
    assert len(exchange.call("GET", "/v2/positions")[1]) == 2
    return exchange


@pytest.fixture
def environment(exchange: ExchangeProcess, tmp_path: Path) -> dict[str, str]:
    """The broker is there; the log and the database are not."""
    return {"CATALYST_HOME": str(tmp_path / "home"), "CATALYST_BROKER_URL": exchange.url, "CATALYST_BROKER_KEY": "key", "CATALYST_BROKER_SECRET": "s3cret",
            "CATALYST_KAFKA": "127.0.0.1:1", "DATABASE_URL": "postgresql://127.0.0.1:1/none"}


@pytest.fixture
def run(environment: dict[str, str]) -> Callable[..., Result]:
    def panicked(*options: str, answer: str = "") -> Result:
        return CliRunner(env=environment).invoke(panic, [*(() if answer else ("--yes",)), *options], input=answer)

    return panicked


@pytest.fixture
def journals(tmp_path: Path) -> Callable[[], list[list[dict[str, Any]]]]:
    """Every journal's lines, oldest first."""
    return lambda: [[json.loads(line) for line in path.read_text().splitlines()] for path in sorted((tmp_path / "home" / "panic").glob("*.jsonl"))]


def what_is_left(exchange: ExchangeProcess) -> tuple[list[Any], list[Any]]:
    """Open orders and positions at the broker."""
    return exchange.call("GET", "/v2/orders", status="open")[1], exchange.call("GET", "/v2/positions")[1]


def fail(exchange: ExchangeProcess, kind: str, **how: object) -> None:
    """Arm a fault."""
    status, armed = exchange.call("POST", "/_sim/faults", {"kind": kind, **how})
    assert status == 201, armed
