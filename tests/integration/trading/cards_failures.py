"""Cards of the acceptance deck: failures that leave it open what happened, and refusals."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal

from streams.trading.alpaca import AlpacaBroker
from tests.integration.trading.deck import card
from tests.integration.trading.table import Table, taken

POST = {"method": "POST", "path": "/v2/orders"}

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
