"""An account written down whole at the end of a day and read back, so that a start reads one event and the tail instead of a year. Pure."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter

from schemas.cycle import AccountSealed
from streams.trading.account import Account

RELEASE = "0.3"         # of what `evolve` means; grows when a fold of old events gives another state, and older seals are then not used
LARGEST = 600_000       # characters of a state that fit one record of the log, with what is escaped in it
ACCOUNT: TypeAdapter[Account] = TypeAdapter(Account)


class SealBroken(RuntimeError):
    """The seal does not hold what it says. The account is folded from an older one or its beginning instead; `catalyst audit seals` names it."""


def write(state: Account) -> str:
    """JSON of the account without what holds for one admission alone. Its mappings keep their order, which is the order of events: decisions walk through
    orders in it, and must come out the same whether the account was read from a seal or folded from its beginning."""
    return ACCOUNT.dump_json(replace(state, prices={}, facts={})).decode()


def read(sealed: AccountSealed) -> Account:
    """The account as it was sealed. Raises SealBroken."""
    if digest(sealed.state) != sealed.digest:
        raise SealBroken(f"account.sealed of {sealed.session}: its state does not match its digest")
    return ACCOUNT.validate_json(sealed.state)


def digest(state: str) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(state.encode()).hexdigest()


def report(state: Account) -> Mapping[str, Any]:
    """The day's figures for day.reported."""
    day = state.day
    return {"orders": day.approved, "approved": day.approved, "denied": day.denied, "fills": day.fills, "trades_closed": day.closed, "realised": day.realised,
            "fees": 0, "equity": state.equity, "max_drawdown": day.drawdown, "positions_left": len(state.holdings), "alerts": day.alerts,
            "denials": tuple(sorted(day.denials.items(), key=lambda item: (-item[1], item[0])))}
