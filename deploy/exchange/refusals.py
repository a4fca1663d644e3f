"""Every way the exchange says no: HTTP status, code and text as Alpaca documents or sends them.

`engine`, `orders` and `rest` raise a Refusal by its name in the table; `rest` turns it into `{"code", "message", ...extras}`.
Texts in quotes of the broker are kept to the letter, because adapters match on them. Those with "paper exchange" are our own.
"""

from __future__ import annotations

from typing import NamedTuple


class Answer(NamedTuple):
    """HTTP status, Alpaca's code (None: the body has none), the text with its blanks."""

    http: int
    code: int | None
    message: str


REFUSALS = {
    "malformed_body":     Answer(400, 40010000, "request body format is invalid"),
    "unauthorized":       Answer(401, None, "unauthorized."),
    "buying_power":       Answer(403, 40310000, "insufficient buying power"),
    "quantity":           Answer(403, 40310000, "insufficient qty available for order (requested: {requested}, available: {available})"),
    "wash_trade":         Answer(403, 40310000, "potential wash trade detected. use complex orders"),
    "opposite_open":      Answer(403, 40310000, "cannot open a {wanted} while a {existing} order is open"),
    "short":              Answer(403, 40310000, "account is not allowed to short"),
    "not_authorized":     Answer(403, 40310000, "account is not authorized to trade"),
    "not_fractionable":   Answer(403, 40310000, 'asset "{symbol}" is not fractionable'),
    "least_value":        Answer(403, 40310000, "cost basis must be >= minimal amount of order {least}"),
    "notional_close":     Answer(403, 40310000, "unable to open new notional orders while having open closing position orders"),
    "day_trading":        Answer(403, 40310100, "trade denied due to pattern day trading protection"),
    "no_order":           Answer(404, 40410000, "order not found for {id}"),
    "no_position":        Answer(404, 40410000, "position does not exist"),
    "no_asset":           Answer(404, 40410000, "asset not found for {symbol}"),
    "no_endpoint":        Answer(404, None, "endpoint not found: the paper exchange does not serve {method} {path}"),
    "duplicate_id":       Answer(422, 40010001, "client_order_id must be unique"),
    "client_id_length":   Answer(422, 40010001, "client_order_id must be no more than 128 characters"),
    "no_quantity":        Answer(422, 40010001, "qty or notional is required"),
    "two_quantities":     Answer(422, 40010001, "only one of qty or notional is accepted"),
    "required":           Answer(422, 40010001, "{field} is required"),
    "invalid":            Answer(422, 40010001, "invalid {field}: {value}"),
    "prices_of_type":     Answer(422, 40010001, "{words}"),
    "foreign_price":      Answer(422, 40010001, "{type} orders require no {field}"),
    "oto_leg":            Answer(422, 40010001, "oto orders require either take_profit.limit_price or stop_loss.stop_price"),
    "legs_simple":        Answer(422, 40010001, "simple orders take no take_profit and no stop_loss: set order_class to bracket, oco or oto"),
    "unknown_asset":      Answer(422, 42210000, 'asset "{symbol}" not found'),
    "not_tradable":       Answer(422, 42210000, 'asset "{symbol}" is not tradable'),
    "not_shortable":      Answer(422, 42210000, 'asset "{symbol}" cannot be sold short'),
    "hard_to_borrow":     Answer(422, 42210000, "only day orders are allowed for hard-to-borrow asset {symbol}"),
    "sub_penny":          Answer(422, 42210000, "invalid {field} {value}. sub-penny increment does not fulfill minimum pricing criteria"),
    "stop_breached":      Answer(422, 42210000, "stop price must be {word} than current price"),
    "price_away":         Answer(422, 42210000, "limit price {value} is too far away from the current price {price}"),
    "market_price":       Answer(422, 42210000, "market orders require no stop or limit price"),
    "extended_hours":     Answer(422, 42210000, "extended hours order must be DAY limit orders"),
    "entry_only":         Answer(422, 42210000, "{order_class} orders must be entry orders"),
    "oco_exit":           Answer(422, 42210000, "oco orders must be exit orders"),
    "oco_type":           Answer(422, 42210000, "oco orders must be limit orders"),
    "leg_required":       Answer(422, 42210000, "{order_class} orders require {field}"),
    "take_profit_base":   Answer(422, 42210000, "take_profit.limit_price must be {edge}"),
    "stop_loss_base":     Answer(422, 42210000, "stop_loss.stop_price must be {edge}"),
    "target_beyond_stop": Answer(422, 42210000, "take_profit.limit_price must lie beyond stop_loss.stop_price"),
    "class_force":        Answer(422, 42210000, "{order_class} orders must be day or gtc orders"),
    "trailing_simple":    Answer(422, 42210000, "trailing stop orders must be simple day or gtc orders"),
    "fractional_day":     Answer(422, 42210000, "fractional orders must be DAY orders"),
    "fractional_simple":  Answer(422, 42210000, "fractional orders must be simple orders"),
    "fractional_short":   Answer(422, 42210000, "fractional orders cannot be sold short"),
    "notional_market":    Answer(422, 42210000, "notional orders must be DAY market orders"),
    "auction_closed":     Answer(422, 42210000, "{force} orders are not accepted from {first} to {last} New York time"),
    "intent":             Answer(422, 42210000, "position intent mismatch, inferred: {inferred}, specified: {specified}"),
    "not_cancelable":     Answer(422, 42210000, "order is not cancelable"),
    "not_replaceable":    Answer(422, 42210000, "cannot replace order in {status} status"),
    "already_replaced":   Answer(422, 42210000, "order already replaced"),
    "chain":              Answer(422, 42210000, "order chain not fully replaced"),
    "unchanged":          Answer(422, 42210000, "order parameters are not changed"),
    "qty_filled":         Answer(422, 42210000, "qty must be > filled_qty"),
    "qty_advanced":       Answer(422, 42210000, "qty cannot be changed for advanced orders"),
    "notional_replace":   Answer(422, 42210000, "notional orders cannot be replaced"),
    "forced":             Answer(422, 42210000, "an order that is {now} cannot be made {status}"),
    "unsupported":        Answer(422, 42210000, "{field} {value} is not supported by the paper exchange; it takes {supported}"),
    "internal":           Answer(500, 50010000, "internal server error"),
    "journal":            Answer(503, 50010000, "the paper exchange could not write its journal and did nothing: {why}"),
}


class Refusal(Exception):
    """A request is answered with no, and nothing has changed."""

    def __init__(self, name: str, *, extras: dict[str, str] | None = None, **blanks: object) -> None:
        self.name, self.extras = name, extras or {}
        self.http, self.code, text = REFUSALS[name]
        self.message = text.format(**blanks).encode("utf-8", "backslashreplace").decode()     # what came in may not be text
        super().__init__(self.message)

    @property
    def body(self) -> dict[str, object]:
        code = {} if self.code is None else {"code": self.code}
        return {**code, "message": self.message, **self.extras}
