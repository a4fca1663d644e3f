"""Corporate actions, `/v1/corporate-actions`: those that the control plane has let happen."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .params import Query, day_of, symbols_of, whole
from .refusals import Refusal

MOST = 1_000


class CorporateActions:
    """The endpoint, and what it tells of: this process's own memory, as far as splits and dividends are told of by date."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, date, Mapping[str, Any]]] = []      # kind (forward_splits), ex date, as it is written

    def routes(self) -> list[Route]:
        return [Route("/v1/corporate-actions", self.page, methods=["GET"])]

    def add(self, kind: str, day: date, **fields: Any) -> None:
        """Tell of an action of a kind (forward_splits, reverse_splits, cash_dividends) with its ex date."""
        days = dict.fromkeys(("process_date", "ex_date", "record_date", "payable_date"), day.isoformat())
        self._rows.append((kind, day, {"id": f"00000000-0000-4000-8000-{len(self._rows) + 1:012d}", **fields, **days}))

    async def page(self, request: Request) -> Response:
        """By kind, oldest first; `start` and `end` are days, inclusive."""
        query = request.query_params
        symbols, kinds, limit = set(symbols_of(query)), _kinds(query), whole(query, "limit", 100, MOST)
        first, last, place = day_of(query, "start") or date.min, day_of(query, "end") or date.max, _place(query)
        found = [(kind, row) for kind, day, row in self._rows
                 if first <= day <= last and (not symbols or row["symbol"] in symbols) and (not kinds or kind in kinds)]
        shown: dict[str, list[Mapping[str, Any]]] = {}
        for kind, row in found[place:place + limit]:
            shown.setdefault(kind, []).append(row)
        return JSONResponse({"corporate_actions": shown, "next_page_token": str(place + limit) if len(found) > place + limit else None})


def _kinds(query: Query) -> set[str]:
    """What is asked for in the singular is told in the plural."""
    return {f"{kind}s" for kind in query.get("types", "").lower().split(",") if kind}


def _place(query: Query) -> int:
    text = query.get("page_token", "") or "0"
    if not text.isascii() or not text.isdigit():
        raise Refusal("invalid", field="page_token", value=text)
    return int(text)
