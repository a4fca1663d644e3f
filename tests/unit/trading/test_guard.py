"""The start-up guard: address, environment, account number and clock must agree."""

import json

import pytest

from schemas.settings import Settings, load
from streams.trading.broker import BrokerUnavailable
from streams.trading.guard import WrongBroker, environment, verify

PAPER, LIVE = "https://paper-api.alpaca.markets", "https://api.alpaca.markets"
HERE = "http://127.0.0.1:5050"


def settings(url: str, stream: str = "", **more: object) -> Settings:
    return load({}, broker_url=url, stream_url=stream or url.replace("http", "ws", 1) + "/stream", broker_key="THE-KEY", broker_secret="THE-SECRET", **more)


def account(number: str) -> str:
    return json.dumps({"account_number": number})


@pytest.mark.parametrize("url, more, where", [
    (HERE, {}, "exchange"), ("http://localhost:1", {}, "exchange"), ("http://[::1]:5050", {"broker_env": "exchange"}, "exchange"),
    (HERE, {"sim_url": HERE}, "exchange"), (PAPER, {}, "paper"), (PAPER, {"broker_env": "paper", "broker_account": "PA1234"}, "paper"),
    (PAPER + "/", {}, "paper"), (LIVE, {"broker_env": "live", "broker_account": "123456789"}, "live"),
    ("http://exchange:5050", {"broker_env": "exchange"}, "exchange"),
])
def test_what_agrees_may_trade(url: str, more: dict[str, object], where: str) -> None:
    assert environment(settings(url, **more)) == where      # type: ignore[arg-type]


@pytest.mark.parametrize("url, more, words", [
    (LIVE, {}, "real money"),
    (LIVE, {"broker_env": "paper"}, "real money"),
    (LIVE, {"broker_env": "live"}, "CATALYST_BROKER_ACCOUNT"),
    ("https://API.ALPACA.MARKETS.", {}, "real money"),
    (PAPER, {"broker_env": "live", "broker_account": "1"}, "is paper"),
    (HERE, {"broker_env": "live", "broker_account": "1"}, "is exchange"),
    (HERE, {"broker_env": "paper"}, "is exchange"),
    ("https://api.alpaca.markets.example.com", {}, "neither Alpaca nor this machine"),
    ("https://api.alpaca.markets@example.com", {}, "neither Alpaca nor this machine"),
    (PAPER, {"sim_url": HERE}, "CATALYST_SIM_URL"),
    ("http://paper-api.alpaca.markets", {}, "https"),
])
def test_what_contradicts_itself_may_not(url: str, more: dict[str, object], words: str) -> None:
    with pytest.raises(WrongBroker, match=words):
        environment(settings(url, **more))      # type: ignore[arg-type]


@pytest.mark.parametrize("url, stream, more", [
    (HERE, "wss://paper-api.alpaca.markets/stream", {}), (PAPER, "ws://127.0.0.1:5050/stream", {}),
    (LIVE, "wss://paper-api.alpaca.markets/stream", {"broker_env": "live", "broker_account": "1"}),
])
def test_fills_that_are_told_elsewhere_are_refused(url: str, stream: str, more: dict[str, object]) -> None:
    with pytest.raises(WrongBroker, match="CATALYST_STREAM_URL"):
        environment(settings(url, stream, **more))      # type: ignore[arg-type]


def test_the_account_must_be_the_one_that_is_meant() -> None:
    verify(settings(PAPER), account("PA1234"))
    verify(settings(PAPER, broker_account="PA1234"), account("PA1234"))
    with pytest.raises(WrongBroker, match=r"…1234.*…9999"):
        verify(settings(PAPER, broker_account="PA9999"), account("PA1234"))


def test_a_paper_account_behind_a_live_address_is_refused() -> None:
    with pytest.raises(WrongBroker, match="paper account"):
        verify(settings(LIVE, broker_env="live", broker_account="PA1234"), account("PA1234"))


@pytest.mark.parametrize("said", ["", "[]", "{}", "<html>", "null"])
def test_who_does_not_answer_as_the_broker_is_not_believed_yet(said: str) -> None:
    with pytest.raises(BrokerUnavailable, match="account_number"):
        verify(settings(PAPER), said)


def test_no_message_holds_a_secret() -> None:
    for url, more in ((LIVE, {}), ("https://user:THE-SECRET@example.com", {}), (PAPER, {"broker_account": "1"})):
        with pytest.raises(WrongBroker) as wrong:
            verify(settings(url, **more), account("PA1234567890"))      # type: ignore[arg-type]
        assert "THE-" not in str(wrong.value) and "PA1234567890" not in str(wrong.value)
