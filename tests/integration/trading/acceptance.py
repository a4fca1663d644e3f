"""The acceptance deck of a broker adapter: numbered cards, each a promise that is played against a real account.

`make test` plays them on the paper exchange (test_alpaca_acceptance). Against a real paper account:

    CATALYST_ACCEPTANCE_KEY=... CATALYST_ACCEPTANCE_SECRET=... .venv/bin/python -m tests.integration.trading.acceptance

It trades two shares of CATALYST_ACCEPTANCE_SYMBOL (F) at a time, and begins each card by cancelling every order and closing every position of that
account. A card that takes faults or a clock that can be moved says so and is skipped there. CATALYST_ACCEPTANCE_URL and _DATA_URL name another broker
that speaks Alpaca's API; a live account is refused.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from schemas.settings import Settings, load
from streams.trading.alpaca import AlpacaBroker
from streams.trading.broker import BrokerUnavailable
from tests.integration.trading.table import Play, Skipped, Table, taken

POST = {"method": "POST", "path": "/v2/orders"}


@dataclass(frozen=True, slots=True)
class Card:
    """One promise."""

    id: str
    title: str
    play: Play


CARDS: list[Card] = []


def card(id: str, title: str) -> Callable[[Play], Play]:
    def add(play: Play) -> Play:
        CARDS.append(Card(id, title, play))
        return play

    return add


# P: place


@card("P1", "a market buy is taken under our id and fills")
async def p1(table: Table) -> None:
    order = table.order()
    placed = taken(await table.broker.submit(order))
    assert (placed["client_order_id"], placed["symbol"], placed["qty"], placed["side"]) == (order.client_order_id, table.symbol, "2", "buy")
    assert Decimal((await table.until(placed, "filled"))["filled_avg_price"]) > 0


@card("P2", "a market sell that closes leaves nothing behind")
async def p2(table: Table) -> None:
    await table.hold()
    await table.until(await table.submit("sell"), "filled")
    assert table.outside.get("/positions") == []


@card("P3", "a limit below the market rests and is found by our id and by the broker's")
async def p3(table: Table) -> None:
    order = table.order(type="limit", limit_price=await table.near(-5))
    placed = taken(await table.broker.submit(order))
    mine, theirs = await table.broker.lookup(order.client_order_id), await table.broker.order(placed["id"])
    assert taken(mine)["id"] == taken(theirs)["id"] == placed["id"]
    assert Decimal(taken(mine)["limit_price"]) == order.form.limit_price


@card("P4", "a protective stop rests below a position")
async def p4(table: Table) -> None:
    await table.hold()
    stop = await table.near(-5)
    placed = await table.until(await table.submit("sell", part="stop", type="stop", stop_price=stop, time_in_force="gtc"), "new", "accepted", "held")
    assert (placed["type"], Decimal(placed["stop_price"]), placed["time_in_force"]) == ("stop", stop, "gtc")


@card("P5", "a stop-limit has both prices")
async def p5(table: Table) -> None:
    stop, limit = await table.near(5), await table.near(6)
    placed = await table.submit(type="stop_limit", stop_price=stop, limit_price=limit)
    assert (Decimal(placed["stop_price"]), Decimal(placed["limit_price"])) == (stop, limit)


@card("P6", "a price off the tick is put on it, never to our harm, and arrives as the exact decimal")
async def p6(table: Table) -> None:
    limit = await table.near(-5)
    placed = await table.submit(type="limit", limit_price=limit + Decimal("0.0099"))
    assert Decimal(placed["limit_price"]) == limit


@card("P7", "a part of a share arrives as the exact decimal")
async def p7(table: Table) -> None:
    assert (await table.submit(quantity="0.3", type="market"))["qty"] == "0.3"


# R: replace


@card("R1", "a replacement is a new order, and the old one names it")
async def r1(table: Table) -> None:
    old, price = await table.rest(), await table.near(-6)
    new = taken(await table.replace(old, price))
    assert new["id"] != old["id"] and Decimal(new["limit_price"]) == price
    assert (await table.until(old, "replaced"))["replaced_by"] == new["id"]


@card("R2", "a replacement that changes nothing is told as such, or is an order at the same price")
async def r2(table: Table) -> None:
    old = await table.rest()
    answer = await table.replace(old, Decimal(old["limit_price"]))
    assert answer.refusal == "no_change" or taken(answer)["limit_price"] == old["limit_price"]


@card("R3", "an order that is over cannot be replaced")
async def r3(table: Table) -> None:
    old = await table.until(await table.submit(), "filled")
    assert (await table.replace(old, await table.near(-6))).refusal == "not_replaceable"


@card("R4", "a stop is moved")
async def r4(table: Table) -> None:
    await table.hold()
    old = await table.until(await table.submit("sell", part="stop", type="stop", stop_price=await table.near(-6)), "new", "accepted")
    stop = await table.near(-5)
    assert Decimal(taken(await table.replace(old, stop=stop))["stop_price"]) == stop


# C: cancel


@card("C1", "a working order is cancelled")
async def c1(table: Table) -> None:
    order = await table.rest()
    answer = await table.cancel(order)
    assert (answer.outcome, answer.http_status) == ("accepted", 204)
    await table.until(order, "canceled")


@card("C2", "cancelling twice does no harm")
async def c2(table: Table) -> None:
    order = await table.rest()
    await table.cancel(order)
    await table.until(order, "canceled")
    answer = await table.cancel(order)
    assert (answer.outcome, answer.refusal) == ("rejected", "not_cancelable")


@card("C3", "what the broker never had is absent by either id, and for a cancellation")
async def c3(table: Table) -> None:
    nobody = {"id": "00000000-0000-4000-8000-000000000000"}
    answers = [await table.cancel(nobody), await table.broker.order(nobody["id"]), await table.broker.lookup("accept-nobody")]
    assert [answer.outcome for answer in answers] == ["absent"] * 3


# B: bracket, OTO, OCO


async def bracket(table: Table, target: float = 5, stop: float = -5, **form: object) -> dict[str, dict[str, object]]:
    """Parent, target and stop of a bracket."""
    placed = await table.submit(order_class="bracket", take_profit=await table.near(target), stop_loss=await table.near(stop), **form)
    legs = {"target" if leg["type"] == "limit" else "stop": leg for leg in placed["legs"]}
    return {"parent": placed, **legs}


@card("B1", "a bracket's two legs are known by their parent and wake when it is filled")
async def b1(table: Table) -> None:
    placed = await bracket(table)
    parent = await table.until(placed["parent"], "filled")
    assert {leg["id"] for leg in parent["legs"]} == {placed["target"]["id"], placed["stop"]["id"]}
    assert (await table.until(placed["target"], "new", "accepted"))["status"] != "held"
    assert table.see(str(placed["stop"]["id"]))["status"] in ("held", "new", "accepted")


@card("B2", "cancelling one leg cancels the other")
async def b2(table: Table) -> None:
    placed = await bracket(table)
    await table.until(placed["parent"], "filled")
    await table.cancel(placed["stop"])
    await table.until(placed["stop"], "canceled")
    await table.until(placed["target"], "canceled", "replaced")


@card("B3", "an entry that is cancelled takes its legs with it")
async def b3(table: Table) -> None:
    placed = await bracket(table, target=5, stop=-10, type="limit", limit_price=await table.near(-5))
    await table.cancel(placed["parent"])
    for one in placed.values():
        await table.until(one, "canceled")


@card("B4", "the target fills, and the stop ends")
async def b4(table: Table) -> None:
    made = await table.provoked(lambda: bracket(table, target=0.03, stop=-8), lambda made: made["target"])
    await table.until(made["stop"], "canceled")


@card("B5", "the stop fills, and the target ends, canceled or replaced")
async def b5(table: Table) -> None:
    made = await table.provoked(lambda: bracket(table, target=8, stop=-0.03), lambda made: made["stop"])
    await table.until(made["target"], "canceled", "replaced")


@card("B6", "an OTO has its stop alone")
async def b6(table: Table) -> None:
    placed = await table.submit(order_class="oto", stop_loss=await table.near(-5))
    (leg,) = (await table.until(placed, "filled"))["legs"]
    assert (leg["type"], leg["side"]) == ("stop", "sell")


@card("B7", "an OCO closes a position one way or the other")
async def b7(table: Table) -> None:
    await table.hold()
    placed = await table.submit("sell", type="limit", order_class="oco", take_profit=await table.near(5), stop_loss=await table.near(-5))
    (leg,) = placed["legs"]
    assert (placed["type"], leg["type"]) == ("limit", "stop")
    await table.cancel(placed)
    await table.until(leg, "canceled")


# A: ambiguous failures


@card("A1", "an answer that is lost leaves the order unknown, and a look-up finds it once")
async def a1(table: Table) -> None:
    order = table.order()
    table.arm("answer_lost", target=POST)
    assert (await table.broker.submit(order)).outcome == "unknown"
    assert (await table.broker.lookup(order.client_order_id)).outcome == "found"
    assert len(table.named(order)) == 1


@card("A2", "a 504 is met by exactly one POST, whether or not it was carried out")
async def a2(table: Table) -> None:
    for handled in (True, False):
        order = table.order()
        table.sim.call("DELETE", "/_sim/faults")
        table.arm("error", status=504, handled=handled, count=None, target=POST)
        assert (await table.broker.submit(order)).outcome == "unknown"
        assert (table.requests(), len(table.named(order))) == (1, handled)


@card("A3", "an order that never arrived is absent, and goes out again under the same id")
async def a3(table: Table) -> None:
    order = table.order()
    table.arm("reset", target=POST)
    assert (await table.broker.submit(order)).outcome == "unknown"
    assert (await table.broker.lookup(order.client_order_id)).outcome == "absent"
    assert (await table.broker.submit(order)).outcome == "accepted"


@card("A4", "the same id twice is refused as a duplicate, and there is one order")
async def a4(table: Table) -> None:
    order = table.order(type="limit", limit_price=await table.near(-5))
    taken(await table.broker.submit(order))
    answer = await table.broker.submit(order)
    assert (answer.outcome, answer.refusal, len(table.named(order))) == ("rejected", "duplicate_id", 1)


@card("A5", "an entry that hangs holds up neither exit nor cancellation nor look-up, and broken off it is unknown")
async def a5(table: Table) -> None:
    resting = await table.rest()
    await table.hold("1")
    hanging = table.order()
    table.arm("hang", target={**POST, "client_order_id": hanging.client_order_id})
    waiting = asyncio.create_task(table.broker.submit(hanging))
    await table.met()
    assert (await table.broker.lookup(resting["client_order_id"])).outcome == "found"
    assert (await table.cancel(resting)).outcome == "accepted"
    assert (await table.broker.submit(table.order("sell", "1"))).outcome == "accepted"
    assert not waiting.done()
    table.sim.call("DELETE", "/_sim/faults")
    assert (await waiting).outcome == "unknown"


@card("A6", "answers that cannot be read are unknown: empty, a page of the edge")
async def a6(table: Table) -> None:
    for fault, there in ({"kind": "empty"}, 1), ({"kind": "html", "status": 502}, 0), ({"kind": "error", "status": 500}, 0):
        order = table.order()
        table.arm(**fault, target=POST)
        assert (await table.broker.submit(order)).outcome == "unknown"
        assert len(table.named(order)) == there


@card("A7", "a 429 was not processed: refused as such, once, and entries wait while exits pass")
async def a7(table: Table) -> None:
    await table.hold()
    table.arm("rate_limited", reset_in=30, target=POST)
    answer = await table.broker.submit(order := table.order())
    assert (answer.outcome, answer.refusal, table.requests(), table.named(order)) == ("rejected", "rate_limited", 1, [])
    assert (await table.broker.submit(table.order())).outcome == "unsent"
    assert (await table.broker.submit(table.order("sell"))).outcome == "accepted"


@card("A8", "an answer with a status nobody knows is a yes")
async def a8(table: Table) -> None:
    table.arm("unknown_status", target={"path": "/v2/orders*"})
    assert (await table.submit())["status"] == "held_for_review"


@card("A9", "a cancellation whose answer is lost is unknown, and asked again")
async def a9(table: Table) -> None:
    order = await table.rest()
    table.arm("answer_lost", target={"method": "DELETE"})
    assert (await table.cancel(order)).outcome == "unknown"
    assert (await table.cancel(order)).outcome in ("accepted", "rejected")
    await table.until(order, "canceled")


@card("A10", "a replacement whose answer is lost is sent once, and the old order names its successor")
async def a10(table: Table) -> None:
    order, price = await table.rest(), await table.near(-6)
    table.arm("answer_lost", target={"method": "PATCH"}, count=None)
    assert (await table.replace(order, price)).outcome == "unknown"
    assert table.requests() == 1
    successor = taken(await table.broker.order(taken(await table.broker.order(order["id"]))["replaced_by"]))
    assert (successor["replaces"], Decimal(successor["limit_price"])) == (order["id"], price)


@card("A11", "a cancellation that is taken may still be beaten by the fill")
async def a11(table: Table) -> None:
    async def told_to_end() -> dict[str, object]:
        order = await table.rest(-0.03)
        table.arm("cancel_too_late", target={"method": "DELETE", "path": f"/v2/orders/{order['id']}"})
        assert (await table.cancel(order)).outcome == "accepted"
        return order

    await table.provoked(told_to_end, lambda order: order)


@card("A12", "after five failures in a row no entry leaves; exits and look-ups do; success closes it")
async def a12(table: Table) -> None:
    await table.hold()
    changes: list[str] = []
    table.broker.on_breaker(lambda state, failures, cause: changes.append(f"{state} {failures} {cause}".strip()))
    table.arm("error", status=503, count=5, target=POST)
    for _ in range(5):
        assert (await table.broker.submit(table.order())).outcome == "unknown"
        assert (await table.broker.lookup("accept-nobody")).outcome == "absent"
    answer = await table.broker.submit(table.order())
    assert (answer.outcome, answer.cause, table.broker.breaker()) == ("unsent", "circuit open", "open")
    assert (await table.broker.submit(table.order("sell"))).outcome == "accepted"
    assert (table.broker.breaker(), changes) == ("closed", ["open 5 HTTP 503", "closed 0"])


@card("A13", "a read that fails is tried again; one that goes on failing is unknown")
async def a13(table: Table) -> None:
    order = await table.rest()
    table.arm("reset", count=2, target={"method": "GET"})
    assert (await table.broker.order(order["id"])).outcome == "found"
    table.arm("error", status=500, count=3, target={"method": "GET"})
    assert (await table.broker.order(order["id"])).outcome == "unknown"


@card("A14", "an order that is too old when its turn comes never leaves")
async def a14(table: Table) -> None:
    stale = table.order().model_copy(update={"expires": table.now - timedelta(seconds=1)})
    assert (await table.broker.submit(stale)).outcome == "unsent"
    assert table.named(stale) == []


# X: refused


@card("X1", "more than there is money for")
async def x1(table: Table) -> None:
    answer = await table.broker.submit(table.order(quantity="1000000"))
    assert (answer.outcome, answer.refusal) == ("rejected", "buying_power")


@card("X2", "shares that another order holds")
async def x2(table: Table) -> None:
    await table.hold()
    await table.until(await table.submit("sell", part="stop", type="stop", stop_price=await table.near(-5)), "new", "accepted")
    answer = await table.broker.submit(table.order("sell"))
    assert (answer.outcome, answer.refusal) == ("rejected", "qty_held")


@card("X3", "an exit without a position does not become a short")
async def x3(table: Table) -> None:
    answer = await table.broker.submit(table.order("sell"))
    assert answer.outcome == "rejected" and answer.refusal in ("intent_mismatch", "qty_held", "not_shortable")


@card("X4", "both sides of one symbol")
async def x4(table: Table) -> None:
    await table.hold()
    await table.until(await table.submit("sell", part="stop", type="stop", stop_price=await table.near(-5)), "new", "accepted")
    answer = await table.broker.submit(table.order(type="limit", limit_price=await table.near(-2)))
    assert (answer.outcome, answer.refusal) == ("rejected", "wash_trade")


@card("X5", "a symbol that cannot be traded")
async def x5(table: Table) -> None:
    answer = await table.broker.submit(table.order(symbol="NOSUCH"))
    assert (answer.outcome, answer.refusal) == ("rejected", "not_tradable")


@card("X6", "a target on the wrong side")
async def x6(table: Table) -> None:
    form = {"order_class": "bracket", "take_profit": await table.near(-5), "stop_loss": await table.near(-8)}
    answer = await table.broker.submit(table.order(**form))
    assert (answer.outcome, answer.refusal) == ("rejected", "invalid_price")


@card("X7", "a stop that the market has passed")
async def x7(table: Table) -> None:
    await table.hold()
    answer = await table.broker.submit(table.order("sell", part="stop", type="stop", stop_price=await table.near(5)))
    assert (answer.outcome, answer.refusal) == ("rejected", "stop_breached")


@card("X8", "a key that opens nothing")
async def x8(table: Table) -> None:
    stranger = AlpacaBroker(table.settings.model_copy(update={"broker_secret": type(table.settings.broker_secret)("wrong")}), lambda: table.now)
    answer = await stranger.submit(table.order())
    assert (answer.outcome, answer.refusal) == ("rejected", "auth")
    await stranger.close()


@card("X9", "a bracket where a position is held already")
async def x9(table: Table) -> None:
    await table.hold()
    form = {"order_class": "bracket", "take_profit": await table.near(5), "stop_loss": await table.near(-5)}
    answer = await table.broker.submit(table.order(**form))
    assert (answer.outcome, answer.refusal) == ("rejected", "bracket_not_entry")


@card("X10", "an account that may not trade")
async def x10(table: Table) -> None:
    table.sim       # noqa: B018
    table.outside.patch("/account/configurations", {"suspend_trade": True})
    try:
        answer = await table.broker.submit(table.order())
        assert (answer.outcome, answer.refusal) == ("rejected", "account_blocked")
    finally:
        table.outside.patch("/account/configurations", {"suspend_trade": False})


@card("X11", "more than the adapter's own limit never leaves")
async def x11(table: Table) -> None:
    careful = AlpacaBroker(table.settings.model_copy(update={"max_order_value": 1}), lambda: table.now)
    answer = await careful.submit(order := table.order())
    assert (answer.outcome, answer.refusal, table.named(order)) == ("rejected", "hard_limit", [])
    await careful.close()


# L: lists


def placed(table: Table, side: str, **more: object) -> dict[str, object]:
    """An order of one share by another program with the same key."""
    return dict(table.outside.post("/orders", {"symbol": table.symbol, "qty": 1, "side": side, "time_in_force": "day", **more}))


@card("L1", "the lists show positions, living legs under their filled parent, resting orders and the account")
async def l1(table: Table) -> None:
    made = await bracket(table)
    await table.until(made["parent"], "filled")
    for complete in (True, False):
        listing = await table.broker.listing(complete)
        orders = json.loads(listing.orders)
        shown = {row["id"] for row in orders} | {leg["id"] for row in orders for leg in row["legs"] or ()}
        assert {made["target"]["id"], made["stop"]["id"]} <= shown
        assert (made["parent"]["id"] in shown) or not complete
        assert not complete or all(row["id"] not in (made["target"]["id"], made["stop"]["id"]) for row in orders)
        ((position,), account) = json.loads(listing.positions), json.loads(listing.account)
        assert (position["symbol"], position["qty"]) == (table.symbol, "2") and Decimal(account["equity"]) > 0


@card("L2", "more orders than a page are all listed, each once, whatever moment they share")
async def l2(table: Table) -> None:
    price = str(await table.near(-5))
    table.sim       # noqa: B018
    ids = {placed(table, "buy", type="limit", limit_price=price)["id"] for _ in range(520)}
    listed = [row["id"] for row in json.loads((await table.broker.listing(complete=False)).orders)]
    assert len(ids) == 520 and len(listed) == len(set(listed)) and set(listed) == ids


@card("L3", "the calendar's rows are the broker's own")
async def l3(table: Table) -> None:
    first = table.now.date()
    rows = json.loads(await table.broker.calendar(first, first + timedelta(days=10)))
    assert len(rows) >= 5 and {"date", "open", "close"} <= rows[0].keys()


@card("L4", "every fill since a moment is listed, oldest first, page by page")
async def l4(table: Table) -> None:
    table.sim       # noqa: B018
    for number in range(120):
        placed(table, ("buy", "sell")[number % 2], type="market")
    rows = json.loads(await table.broker.fills(table.now - timedelta(minutes=1)))
    assert len(rows) >= 120 and len({row["id"] for row in rows}) == len(rows)
    assert [row["transaction_time"] for row in rows] == sorted(row["transaction_time"] for row in rows)


@card("L5", "lists that cannot be read are not mistaken for empty ones")
async def l5(table: Table) -> None:
    for fault in ({"kind": "html", "status": 502}, {"kind": "empty"}, {"kind": "rate_limited", "reset_in": 1}):
        table.sim.call("DELETE", "/_sim/faults")
        table.arm(**fault, count=None, target={"path": "/v2/positions"})
        try:
            await table.broker.listing(complete=False)
            raise AssertionError("a list came from nowhere")
        except BrokerUnavailable as away:
            assert "positions" in str(away)


# S: the stream


@card("S1", "the stream tells of an order's life from the moment it says connected")
async def s1(table: Table) -> None:
    async with table.listening() as ear:
        await table.submit()
        assert "new" in await ear.until("fill")


@card("S2", "a line that breaks is told, comes back, and what was missed is listed")
async def s2(table: Table) -> None:
    async with table.listening() as ear:
        order = table.order()
        table.arm("drop", now=False, target={"stream": "trade_updates", "client_order_id": order.client_order_id})
        placed = taken(await table.broker.submit(order))
        assert "disconnected" in await ear.next_word()
        assert await ear.next_word() == "connected"
        (missed,) = [row for row in json.loads((await table.broker.listing()).orders) if row["id"] == placed["id"]]
        assert missed["status"] == "filled"


@card("S3", "frames that are doubled, empty or in words nobody knows lose no later one")
async def s3(table: Table) -> None:
    async with table.listening() as ear:
        for kind in ("null_data", "duplicate", "unknown_status"):
            table.arm(kind, target={"stream": "trade_updates"})
        await table.submit()
        assert "new" in await ear.until("fill")


@card("S4", "a stream that is refused is told, and tried again")
async def s4(table: Table) -> None:
    async with table.listening() as ear:
        table.arm("refuse_socket", status=429)
        table.arm("drop", target={"stream": "trade_updates"})
        assert "disconnected" in await ear.next_word()
        assert "cannot be opened" in await ear.next_word()
        assert await ear.next_word() == "connected"


# G: the guard


@card("G1", "the guard knows the account it was told to trade")
async def g1(table: Table) -> None:
    await table.broker.verify()


async def main() -> int:
    """Play the deck against a real paper account; the exit code is 1 when a card is lost."""
    key, secret = (os.environ.get(f"CATALYST_ACCEPTANCE_{name}", "") for name in ("KEY", "SECRET"))
    if not key or not secret:
        print(f"{len(CARDS)} cards skipped: CATALYST_ACCEPTANCE_KEY and CATALYST_ACCEPTANCE_SECRET of a paper account are not set")
        return 0
    url = os.environ.get("CATALYST_ACCEPTANCE_URL", "https://paper-api.alpaca.markets")
    table = Table(real(url, key, secret), os.environ.get("CATALYST_ACCEPTANCE_SYMBOL", "F"))
    won = lost = 0
    for one in CARDS:
        try:
            await table.fresh()
            await one.play(table)
            verdict, won = "won", won + 1
        except Skipped as skipped:
            verdict = f"skipped: {skipped}"
        except Exception as error:      # noqa: BLE001    # a lost card does not end the game
            verdict, lost = f"LOST: {type(error).__name__}: {error}", lost + 1
        print(f"{one.id:4} {one.title}: {verdict}", flush=True)
    await table.broker.close()
    print(f"{len(CARDS)} cards: {won} won, {lost} lost, {len(CARDS) - won - lost} skipped")
    return 1 if lost else 0


def real(url: str, key: str, secret: str) -> Settings:
    socket, data = url.replace("http", "ws", 1) + "/stream", os.environ.get("CATALYST_ACCEPTANCE_DATA_URL", "https://data.alpaca.markets")
    return load({}, broker_url=url, stream_url=socket, data_url=data, broker_key=key, broker_secret=secret, max_order_value=10**9, max_orders_a_minute=10**4)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
