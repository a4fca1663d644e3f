"""Corporate actions, `/v1/corporate-actions`: those that the control plane has let happen, and what its splits make of older prices."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import uuid5

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .book import NAMESPACE
from .events import DividendPaid, SplitHappened
from .exchange import Action, Exchange
from .params import Query, day_of, symbols_of, whole
from .refusals import Refusal
from .sessions import new_york_day, session_on, sessions_from

MOST = 1_000


class CorporateActions:
    """The endpoint of one exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def routes(self) -> list[Route]:
        return [Route("/v1/corporate-actions", self.page, methods=["GET"])]

    async def page(self, request: Request) -> Response:
        """By kind, oldest first; `start` and `end` are days, inclusive."""
        query = request.query_params
        symbols, kinds, limit = set(symbols_of(query)), _kinds(query), whole(query, "limit", 100, MOST)
        first, last, place = day_of(query, "start") or date.min, day_of(query, "end") or date.max, _place(query)
        found = [(kind, row) for kind, row in map(_row, self._exchange.actions())
                 if first.isoformat() <= row["ex_date"] <= last.isoformat() and (not symbols or row["symbol"] in symbols) and (not kinds or kind in kinds)]
        shown: dict[str, list[dict[str, Any]]] = {}
        for kind, row in found[place:place + limit]:
            shown.setdefault(kind, []).append(row)
        return JSONResponse({"corporate_actions": shown, "next_page_token": str(place + limit) if len(found) > place + limit else None})


class Splits:
    """What has been split, to show older prices and volumes as if they had been traded afterwards: `adjustment=split`."""

    def __init__(self, exchange: Exchange) -> None:
        self._of = dict[str, list[tuple[date, float]]]()
        for it in exchange.actions():
            if isinstance(it.event, SplitHappened):
                self._of.setdefault(it.event.symbol, []).append((effective_day(it.event.at), float(it.event.ratio)))

    def adjusted(self, symbol: str, at: datetime, row: dict[str, Any]) -> dict[str, Any]:
        """A bar that starts then, on today's scale."""
        ratio = 1.0
        for day, shares in self._of.get(symbol, ()):
            ratio *= shares if new_york_day(at) < day else 1.0
        if ratio == 1.0:
            return row
        return {**row, **{name: round(row[name] / ratio, 4) for name in ("o", "h", "l", "c")}, "v": round(row["v"] * ratio)}


def effective_day(at: datetime) -> date:
    """The first day at the new price: the day of the moment, or behind its closing bell that of the next session."""
    day = new_york_day(at)
    session = session_on(day)
    return day if session is not None and at < session.close else next(it.day for it in sessions_from(day) if it.open > at)


def _row(it: Action) -> tuple[str, dict[str, Any]]:
    """Its kind in the plural, and how it is written; everything of an action happens on one day here."""
    event, day = it.event, effective_day(it.event.at).isoformat()
    days = {"process_date": day, "ex_date": day, "record_date": day, "payable_date": day}
    if isinstance(event, DividendPaid):
        paid = {"rate": float(event.amount), "special": False, "foreign": False}
        return "cash_dividends", {"id": _id(event), "symbol": event.symbol, "cusip": "", **paid, **days}
    rates = {"new_rate": float(event.ratio), "old_rate": 1.0} if event.ratio >= 1 else {"new_rate": 1.0, "old_rate": float(1 / event.ratio)}
    if event.ratio >= 1:
        return "forward_splits", {"id": _id(event), "symbol": event.symbol, "cusip": "", **rates, **days}
    return "reverse_splits", {"id": _id(event), "symbol": event.symbol, "old_cusip": "", "new_cusip": "", **rates, **days}


def _id(event: DividendPaid | SplitHappened) -> str:
    return str(uuid5(NAMESPACE, f"action:{event.symbol}:{event.at.isoformat()}"))


def _kinds(query: Query) -> set[str]:
    """What is asked for in the singular is told in the plural."""
    return {f"{kind}s" for kind in query.get("types", "").lower().split(",") if kind}


def _place(query: Query) -> int:
    text = query.get("page_token", "") or "0"
    if not text.isascii() or not text.isdigit():
        raise Refusal("invalid", field="page_token", value=text)
    return int(text)
