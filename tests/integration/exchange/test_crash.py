"""kill -9 at any time loses no accepted order and no minute; the same run twice is the same to the byte."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from websockets.asyncio.client import connect

from tests.integration.exchange.conftest import ExchangeProcess, Start


def buy(exchange: ExchangeProcess, id: str, symbol: str = "AAPL") -> tuple[int, dict[str, object]]:
    return exchange.call("POST", "/v2/orders", {"symbol": symbol, "qty": 3, "side": "buy", "type": "market", "time_in_force": "day",
                                                "client_order_id": id})


def everything(exchange: ExchangeProcess) -> list[object]:
    return [exchange.call("GET", path)[1] for path in (
        "/_sim/clock", "/v2/account", "/v2/positions", "/v2/orders?status=all&limit=500", "/v2/account/activities/FILL")]


def test_killed_after_an_accepted_order_it_has_the_order_once(exchange: ExchangeProcess) -> None:
    exchange.advance(5)
    assert buy(exchange, "filled")[0] == buy(exchange, "waiting", "UGA")[0] == 200
    before = everything(exchange)
    exchange.kill()
    exchange.start()
    assert everything(exchange) == before
    assert buy(exchange, "waiting", "UGA") == (422, {"code": 40010001, "message": "client_order_id must be unique"})
    assert exchange.advance()["minute"] == "2025-03-03T14:36:00Z"


def test_killed_amid_brackets_and_changes_it_goes_on_as_if_nothing_had_been(start: Start) -> None:
    """Two exchanges live the same day; one of them is killed again and again."""
    one, other = start("--rule", "slow_changes=yes", journal="one"), start("--rule", "slow_changes=yes", journal="other")
    for exchange in (one, other):
        exchange.advance(3)
    for number in range(4):
        for exchange in (one, other):
            trade(exchange, number)
            exchange.advance(3)
        one.kill()
        one.start()
        assert everything(one) == everything(other)
    assert len(everything(one)[3]) > 12     # type: ignore[arg-type]


def trade(exchange: ExchangeProcess, number: int) -> None:
    """A bracket, a resting order that is changed, a trailing stop, and a cancel, as far as they are taken."""
    price = float(exchange.call("GET", "/v2/stocks/bars", symbols="AAPL", timeframe="1Min", sort="desc", limit=1)[1]["bars"]["AAPL"][0]["c"])
    market = {"symbol": "AAPL", "qty": 10, "side": "buy", "type": "market", "time_in_force": "gtc", "client_order_id": f"bracket-{number}"}
    exchange.call("POST", "/v2/orders", {**market, "order_class": "bracket", "take_profit": {"limit_price": round(price * 1.001, 2)},
                                         "stop_loss": {"stop_price": round(price * 0.999, 2)}})
    limit = {**market, "symbol": "MSFT", "type": "limit", "limit_price": 10, "client_order_id": f"limit-{number}"}
    placed = exchange.call("POST", "/v2/orders", limit)[1]
    exchange.call("PATCH", f"/v2/orders/{placed['id']}", {"limit_price": 11 + number})
    exchange.call("POST", "/v2/orders", {**market, "symbol": "UGA", "type": "trailing_stop", "trail_percent": 1, "client_order_id": f"trail-{number}"})
    exchange.call("DELETE", f"/v2/orders/{exchange.call('GET', '/v2/orders', limit=1)[1][0]['id']}")


def test_killed_under_load_it_has_every_order_that_was_answered(exchange: ExchangeProcess) -> None:
    exchange.advance()
    for _ in range(3):
        answered = [it["client_order_id"] for it in exchange.call("GET", "/v2/orders", status="all", limit=500)[1]]
        for number in range(5):
            id = f"{len(answered)}-{number}"
            assert buy(exchange, id)[0] == 200
            answered.append(id)
        exchange.kill()
        exchange.start()
        found = [it["client_order_id"] for it in exchange.call("GET", "/v2/orders", status="all", limit=500)[1]]
        assert sorted(found) == sorted(answered)


def test_a_paced_run_goes_on_where_it_was_killed(start: Start) -> None:
    exchange = start("--mode", "paced", "--speed", "6000")
    reached = exchange.sim("minutes", wait=20)["minutes"][-1]["minute"]
    exchange.kill()
    exchange.start()
    rows = exchange.sim("minutes", wait=20, after=reached)["minutes"]
    assert rows[0]["minute"] > reached


def test_a_torn_last_line_is_cut_off_and_said_a_damaged_one_refuses_to_start(exchange: ExchangeProcess) -> None:
    exchange.advance(3)
    exchange.kill()
    file = exchange.journal / "journal.jsonl"
    content = file.read_bytes()
    file.write_bytes(content + b'{"crc": "12')
    exchange.start()
    assert exchange.sim("clock")["minutes_done"] == 3
    assert exchange.stop() == (0, f"{file} line 5 was cut off by a crash and never answered; its 11 bytes were removed.\n")
    file.write_bytes(content.replace(b"14:32", b"14:42"))
    assert "line 3 is damaged" in refusal(exchange)


def refusal(exchange: ExchangeProcess) -> str:
    """What it says when it does not start."""
    try:
        exchange.start()
    except AssertionError as error:
        assert exchange.code == 2
        return str(error)
    raise AssertionError("it started")


def test_orders_and_updates_of_two_equal_runs_are_equal_to_the_byte(start: Start) -> None:
    first, second = (asyncio.run(recorded_run(start(journal=name))) for name in ("one", "two"))
    assert first == second
    assert len(first) > 30


async def recorded_run(exchange: ExchangeProcess) -> list[bytes]:
    """Every byte of the answers and of the trade updates."""
    record: list[bytes] = []
    async with connect(f"{exchange.ws}/stream") as socket:
        for message in ({"action": "authenticate", "data": {"key_id": "k", "secret_key": "s"}}, {"action": "listen", "data": {"streams": ["trade_updates"]}}):
            await socket.send(json.dumps(message))
            await socket.recv()
        for number in range(8):
            await asyncio.to_thread(exchange.advance)
            for symbol in ("AAPL", "UGA", "NOPE"):
                record.append(json.dumps(await asyncio.to_thread(buy, exchange, f"{number}-{symbol}", symbol)).encode())
        updates = exchange.sim("clock")["updates"]
        async with asyncio.timeout(20):
            for _ in range(updates):
                frame = await socket.recv()
                assert isinstance(frame, bytes)
                record.append(frame)
    record.append(json.dumps(everything(exchange)).encode())
    record.append((exchange.journal / "journal.jsonl").read_bytes())
    return record


def test_an_order_that_does_not_fit_on_the_disk_is_refused_and_nothing_has_happened(start: Start, tmp_path: Path) -> None:
    exchange = start()
    exchange.advance()
    before = everything(exchange)
    exchange.limit_files((exchange.journal / "journal.jsonl").stat().st_size + 100)
    status, body = buy(exchange, "one")
    assert (status, body["code"]) == (503, 50010000)
    assert body["message"] == "the paper exchange could not write its journal and did nothing: File too large"
    assert everything(exchange) == before
    exchange.limit_files(None)
    assert buy(exchange, "one")[0] == 200
