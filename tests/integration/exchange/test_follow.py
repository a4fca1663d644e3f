"""An exchange that follows another one: a second account on the same market, whoever of the two comes late or dies."""

from __future__ import annotations

from tests.integration.exchange.conftest import ExchangeProcess, Start


def until_at(exchange: ExchangeProcess, minute: str) -> None:
    """The long poll answers as soon as the minute has happened there."""
    for _ in range(30):
        ended = exchange.call("GET", "/_sim/minutes", wait=2, limit=10_000)[1]["minutes"]
        if ended and ended[-1]["minute"] == minute:
            return
        if ended:
            exchange.call("GET", "/_sim/minutes", after=ended[-1]["minute"], wait=2)
    raise AssertionError(f"{exchange.sim('clock')} never came to {minute}")


def test_its_minutes_happen_when_the_others_do_and_it_catches_up_after_a_death(start: Start) -> None:
    leader = start(journal="leader")
    leader.advance(120)
    follower = start("--follow", leader.url, journal="follower")
    until_at(follower, leader.sim("clock")["minute"])
    follower.kill()
    leader.advance(7)
    follower.start()
    until_at(follower, leader.sim("clock")["minute"])
    leader.kill()
    leader.start()
    last = leader.advance()
    until_at(follower, last["minute"])
    assert follower.sim("clock")["minutes_done"] == 128


def test_each_has_an_account_of_its_own(start: Start) -> None:
    leader = start(journal="leader")
    follower = start("--follow", leader.url, journal="follower")
    until_at(follower, leader.advance(5)["minute"])
    order = {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}
    assert follower.call("POST", "/v2/orders", order)[0] == 200
    assert [len(exchange.call("GET", "/v2/positions")[1]) for exchange in (leader, follower)] == [0, 1]
