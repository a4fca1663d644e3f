"""Cards of the acceptance deck: place, replace, cancel, and orders with legs."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from tests.integration.trading.deck import bracket, card
from tests.integration.trading.table import Table, taken

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


@card("C4", "the paper exchange tells with each change when its newest trade update was, so that it can be waited for")
async def c4(table: Table) -> None:
    def newest() -> datetime:
        return datetime.fromisoformat(table.sim.sim("clock")["last_update_at"])

    answer = await table.broker.submit(table.order(type="limit", limit_price=await table.near(-5)))
    assert answer.told == newest()
    answer = await table.replace(taken(answer), await table.near(-6))
    assert answer.told == newest()
    cancelled = await table.cancel(taken(answer))
    assert cancelled.told == newest() > answer.told
    assert (await table.cancel(taken(answer))).told == newest()         # a refusal tells it too


# B: bracket, OTO, OCO


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
