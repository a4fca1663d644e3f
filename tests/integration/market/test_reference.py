"""Reference data on real parts: what the exchange says of securities is on the log before the session that it is for, once, whoever is killed."""

from collections import Counter
from datetime import date, timedelta
from decimal import Decimal

import httpx

from schemas import codec
from schemas.market import SessionClosed, SessionOpened
from schemas.reference import DailyPublished, DaysPublished, SectorAssigned, SecurityChanged, SplitAnnounced, SymbolHalted, SymbolResumed
from schemas.topics import CLOCK, REFERENCE
from tests.integration.market.conftest import DAY, Market, write_bars

TOMORROW = DAY + timedelta(days=1)


def write_days(market: Market, count: int) -> None:
    """Days up to Friday before the feed, a cent apart, and one of the feed's own first day, which nobody may see before it is over."""
    folder = market.bars / "daily"
    folder.mkdir()
    days = [DAY - timedelta(days=back) for back in range(1, 2 * count) if (DAY - timedelta(days=back)).weekday() < 5][:count][::-1]
    rows = [f"{symbol},{day},{price},{price + 1},{price - 1},{price + place / 100:.2f},{1000 + place}"
            for symbol, price in (("AAPL", 99), ("MSFT", 199)) for place, day in enumerate([*days, DAY])]
    (folder / "prices.csv").write_text("symbol,date,open,high,low,close,volume\n" + "\n".join(rows) + "\n")


async def test_each_morning_s_reference_data_is_on_the_log_before_the_session_opens(market: Market) -> None:
    write_bars(market.bars, 3, days=2)
    write_days(market, 40)
    await market.start()
    role = await market.role()
    await market.until_health("ready")
    await market.run(2)
    await market.kill(role)                 # the next one finds this morning's data on the log
    await market.role()
    await market.until_health("ready")
    await market.run(1)
    first = await market.events(REFERENCE.name)
    kinds = Counter((event.type.removesuffix(".v1"), event.subject) for event in first)
    assert kinds == {**{("security.listed", symbol): 1 for symbol in ("AAPL", "MSFT", "SPY")},
                     **{(kind, symbol): 1 for symbol in ("AAPL", "MSFT") for kind in ("sector.assigned", "days.published", "daily.published")}}
    days = next(event for event in first if isinstance(event, DaysPublished) and event.subject == "AAPL")
    daily = next(event for event in first if isinstance(event, DailyPublished) and event.subject == "AAPL")
    assert (len(days.sessions), days.sessions[-1], daily.session, daily.close) == (38, date(2026, 2, 27), date(2026, 2, 27), Decimal("99.39"))
    assert daily.atr is not None and daily.support == 98 and len(daily.returns) == 37      # two holidays
    assert {event.sector for event in first if isinstance(event, SectorAssigned)} == {"Information Technology"}

    async with httpx.AsyncClient(base_url=market.url, timeout=10) as exchange:
        for path, body in (("halt", {"symbol": "AAPL"}), ("resume", {"symbol": "AAPL"}), ("split", {"symbol": "AAPL", "ratio": 2}),
                           ("asset", {"symbol": "MSFT", "shortable": False})):
            (await exchange.post(f"/_sim/{path}", json=body)).raise_for_status()
    await market.run(3)
    known = {event.id for event in first}
    told = [event for event in await market.events(REFERENCE.name) if event.id not in known]
    of = {symbol: [event for event in told if event.subject == symbol] for symbol in ("AAPL", "MSFT", "SPY")}
    # Halted at 09:33 of the first day, when the split was made, too.
    assert [type(event) for event in of["AAPL"]] == [SymbolHalted, SymbolResumed, SplitAnnounced, DaysPublished, DailyPublished]
    split, anew, monday = of["AAPL"][2:]
    assert isinstance(split, SplitAnnounced) and (split.session, split.new_shares, split.old_shares) == (DAY, 2, 1)
    assert isinstance(anew, DaysPublished) and (anew.revision, anew.reason, anew.sessions[-1]) == (1, f"split 2:1 on {DAY}", DAY)
    assert (anew.close[-2], anew.close[-1]) == (Decimal("49.695"), Decimal("100.27"))
    assert isinstance(monday, DailyPublished) and (monday.session, monday.close, monday.prior_close) == (DAY, Decimal("100.27"), Decimal("49.695"))
    assert [type(event) for event in of["MSFT"]] == [SecurityChanged, DailyPublished]
    assert [type(event) for event in of["SPY"]] == [DaysPublished, DailyPublished]         # the feed's first day is all there is of it
    opened = {event.session: record.timestamp for record in await market.read(CLOCK.name) if isinstance(event := codec.decode(record.value), SessionOpened)}
    written = {event.session: record.timestamp for record in await market.read(REFERENCE.name)
               if isinstance(event := codec.decode(record.value), DailyPublished)}
    closed = next(record.timestamp for record in await market.read(CLOCK.name) if isinstance(codec.decode(record.value), SessionClosed))
    assert written[date(2026, 2, 27)] <= opened[DAY] <= closed <= written[DAY] <= opened[TOMORROW]
    assert market.errors() == []
