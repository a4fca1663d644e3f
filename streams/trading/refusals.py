"""What an HTTP answer of Alpaca means: clear yes, clear no and of which kind, or unknown. Pure; the adapter asks it about every answer.

Messages are matched loosely: their wording has changed before, and the same refusal has come under other codes. The body is kept as it came.
To know one more refusal is to add a row.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from streams.trading.broker import Answer, Outcome, Refusal

Request = Literal["submit", "cancel", "replace", "lookup", "order"]
GOOD: Mapping[Request, Outcome] = {"submit": "accepted", "cancel": "accepted", "replace": "accepted", "lookup": "found", "order": "found"}
READS = ("lookup", "order")
KEPT = 4_000            # characters of a body that is no order


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer as it came; no status when none came."""

    status: int | None
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    cause: str = ""                     # why none came


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of no. The first row whose statuses and words fit has it."""

    kind: Refusal
    words: str                          # regular expression, anywhere in the message, case ignored
    statuses: tuple[int, ...] = ()      # empty: any 4xx
    why: str = ""                       # of odd rows


ROWS = (
    Row("rate_limited", "", (429,), "not processed"),
    Row("auth", "", (401, 402), "also as an HTML page of the edge, without a code"),
    Row("duplicate_id", r"client_order_id must be unique|client.?order.?id.*(duplicate|already)"),
    Row("intent_mismatch", r"intent mismatch", why="the book is not what we believe: an exit would have opened a position"),
    Row("qty_held", r"insufficient qty|insufficient quantity", why="often shares reserved by another open order, freed when that one ends"),
    Row("wash_trade", r"wash trade|opposite side|cannot open a .* while a .* order is open"),
    Row("buying_power", r"buying power|insufficient (balance|funds)|day trading protection"),
    Row("not_shortable", r"not allowed to short|sold short|cannot be shorted|hard-to-borrow"),
    Row("account_blocked", r"not authori[sz]ed to trade|account is (blocked|restricted|suspended|closed)|trading is (blocked|suspended)|close.?only"),
    Row("stop_breached", r"(?<!stop_loss\.)stop.price must be (less|greater|lower|higher|below|above)", why="the market is behind the stop already"),
    Row("invalid_price", r"sub.?penny|pricing criteria|(limit|stop)_price|too far away|price is (invalid|too)|base_price"),
    Row("bracket_not_entry", r"must be entry orders"),
    Row("not_tradable", r"not tradable|not active|asset .*not found|halted|not fractionable"),
    Row("no_change", r"parameters are not changed", why="a success: the order is as asked"),
    Row("not_cancelable", r"not cancel+able|cannot cancel"),
    Row("not_replaceable", r"(cannot|not) .*replace|already replaced|not fully replaced|qty must be > filled|for advanced orders"),
    Row("auth", r"forbidden|request is not authorized", (403,)),
)
# What a 404 or 422 in words nobody has heard of most likely says.
BY_REQUEST: Mapping[Request, Refusal] = {"cancel": "not_cancelable", "replace": "not_replaceable"}


def sort(request: Request, reply: Reply) -> Answer:
    """The outcome of one request. What is neither a clear yes nor a clear no is unknown: a 5xx, a 408, a redirect, a yes that cannot be read, a no from
    somebody in between."""
    status, said = reply.status, _object(reply.text)
    if status is None:
        return Answer("unknown", None, "", cause=reply.cause)
    if 200 <= status < 300:
        if request == "cancel" or (said is not None and said.get("id") and said.get("status")):
            return Answer(GOOD[request], status, reply.text)
        return Answer("unknown", status, reply.text[:KEPT], cause=f"HTTP {status} without an order")
    body = reply.text[:KEPT]
    if status == 404 and said is not None and _no_order(said):
        return Answer("rejected", status, body, refusal="not_replaceable") if request == "replace" else \
            Answer("rejected", status, body, refusal=kind(request, status, said)) if request == "submit" else Answer("absent", status, body)
    if request not in READS and 400 <= status < 500 and status != 408 and (said is not None or status in (401, 402, 429)):
        return Answer("rejected", status, body, refusal=kind(request, status, said or {}))
    return Answer("unknown", status, body, cause=f"HTTP {status}")


def kind(request: Request, status: int, said: Mapping[str, Any]) -> Refusal:
    """Which kind of no this is."""
    message = f"{said.get('message', '')} {said.get('reject_reason', '')}"
    for row in ROWS:
        if (not row.statuses or status in row.statuses) and re.search(row.words, message, re.IGNORECASE):
            return row.kind
    return BY_REQUEST.get(request, "other") if status in (404, 422) else "other"


def _no_order(said: Mapping[str, Any]) -> bool:
    """Whether the broker itself says that it has no such thing; a path that nobody serves proves nothing."""
    return str(said.get("code", "")).startswith("404") or "order not found" in str(said.get("message", "")).lower()


def _object(text: str) -> Mapping[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
