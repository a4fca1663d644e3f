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
    "short":              Answer(403, 40310000, "account is not allowed to short"),
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
    "unknown_asset":      Answer(422, 42210000, 'asset "{symbol}" not found'),
    "sub_penny":          Answer(422, 42210000, "invalid {field} {value}. sub-penny increment does not fulfill minimum pricing criteria"),
    "market_price":       Answer(422, 42210000, "market orders require no stop or limit price"),
    "extended_hours":     Answer(422, 42210000, "extended hours order must be DAY limit orders"),
    "fractional_short":   Answer(422, 42210000, "fractional orders cannot be sold short"),
    "intent":             Answer(422, 42210000, "position intent mismatch, inferred: {inferred}, specified: {specified}"),
    "not_cancelable":     Answer(422, 42210000, "order is not cancelable"),
    "unsupported":        Answer(422, 42210000, "{field} {value} is not supported by the paper exchange yet; it takes {supported}"),
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
