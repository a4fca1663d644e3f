"""The control plane and the clock: lockstep by hand, paced by itself."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from websockets.exceptions import InvalidStatus

from tests.integration.exchange.conftest import ExchangeProcess, Start
from tests.integration.exchange.sockets import BUY, answer, call, listen, listener, subscriber


def test_a_minute_happens_only_when_it_is_asked_for_and_once(exchange: ExchangeProcess) -> None:
    assert exchange.sim("clock") == {
        "now": "2025-03-03T14:30:00Z", "mode": "lockstep", "speed": 1.0, "state": "waiting", "minute": None, "minutes_done": 0,
        "last_update_id": None, "last_update_at": None, "updates": 0}
    first = exchange.call("POST", "/_sim/advance", {"after": None})[1]
    assert first == exchange.call("POST", "/_sim/advance", {"after": None})[1] == {"minute": "2025-03-03T14:31:00Z", "bars": 2, "finished": False}
    second = exchange.call("POST", "/_sim/advance", {"after": first["minute"]})[1]
    assert second == exchange.call("POST", "/_sim/advance", {"after": first["minute"]})[1]
    clock = exchange.sim("clock")
    assert (clock["now"], clock["minute"], clock["minutes_done"], clock["state"]) == (second["minute"], second["minute"], 2, "running")


def test_a_minute_that_is_held_has_happened_and_is_counted_when_it_is_asked_for_again(exchange: ExchangeProcess) -> None:
    held = exchange.call("POST", "/_sim/advance", {"after": None, "hold": True})[1]
    assert exchange.call("POST", "/_sim/advance", {"after": None, "hold": True})[1] == held
    assert (exchange.sim("clock")["minute"], exchange.sim("minutes")["minutes"]) == (held["minute"], [])
    assert exchange.call("POST", "/_sim/advance", {"after": None})[1] == held
    assert [row["minute"] for row in exchange.sim("minutes")["minutes"]] == [held["minute"]]
    exchange.call("POST", "/_sim/advance", {"after": None, "hold": True})       # it was counted already
    assert len(exchange.sim("minutes")["minutes"]) == 1


def test_several_minutes_at_a_stroke_are_the_same_minutes(start: Start) -> None:
    one, many = start(journal="one"), start(journal="many")
    for _ in range(7):
        one.advance()
    first = many.call("POST", "/_sim/advance", {"after": None, "minutes": 7})[1]
    assert first == many.call("POST", "/_sim/advance", {"after": None, "minutes": 7})[1]
    assert one.sim("clock") == many.sim("clock")
    assert sum(row["bars"] for row in one.sim("minutes")["minutes"]) == first["bars"]


def test_a_minute_that_is_not_the_next_is_refused_in_words(exchange: ExchangeProcess) -> None:
    status, body = exchange.call("POST", "/_sim/advance", {"after": "2025-03-03T15:00:00Z"})
    assert (status, body["message"]) == (409, "the exchange has not reached 2025-03-03T15:00:00Z; its last finished minute is none")
    status, body = exchange.call("POST", "/_sim/advance", {"after": "2025-03-03T22:00:00Z"})
    assert (status, body["message"]) == (409, "the feed has no minute that ends at 2025-03-03T22:00:00Z")


def test_closed_hours_are_jumped_over_and_the_feed_ends(start: Start) -> None:
    exchange = start("--symbols", "UGA", "--days", "2")
    ends = []
    while (last := exchange.call("POST", "/_sim/advance", {"after": ends[-1] if ends else None})[1])["minute"]:
        ends.append(last["minute"])
        assert last["finished"] is (len(ends) == exchange.sim("feed")["minutes"])
    assert last == {"minute": None, "bars": 0, "finished": True}
    assert exchange.sim("clock")["state"] == "finished"
    assert {end[:10] for end in ends} == {"2025-03-03", "2025-03-04"}
    assert all("14:30" < end[11:16] <= "21:00" for end in ends)
    rows = exchange.sim("minutes")
    assert ([row["minute"] for row in rows["minutes"]], rows["finished"]) == (ends, True)


def test_the_minutes_wait_for_the_next_one(exchange: ExchangeProcess) -> None:
    assert exchange.sim("minutes") == {"minutes": [], "finished": False}
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(exchange.sim, "minutes", wait=20)
        exchange.advance()
        assert waiting.result() == {"finished": False, "minutes": [{
            "minute": "2025-03-03T14:31:00Z", "bars": 2, "session_open": "2025-03-03T14:30:00Z", "session_close": "2025-03-03T21:00:00Z"}]}
    exchange.advance(3)
    rows = exchange.sim("minutes", after="2025-03-03T14:31:00Z", limit=2)["minutes"]
    assert [row["minute"][11:16] for row in rows] == ["14:32", "14:33"]


def test_paced_the_minutes_happen_by_themselves_in_order_and_orders_fill(start: Start) -> None:
    exchange = start("--mode", "paced", "--speed", "6000")
    seen, after = list[str](), {}
    while len(seen) < 30:
        rows = exchange.sim("minutes", wait=20, **after)["minutes"]
        seen += [row["minute"] for row in rows]
        after = {"after": seen[-1]}
    assert all(earlier < later for earlier, later in pairwise(seen))
    assert exchange.call("POST", "/_sim/advance", {"after": None}) == (409, {"message": "the exchange is paced: its minutes happen by themselves"})
    body = {"symbol": "AAPL", "qty": 1, "side": "buy", "type": "market", "time_in_force": "day", "client_order_id": "one"}
    assert exchange.call("POST", "/v2/orders", body)[0] == 200
    exchange.sim("minutes", wait=20, after=exchange.sim("clock")["minute"])
    assert exchange.call("GET", "/v2/orders:by_client_order_id", client_order_id="one")[1]["status"] == "filled"
    clock = exchange.sim("clock")
    assert clock["now"] >= clock["minute"]


def test_as_fast_as_it_can_the_feed_runs_through(start: Start) -> None:
    exchange = start("--mode", "paced", "--speed", "1e9")
    after = dict[str, str]()
    while not (page := exchange.sim("minutes", wait=20, **after))["finished"]:
        after = {"after": page["minutes"][-1]["minute"]}
    assert exchange.sim("clock")["state"] == "finished"
    assert exchange.sim("clock")["minutes_done"] == exchange.sim("feed")["minutes"] == 780


def test_sigterm_ends_it_in_order_even_with_a_client_that_waits(exchange: ExchangeProcess) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(exchange.sim, "minutes", wait=50)
        exchange.call("GET", "/health")
        code, said = exchange.stop()
        assert (code, said) == (0, "")
        assert waiting.result() == {"minutes": [], "finished": False}


def test_the_clock_is_set_forward_and_never_back(exchange: ExchangeProcess) -> None:
    assert exchange.call("POST", "/_sim/clock", {"to": "2025-03-03T15:00:30Z"})[1]["minute"] == "2025-03-03T15:00:00Z"
    assert exchange.call("POST", "/_sim/clock", {"to": "2025-03-03T15:00:30Z"})[1]["minutes_done"] == 30
    status, body = exchange.call("POST", "/_sim/clock", {"to": "2025-03-03T14:00:00Z"})
    assert (status, body["message"]) == (409, "time does not go back: it is 2025-03-03T15:00:00Z already")
    assert exchange.call("POST", "/_sim/clock", {"to": "soon"})[0] == 400


def test_time_is_let_run_and_stopped_again(exchange: ExchangeProcess) -> None:
    exchange.advance()
    running = exchange.call("POST", "/_sim/pace", {"mode": "paced", "speed": 600})[1]
    assert (running["mode"], running["speed"]) == ("paced", 600)
    assert len(exchange.sim("minutes", after=running["minute"], wait=20)["minutes"]) >= 1
    stopped = exchange.call("POST", "/_sim/pace", {"mode": "lockstep"})[1]
    assert exchange.advance()["minute"] > stopped["minute"]
    assert exchange.sim("clock")["minutes_done"] == stopped["minutes_done"] + 1
    assert exchange.call("POST", "/_sim/pace", {"speed": 0})[0] == 422


async def test_a_halt_is_told_and_nothing_fills_until_it_ends(exchange: ExchangeProcess) -> None:
    await call(exchange.advance)
    async with subscriber(exchange, statuses=["*"]) as socket:
        status, asset = await call(exchange.call, "POST", "/_sim/halt", {"symbol": "AAPL"})
        assert (status, asset["halted"]) == (201, True)
        assert [(it["T"], it["S"], it["sc"], it["rc"]) for it in await answer(socket)] == [("s", "AAPL", "H", "T1")]
        placed = (await call(exchange.call, "POST", "/v2/orders", BUY))[1]
        await call(exchange.advance)
        assert (await call(exchange.call, "GET", f"/v2/orders/{placed['id']}"))[1]["filled_qty"] == "0"
        await call(exchange.call, "POST", "/_sim/resume", {"symbol": "AAPL"})
        assert [(it["S"], it["sc"]) for it in await answer(socket)] == [("AAPL", "T")]
        await call(exchange.advance)
        assert (await call(exchange.call, "GET", f"/v2/orders/{placed['id']}"))[1]["status"] == "filled"


def test_an_asset_changes_for_good_and_an_order_gets_any_status(exchange: ExchangeProcess) -> None:
    changed = exchange.call("POST", "/_sim/asset", {"symbol": "AAPL", "borrow_status": "hard_to_borrow", "fractionable": False})[1]
    exchange.kill()
    exchange.start()
    asset = exchange.trading(raw=True).get_asset("AAPL")
    assert (asset["borrow_status"], asset["fractionable"]) == ("hard_to_borrow", False)
    assert {**asset, "halted": False} == changed
    assert exchange.call("POST", "/_sim/asset", {"symbol": "AAPL", "colour": "red"})[0] == 422
    exchange.advance(390)
    placed = exchange.call("POST", "/v2/orders", BUY)[1]
    assert exchange.call("POST", "/_sim/order", {"id": placed["id"], "status": "suspended"})[1]["status"] == "suspended"


async def test_a_second_connection_can_be_refused(exchange: ExchangeProcess) -> None:
    assert exchange.call("PATCH", "/_sim/settings", {"second_connection": "refuse"})[0] == 200
    async with listener(exchange) as first:
        with pytest.raises(InvalidStatus) as refused:
            async with listener(exchange):
                pass
        assert refused.value.response.status_code == 429
        await listen(first)


def test_an_order_fills_in_the_lots_of_its_script_even_after_a_kill(exchange: ExchangeProcess) -> None:
    exchange.advance()
    assert exchange.call("POST", "/_sim/fills", {"client_order_id": "first", "lots": [3, "2.5"]}) == (201, {"client_order_id": "first", "lots": ["3", "2.5"]})
    exchange.call("POST", "/v2/orders", BUY)
    exchange.kill()
    exchange.start()
    seen = list[tuple[str, str]]()
    for _ in range(3):
        order = exchange.call("GET", "/v2/orders:by_client_order_id", client_order_id="first")[1]
        seen.append((order["filled_qty"], order["status"]))
        exchange.advance()
    assert seen == [("3", "partially_filled"), ("5.5", "partially_filled"), ("10", "filled")]
    assert exchange.call("POST", "/_sim/fills", {"client_order_id": "first", "lots": [0]})[0] == 422


def test_the_account_begins_anew_and_used_ids_stay_used(exchange: ExchangeProcess) -> None:
    exchange.advance()
    exchange.call("POST", "/v2/orders", BUY)
    open_order = {**BUY, "client_order_id": "open", "type": "limit", "limit_price": 100}
    assert exchange.call("POST", "/v2/orders", open_order)[0] == 200
    status, account = exchange.call("POST", "/_sim/reset", {"cash": 50_000})
    assert (status, account["equity"], account["buying_power"]) == (201, "50000", "200000")
    assert exchange.call("GET", "/v2/positions")[1] == exchange.call("GET", "/v2/orders")[1] == []
    assert exchange.call("POST", "/v2/orders", BUY)[1]["message"] == "client_order_id must be unique"
    exchange.advance()
    exchange.kill()
    exchange.start()
    assert exchange.call("GET", "/v2/account")[1]["equity"] == "50000"
    assert exchange.call("POST", "/_sim/reset", {"cash": -1})[0] == 422
