"""Cards of the acceptance deck: lists, the trade stream, the guard."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal

from streams.trading.broker import BrokerUnavailable
from tests.integration.trading.deck import bracket, card
from tests.integration.trading.table import Table, taken

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
    await table.broker.listing(complete=False)
