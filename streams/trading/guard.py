"""Is this the broker, and the account, that is meant? Asked before anything is sent; a contradiction halts the role. Pure; messages hold no secret.

Where the address, CATALYST_BROKER_ENV and the account number do not agree, nobody can know which of them was the mistake, so none is believed.
"""

import json
from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

from schemas.settings import Settings
from streams.trading.broker import BrokerUnavailable

Environment = Literal["exchange", "paper", "live"]
HOSTS: dict[str, Environment] = {"paper-api.alpaca.markets": "paper", "api.alpaca.markets": "live"}


class WrongBroker(ValueError):
    """The settings contradict each other or the broker. Only a person can say which is right; nothing may be sent."""


def environment(settings: Settings) -> Environment:
    """Where orders go. Raises WrongBroker."""
    place, named = place_of(settings.broker_url), settings.broker_env
    host = _of_host(settings.broker_url)
    if host is None and not named:
        raise WrongBroker(f"CATALYST_BROKER_URL {place} is neither Alpaca nor this machine: say what it is with CATALYST_BROKER_ENV=exchange, paper or live")
    if host == "live" and named != "live":
        raise WrongBroker(f"CATALYST_BROKER_URL {place} trades real money, which takes CATALYST_BROKER_ENV=live and the account's number in "
                          f"CATALYST_BROKER_ACCOUNT; CATALYST_BROKER_ENV is {named or 'not set'}")
    if host and named and host != named:
        raise WrongBroker(f"CATALYST_BROKER_URL {place} is {host}, CATALYST_BROKER_ENV says {named}: correct one of them")
    where: Environment = host or named or "exchange"
    _streams_agree(settings, where)
    if where == "live" and not settings.broker_account:
        raise WrongBroker("CATALYST_BROKER_ENV=live takes the number of the account that may trade in CATALYST_BROKER_ACCOUNT")
    if where != "exchange" and settings.sim_url:
        raise WrongBroker(f"CATALYST_SIM_URL is set, so the clock is simulated, but {place} is {where}: unset CATALYST_SIM_URL, or trade on the paper exchange")
    if where != "exchange" and urlsplit(settings.broker_url).scheme != "https":
        raise WrongBroker(f"CATALYST_BROKER_URL {place} would send the key in the clear: use https")
    return where


def _streams_agree(settings: Settings, where: Environment) -> None:
    """Fills that are told elsewhere would never be seen."""
    stream = _of_host(settings.stream_url)
    if stream is not None and stream != where:
        raise WrongBroker(f"orders go to {place_of(settings.broker_url)} ({where}), but CATALYST_STREAM_URL {place_of(settings.stream_url)} is {stream}: "
                          "set both to one broker")


def verify(settings: Settings, account: str) -> None:
    """Hold GET /v2/account against the settings. Raises WrongBroker; BrokerUnavailable for an answer that is not Alpaca's, which may pass."""
    where, meant = environment(settings), settings.broker_account
    try:
        number = str(json.loads(account)["account_number"])
    except (ValueError, KeyError, TypeError):
        raise BrokerUnavailable(f"{place_of(settings.broker_url)} does not answer as Alpaca does: GET /v2/account has no account_number") from None
    if meant and number != meant:
        raise WrongBroker(f"the key opens account {_masked(number)}, CATALYST_BROKER_ACCOUNT is {_masked(meant)}: use the other key or correct the number")
    if where == "live" and number.startswith("PA"):
        raise WrongBroker(f"CATALYST_BROKER_ENV is live, but account {_masked(number)} is a paper account")


def is_here(url: str) -> bool:
    """Whether an address is this machine's own loopback."""
    return _of_host(url) == "exchange"


def place_of(url: str) -> str:
    """An address without what might be secret in it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}" + (f":{parts.port}" if parts.port else "")


def _of_host(url: str) -> Environment | None:
    """What a host is known to be; None for a stranger."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    if host in HOSTS:
        return HOSTS[host]
    try:
        return "exchange" if ip_address(host).is_loopback else None
    except ValueError:
        return "exchange" if host == "localhost" else None


def _masked(number: str) -> str:
    return f"…{number[-4:]}"
