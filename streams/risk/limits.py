"""Pre-trade checks: which questions an intent is asked and what it may answer. Called by the account's `decide`; pure.

To add a check is to add a row. Codes are stable for ever: people search for them. `docs/denials.md` is written from this table.
An exit or a protective stop is asked only what protects from harm: a limit must never hold somebody in a position.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from typing import Literal

from schemas.commands import Side
from schemas.risk import RiskParameters
from schemas.trading import CheckResult, Form, Origin, Part
from streams.risk.book import FIGURES, ZERO, Book
from streams.risk.correlation import pearson
from streams.risk.room import ONE, room
from streams.risk.stops import farthest, tick_down


@dataclass(frozen=True, slots=True)
class Intent:
    """What somebody wants, with what is known about it at the moment of judgement."""

    symbol: str
    side: Side
    quantity: Decimal               # shares, > 0
    part: Part
    origin: Origin
    form: Form
    price: Decimal | None           # USD it is judged at: the limit price, else the last close; None when no bar of the symbol was ever seen
    last: Decimal | None            # USD, last close
    priced_at: datetime | None      # END of that bar
    age: timedelta                  # since it was asked
    patience: timedelta             # how long the asker was willing to wait

    @property
    def value(self) -> Decimal | None:
        """USD."""
        return None if self.price is None else self.quantity * self.price

    @property
    def stop(self) -> Decimal | None:
        """USD, of the protective stop that comes with it."""
        return self.form.stop_loss


Unit = Literal["flag", "USD", "seconds", "share of equity", "share of price", "shares", "positions", "orders", "correlation"]
Limit = Callable[[Intent, Book, RiskParameters], Decimal]
ENTRY: tuple[Part, ...] = ("entry",)
EVERY: tuple[Part, ...] = ("entry", "exit", "stop", "target")


@dataclass(frozen=True, slots=True)
class Check:
    """One pre-trade question. `measure` says what is (None: there is nothing to measure, and another check says why), `limit` what may be, `within` how
    they compare; nothing else decides. Of a flag 1 is a refusal. `advise` is the way out; `{names}` in it are filled in by `_words`."""

    code: str
    unit: Unit
    measure: Callable[[Intent, Book, RiskParameters], Decimal | None]
    limit: Limit
    limited_by: tuple[str, ...]     # risk parameters that set the limit
    explain: str
    advise: str
    applies: tuple[Part, ...] = ENTRY
    within: Callable[[Decimal, Decimal], bool] = operator.le
    allowed: str = "allowed {limit}"        # in words, where `within` is another comparison


def judge(intent: Intent, book: Book, parameters: RiskParameters) -> tuple[CheckResult, ...]:
    """Every check that applies, in order, without stopping at the first refusal: a person fixes all of them at once."""
    results = []
    for check in CHECKS:
        actual = check.measure(intent, book, parameters) if intent.part in check.applies else None
        if actual is not None:
            limit = check.limit(intent, book, parameters)
            results.append(CheckResult(code=check.code, passed=check.within(actual, limit), actual=actual, limit=limit))
    return tuple(results)


def refusal(results: tuple[CheckResult, ...], intent: Intent, book: Book, parameters: RiskParameters) -> str:
    """What the person is told: code first, then the figures, then the way out; one sentence for each failed check."""
    said = []
    for result in results:
        if not result.passed:
            check = BY_CODE[result.code]
            figures = "" if check.unit == "flag" else f": {figure(result.actual, check.unit)}, {check.allowed.format(limit=figure(result.limit, check.unit))}"
            said.append(f"{check.code}: {check.explain}{figures}; {check.advise.format_map(_words(check, intent, book, parameters))}.")
    return " ".join(said)


def figure(value: Decimal, unit: Unit) -> str:
    """A measured value for people."""
    match unit:
        case "USD":
            return f"{value:,.2f} USD"
        case "share of equity" | "share of price":
            return f"{(value * 100).normalize():f}%"
        case "seconds":
            return f"{value:f} s"
        case _:
            return f"{value:f}"


def _words(check: Check, intent: Intent, book: Book, parameters: RiskParameters) -> dict[str, str]:
    """What an advice may name."""
    allowed = room(intent.symbol, intent.price, intent.stop, book, parameters) if intent.price is not None else {}
    opens, closes = (f"{moment:%Y-%m-%d %H:%M} UTC" for moment in book.session) if book.session else ("unknown", "unknown")
    least = f"{tick_down(intent.price - farthest(intent.price, book.facts_of(intent.symbol), parameters)):f}" if intent.price is not None else "unknown"
    return {"symbol": intent.symbol, "asked": f"{intent.quantity:f}", "whole": f"{max(intent.quantity // 1, 1):f}",
            "room": f"{allowed.get(check.code, ZERO):f}", "opens": opens, "closes": closes,
            "closed": book.closed.rstrip("."), "away": book.away, "halted": book.facts_of(intent.symbol).halted, "free": _sellable(intent, book),
            "price": f"{intent.price:f}" if intent.price else "the price", "last": f"{intent.last or ZERO:f}", "lowest": least}


def _sellable(intent: Intent, book: Book) -> str:
    """What of the symbol can be sold now, and what keeps the rest."""
    held = book.positions[intent.symbol].quantity if intent.symbol in book.positions else ZERO
    promised = held - book.free_to_sell(intent.symbol)
    if held <= 0:
        return f"no share of {intent.symbol} is held, and none is sold short"
    waiting = f"; {promised:f} are in open sales, cancel these first to sell all" if promised else ""
    return f"at most {max(held - promised, ZERO):f} shares of {intent.symbol} can be sold now{waiting}"


# ── limits ──


def _none(intent: Intent, book: Book, parameters: RiskParameters) -> Decimal:
    return ZERO


def _set(name: str) -> Limit:
    return lambda intent, book, parameters: Decimal(getattr(parameters, name))


def _patience(intent: Intent, book: Book, parameters: RiskParameters) -> Decimal:
    return min(parameters.max_age_seconds, _seconds(intent.patience))


def _farthest_stop(intent: Intent, book: Book, parameters: RiskParameters) -> Decimal:
    """To the tick below, or a stop placed exactly so far away would be refused for the rounding."""
    price = intent.price or ZERO
    return price - tick_down(price - farthest(price, book.facts_of(intent.symbol), parameters))


# ── measures ──


def _flag(what: object) -> Decimal:
    return ONE if what else ZERO


def _seconds(span: timedelta) -> Decimal:
    return Decimal(span // timedelta(microseconds=1)) / 1_000_000


def _market_closed(intent: Intent, book: Book, parameters: RiskParameters) -> Decimal:
    return _flag(book.session is None or not book.session[0] <= book.now < book.session[1])


def _price_age(intent: Intent, book: Book, parameters: RiskParameters) -> Decimal | None:
    return None if intent.priced_at is None else _seconds(max(book.now - intent.priced_at, timedelta(0)))


def _position_share(intent: Intent, book: Book, parameters: RiskParameters) -> Decimal | None:
    return None if intent.value is None else book.share(book.value_of(intent.symbol) + intent.value)


def _sector_share(intent: Intent, book: Book, parameters: RiskParameters) -> Decimal | None:
    sector = book.facts_of(intent.symbol).sector
    return None if intent.value is None else ZERO if sector is None else book.share(book.value_in(sector) + intent.value)


def _gross_share(intent: Intent, book: Book, parameters: RiskParameters) -> Decimal | None:
    return None if intent.value is None else book.share(book.gross + intent.value)


def _correlation(intent: Intent, book: Book, parameters: RiskParameters) -> Decimal:
    own = book.facts_of(intent.symbol).returns
    found = (pearson(own, book.facts_of(symbol).returns, int(parameters.correlation_days)) for symbol in book.symbols if symbol != intent.symbol)
    return max((r for r in found if r is not None), default=ZERO)


def _stop_distance(intent: Intent, book: Book, parameters: RiskParameters) -> Decimal | None:
    return None if intent.price is None or intent.stop is None else intent.price - intent.stop


def _stop_missing(intent: Intent, book: Book, parameters: RiskParameters) -> Decimal | None:
    """Where there is no price there is nothing a stop could be below: UNKNOWN_SYMBOL says what is wrong."""
    return None if intent.price is None else _flag(intent.stop is None)


def _target_distance(intent: Intent, book: Book, parameters: RiskParameters) -> Decimal | None:
    return None if intent.price is None or intent.form.take_profit is None else intent.form.take_profit - intent.price


def _target_on_top(intent: Intent, book: Book, parameters: RiskParameters) -> Decimal | None:
    return None if intent.form.take_profit is None else _flag(intent.symbol in book.positions)


def _risk_share(intent: Intent, book: Book, parameters: RiskParameters) -> Decimal | None:
    distance = _stop_distance(intent, book, parameters)
    return None if distance is None else book.share(intent.quantity * max(distance, ZERO))


def _open_orders(intent: Intent, book: Book, side: Side, parts: tuple[Part, ...]) -> Decimal:
    return Decimal(sum(order.symbol == intent.symbol and order.side == side and order.part in parts for order in book.pending))


def _short(intent: Intent, book: Book) -> Decimal:
    return max(-book.positions[intent.symbol].quantity, ZERO) if intent.symbol in book.positions else ZERO


def _off_the_market(intent: Intent, book: Book, parameters: RiskParameters) -> Decimal | None:
    if intent.form.limit_price is None or not intent.last:
        return None
    return (abs(intent.form.limit_price - intent.last) / intent.last).quantize(FIGURES, ROUND_CEILING)


CHECKS = (
    Check("UNKNOWN_SYMBOL", "flag", lambda intent, book, parameters: _flag(intent.price is None), _none, (),
          "no bar of the symbol was ever recorded",
          "check the spelling of {symbol}, or add it to CATALYST_SYMBOLS"),
    Check("STALE_REQUEST", "seconds", lambda intent, book, parameters: _seconds(intent.age), _patience, ("max_age_seconds",),
          "time between the request and its judgement; the asker's own patience counts where it is shorter",
          "nothing was sent: ask again under a new key if you still want it", EVERY),
    Check("ENTRIES_CLOSED", "flag", lambda intent, book, parameters: _flag(book.closed), _none, (),
          "the account takes no entries now",
          "{closed}; exits pass"),
    Check("BROKER_AWAY", "flag", lambda intent, book, parameters: _flag(book.away), _none, (),
          "the broker cannot be reached",
          "{away}; ask again when it answers, nothing waits in line"),
    Check("FACTS_UNREAD", "flag", lambda intent, book, parameters: _flag(not book.facts_read), _none, (),
          "after a start what is known of symbols is not read back yet: halts, sectors, ranges",
          "ask again in a few seconds; if it stays so, see `catalyst status` for the log"),
    Check("MARKET_CLOSED", "flag", _market_closed, _none, (),
          "the market is closed, or its hours are not known",
          "the session on or next: {opens} to {closes}"),
    Check("SYMBOL_HALTED", "flag", lambda intent, book, parameters: _flag(book.facts_of(intent.symbol).halted), _none, (),
          "trading in the symbol is halted at its exchange",
          "reason given for {symbol}: {halted}; ask again when it is resumed"),
    Check("NOT_TRADABLE", "flag", lambda intent, book, parameters: _flag(not book.facts_of(intent.symbol).tradable), _none, (),
          "the broker does not trade the symbol",
          "choose another than {symbol}; `catalyst securities refresh` reads the broker's list again"),
    Check("STALE_PRICE", "seconds", _price_age, _set("max_price_age_seconds"), ("max_price_age_seconds",),
          "age of the last bar, in market time",
          "wait for a bar of {symbol}; if none comes, see `catalyst status` for the feed"),
    Check("WHOLE_SHARES", "shares", lambda intent, book, parameters: intent.quantity % 1, _none, (),
          "part of a share in the entry: no stop of a part outlives the day at the broker, and it takes no bracket with one",
          "ask for whole shares of {symbol}, for instance {whole}"),
    Check("ORDER_VALUE", "USD", lambda intent, book, parameters: intent.value, _set("max_order_value"), ("max_order_value",),
          "value of the entry at its limit price, else at the last close",
          "at most {room} shares now (asked: {asked})"),
    Check("POSITION_SHARE", "share of equity", _position_share, _set("position_share"), ("position_share",),
          "value of the position after the trade, entries on their way counted",
          "at most {room} more shares of {symbol} now (asked: {asked})"),
    Check("MAX_POSITIONS", "positions", lambda intent, book, parameters: Decimal(len(book.symbols | {intent.symbol})), _set("max_positions"),
          ("max_positions",),
          "positions after the trade, entries on their way counted",
          "close one first, or add to one that is open"),
    Check("SECTOR_SHARE", "share of equity", _sector_share, _set("sector_share"), ("sector_share",),
          "value of all positions in the symbol's sector after the trade; a symbol of unknown sector passes with 0",
          "at most {room} shares of {symbol} now (asked: {asked}), or choose another sector"),
    Check("GROSS_SHARE", "share of equity", _gross_share, _set("gross_share"), ("gross_share",),
          "value of all positions after the trade, entries on their way counted",
          "at most {room} shares of {symbol} now (asked: {asked}), or close something first"),
    Check("CORRELATION", "correlation", _correlation, _set("max_correlation"), ("max_correlation", "correlation_days"),
          "highest Pearson correlation of daily returns with another position, open or on its way; fewer common days than correlation_days pass with 0",
          "it would be the same bet twice: choose another than {symbol}, or close the position it moves with"),
    Check("STOP_MISSING", "flag", _stop_missing, _none, (),
          "the entry has no protective stop",
          "give a stop price below {price}"),
    Check("STOP_DISTANCE", "USD", _stop_distance, _farthest_stop, ("max_stop_atr", "max_stop_share"),
          "how far the stop is below the price; at or above it is the wrong side, the limit is in ATR(14), or a share of the price where no ATR is known",
          "a stop from {lowest} to just below {price} passes", within=lambda actual, limit: 0 < actual <= limit,
          allowed="allowed more than 0, at most {limit}"),
    Check("TARGET_DISTANCE", "USD", _target_distance, _none, (),
          "how far the target is above the price; at or below it is the wrong side",
          "give a target above {price}, or none", within=operator.gt, allowed="allowed more than {limit}"),
    Check("TARGET_ON_TOP", "flag", _target_on_top, _none, (),
          "the entry has a target, and the symbol is held already: the broker takes a target with the first entry of a position alone",
          "leave the target out, or sell {symbol} at a limit once it is filled"),
    Check("UNPROTECTED", "flag", lambda intent, book, parameters: _flag(intent.symbol in book.naked), _none, (),
          "shares of the symbol are held that have no stop yet",
          "ask again when they have one: they get it within seconds, or are sold"),
    Check("RISK_SHARE", "share of equity", _risk_share, _set("max_risk_share"), ("max_risk_share",),
          "what the trade loses at its stop",
          "at most {room} shares at this stop (asked: {asked}), or a nearer stop"),
    Check("BUYING_POWER", "USD", lambda intent, book, parameters: None if intent.value is None else book.reserved + intent.value,
          lambda intent, book, parameters: book.buying_power, (),
          "cost of the entry and of those on their way, against the account's buying power",
          "at most {room} shares now (asked: {asked})"),
    Check("ORDER_RATE", "orders", lambda intent, book, parameters: Decimal(book.entries_last_minute + 1), _set("orders_a_minute"), ("orders_a_minute",),
          "entries within a minute, this one counted",
          "ask again in a minute"),
    Check("DUPLICATE_ORDER", "orders", lambda intent, book, parameters: _open_orders(intent, book, intent.side, ENTRY), _none, (),
          "entries in the symbol that are open already",
          "wait for the open one in {symbol}, or cancel it first"),
    Check("OPPOSING_ORDER", "orders", lambda intent, book, parameters: _open_orders(intent, book, "sell", ("exit", "foreign")), _none, (),
          "open orders that sell the symbol: to buy against one's own order is a wash trade",
          "wait until the sale of {symbol} is done, or cancel it first"),
    Check("SOLD_SHORT", "shares", lambda intent, book, parameters: _short(intent, book), _none, (),
          "shares of the symbol that are sold short: to buy more than these in one order is refused, and they are being bought back",
          "wait until {symbol} is flat"),
    Check("PRICE_COLLAR", "share of price", _off_the_market, _set("price_collar"), ("price_collar",),
          "distance of the limit price from the last trade",
          "the last trade was at {last}: give a limit nearer to it"),
    Check("DAILY_LOSS", "USD", lambda intent, book, parameters: max(-book.day_profit, ZERO), _set("daily_loss"), ("daily_loss",),
          "loss of the day, realised and open; entries end where the limit is reached",
          "no entry passes until the next session", within=operator.lt, allowed="allowed less than {limit}"),
    Check("LONG_ONLY", "shares", lambda intent, book, parameters: intent.quantity if intent.side == "sell" else None,
          lambda intent, book, parameters: book.free_to_sell(intent.symbol), (),
          "shares to sell, against shares held and not promised to another exit",
          "{free}", EVERY),
)
BY_CODE = {check.code: check for check in CHECKS}
