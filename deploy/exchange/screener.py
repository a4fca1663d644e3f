"""What moves and what is traded most today, `/v1beta1/screener`, from the bars that have happened."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from . import ticks
from .exchange import Exchange
from .feed import rfc3339
from .market_data import MarketData
from .params import choice, whole
from .refusals import Refusal
from .sessions import new_york_day


class Screener:
    """The endpoints of one exchange."""

    def __init__(self, exchange: Exchange, data: MarketData) -> None:
        self._exchange, self._data = exchange, data

    def routes(self) -> list[Route]:
        return [Route("/v1beta1/screener/stocks/most-actives", self.most_actives, methods=["GET"]),
                Route("/v1beta1/screener/{market}/movers", self.movers, methods=["GET"])]

    async def most_actives(self, request: Request) -> Response:
        """By shares or by trades of the day; a trade is one of those the exchange makes up for a bar (`ticks`)."""
        top, by = whole(request.query_params, "top", 10, 100), choice(request.query_params, "by", "volume", "trades")
        traded = [(symbol, *self._traded(symbol)) for symbol in self._exchange.feed.symbols]
        ranked = sorted(traded, key=lambda row: (-(row[1] if by == "volume" else row[2]), row[0]))
        rows = [{"symbol": symbol, "volume": volume, "trade_count": trades} for symbol, volume, trades in ranked if volume]
        return JSONResponse({"most_actives": rows[:top], "last_updated": rfc3339(self._exchange.now())})

    def _traded(self, symbol: str) -> tuple[int, int]:
        bars = list(self._data.today(symbol))
        return sum(bar.volume for bar in bars), sum(min(bar.volume, len(ticks.AFTER)) for bar in bars)

    async def movers(self, request: Request) -> Response:
        """Against the last price of the day before; on the first day of a feed nobody has moved."""
        if request.path_params["market"] != "stocks":
            raise Refusal("no_endpoint", method="GET", path=request.url.path)
        top, state = whole(request.query_params, "top", 10, 50), self._exchange.state
        found: list[tuple[float, str, float, float]] = []       # per cent, symbol, change, price
        for symbol, before in state.previous.items():
            last = self._data.last_bar(symbol)
            if last is not None and new_york_day(last.start) == new_york_day(self._exchange.now()):
                change = last.close - before
                found.append((round(float(change / before * 100), 2), symbol, float(change), float(last.close)))
        gainers, losers = sorted((it for it in found if it[0] > 0), reverse=True), sorted(it for it in found if it[0] < 0)
        shown = [[dict(zip(("percent_change", "symbol", "change", "price"), it, strict=True)) for it in side[:top]] for side in (gainers, losers)]
        return JSONResponse({
            "gainers": shown[0], "losers": shown[1],
            "market_type": "stocks", "last_updated": rfc3339(self._exchange.now()),
        })
