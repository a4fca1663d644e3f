"""What happened to the account: its activities, `/v2/account/activities`, and its worth over time, `/v2/account/portfolio/history`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from heapq import merge
from typing import Any
from uuid import uuid5

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from . import portfolio
from .book import NAMESPACE, Fill
from .events import DividendPaid
from .exchange import Action, Exchange
from .feed import rfc3339
from .params import Query, choice, day_of, time_of, whole
from .refusals import Refusal
from .sessions import NEW_YORK, new_york_day
from .wire import number

Row = tuple[datetime, dict[str, Any]]
CATEGORIES = {"trade_activity": frozenset({"FILL"}), "non_trade_activity": frozenset({"DIV", "SPLIT"})}


class Activities:
    """The endpoints of one exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def routes(self) -> list[Route]:
        table = [("activities", self.activities), ("activities/{kind}", self.activities), ("portfolio/history", self.history)]
        return [Route(f"/v2/account/{path}", endpoint, methods=["GET"]) for path, endpoint in table]

    async def activities(self, request: Request) -> Response:
        """Newest first unless asked otherwise; after and until are exclusive; `page_token` is the id of the last row of the page before."""
        query = request.query_params
        kinds = _kinds(query, request.path_params.get("kind"))
        size, newest_first = whole(query, "page_size", 100, 100), choice(query, "direction", "desc", "asc") == "desc"
        after, until, day = time_of(query, "after"), time_of(query, "until"), day_of(query, "date")
        rows = [
            row for at, row in merge(self._fills(), self._actions(), key=lambda row: row[0])
            if (after is None or at > after) and (until is None or at < until) and (day is None or new_york_day(at) == day)
            and (kinds is None or row["activity_type"] in kinds)
        ]
        if newest_first:
            rows.reverse()
        if token := query.get("page_token", ""):
            places = [place for place, row in enumerate(rows) if row["id"] == token]
            if not places:
                raise Refusal("invalid", field="page_token", value=token)
            rows = rows[places[0] + 1:]
        return JSONResponse(rows[:size])

    def _fills(self) -> Iterator[Row]:
        return ((it.at, fill_row(it)) for it in self._exchange.fills())

    def _actions(self) -> Iterator[Row]:
        """Dividends and splits of what was held."""
        return ((it.event.at, action_row(it)) for it in self._exchange.actions() if it.held)

    async def history(self, request: Request) -> Response:
        """Equity and profit at the end of every bar of time, by the parameters of Alpaca's table; figures are numbers."""
        state = self._exchange.state
        worth, dividends = self._exchange.equity_history(), [(it.event.at, money(it)) for it in self._exchange.actions() if isinstance(it.event, DividendPaid)]
        return JSONResponse(portfolio.history(worth, dividends, portfolio.read(request.query_params), state.rules.cash))


def _kinds(query: Query, kind: str | None) -> frozenset[str] | None:
    """The types that are asked for; None for all."""
    if kind is not None:
        return frozenset({kind.upper()})
    types, category = query.get("activity_types", ""), query.get("category", "")
    if types and category:
        raise Refusal("invalid", field="category", value=f"{category} (either activity_types or category)")
    if category:
        if category not in CATEGORIES:
            raise Refusal("invalid", field="category", value=category)
        return CATEGORIES[category]
    return frozenset(types.upper().split(",")) if types else None


def fill_row(it: Fill) -> dict[str, Any]:
    """As Alpaca has it; the id begins with New York time, so no time may be read from it."""
    done = not it.leaves_qty
    return {
        "id": it.activity_id, "activity_type": "FILL", "transaction_time": rfc3339(it.at), "type": "fill" if done else "partial_fill",
        "price": number(it.price), "qty": number(it.qty), "side": it.side, "symbol": it.symbol, "leaves_qty": number(it.leaves_qty),
        "order_id": str(it.order_id), "cum_qty": number(it.cum_qty), "order_status": "filled" if done else "partially_filled",
    }


def money(it: Action) -> Decimal:
    """USD that came in; below zero for who was short."""
    return it.held * it.event.amount if isinstance(it.event, DividendPaid) else Decimal(0)


def action_row(it: Action) -> dict[str, Any]:
    event, kind = it.event, "DIV" if isinstance(it.event, DividendPaid) else "SPLIT"
    stamp = event.at.astimezone(NEW_YORK).strftime("%Y%m%d%H%M%S%f")[:17]
    more = {"per_share_amount": number(event.amount)} if isinstance(event, DividendPaid) else {"ratio": number(event.ratio)}
    return {
        "id": f"{stamp}::{uuid5(NAMESPACE, f'{kind}:{event.symbol}:{event.at.isoformat()}')}", "activity_type": kind, "symbol": event.symbol,
        "date": new_york_day(event.at).isoformat(), "created_at": rfc3339(event.at), "net_amount": number(money(it)), "qty": number(it.held),
        "status": "executed", **more,
    }
