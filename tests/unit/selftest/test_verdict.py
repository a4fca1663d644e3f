"""What the selftest makes of its findings, and above all: when it may place an order."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.selftest import phases
from deploy.selftest.phases import PHASES, Around
from deploy.selftest.verdict import Finding, Health, Market, Result, as_json, failed, judge_health, judge_market, line, no_order, no_trade
from schemas.settings import Settings
from streams.log.memory import MemoryLog
from streams.role import PORTS

NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
SIMULATED = Settings(sim_url="http://127.0.0.1:1", broker_url="http://127.0.0.1:1")
PAPER = Settings(broker_url="https://paper-api.alpaca.markets")
LIVE = Settings(broker_url="https://api.alpaca.markets")
STRANGER = Settings(broker_url="http://paper-api.example.net")


@pytest.mark.parametrize(("settings", "flags", "order", "trade"), [
    (SIMULATED, "", True, True),
    (PAPER, "", True, False),
    (PAPER, "trade", True, True),
    (LIVE, "", False, False),
    (LIVE, "trade", False, False),
    (LIVE, "live", True, False),
    (LIVE, "trade live", True, True),
    (STRANGER, "", False, False),
    (STRANGER, "trade", False, False),
])
def test_nothing_is_ordered_on_a_live_account_unless_both_words_are_said(settings, flags, order, trade):
    live, wants = "live" in flags, "trade" in flags
    assert (no_order(settings, live) == "") is order
    assert (no_trade(settings, wants, live) == "") is trade


def ready(role: str, seconds: float = 0.01) -> Health:
    return Health(role, 200, "ready", "", seconds)


@pytest.mark.parametrize(("answers", "verdict", "words"), [
    ([ready("market"), ready("trading", 0.02)], "pass", "the slowest (trading) answered in 20 ms"),
    ([ready("market"), ready("trading", 0.6)], "warn", "600 ms"),
    ([ready("market"), Health("trading", 503, "degraded", "the broker is away", 0.01)], "fail", "trading is degraded: the broker is away"),
    ([ready("market"), Health("trading", None, "silent", "ConnectError", 0.01)], "fail", "no answer from trading"),
])
def test_a_role_is_well_when_it_is_ready_and_says_so_quickly(answers, verdict, words):
    found = judge_health(answers)
    assert found.verdict == verdict and words in found.seen
    assert bool(found.advice) is (verdict != "pass")


def market(age: float, closed: bool = False) -> Market:
    return Market(NOW, NOW - timedelta(seconds=age), 3, closed)


@pytest.mark.parametrize(("found", "settings", "verdict"), [
    (None, PAPER, "fail"),
    (market(30), PAPER, "pass"),
    (market(181), PAPER, "fail"),
    (market(181, closed=True), PAPER, "pass"),
    (market(29), SIMULATED.model_copy(update={"speed": 60.0}), "pass"),
    (market(31), SIMULATED.model_copy(update={"speed": 60.0}), "warn"),
    (market(9_999), SIMULATED.model_copy(update={"pace": "lockstep"}), "pass"),
])
def test_minutes_must_pass_while_the_market_is_open(found, settings, verdict):
    assert judge_market(found, NOW, settings).verdict == verdict


def test_all_phases_together_end_within_thirty_seconds():
    assert sum(budget for _, budget, _ in PHASES) < 30
    assert [name for name, _, _ in PHASES] == ["health", "data", "signal", "orchestration", "direct execution", "end to end"]


@pytest.fixture
def unused_ports(tmp_path: Path) -> None:
    """A home whose roles were said to be where nobody is."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "ports.json").write_text(json.dumps({f"{role} health": 1 for role in PORTS}))


def around() -> Around:
    return Around(PAPER, MemoryLog(clock=lambda: NOW), "selftest-1", trade=False, live=False, clock=lambda: NOW)


async def test_a_phase_that_hangs_or_breaks_is_its_own_finding():
    async def hangs(_: Around) -> Finding:
        await asyncio.Event().wait()
        raise AssertionError

    async def breaks(_: Around) -> Finding:
        raise ConnectionError("no route")

    slow, broken = await phases._timed("slow", 0.01, hangs, around()), await phases._timed("broken", 1, breaks, around())
    assert (slow.verdict, broken.verdict) == ("fail", "fail")
    assert "0.01 s" in slow.seen and "no route" in broken.seen


async def test_an_empty_log_fails_the_data_phase_with_what_to_do():
    found = await phases.data(around())
    assert found.verdict == "fail" and "catalyst logs market" in found.advice


@pytest.mark.parametrize(("answer", "side", "verdict"), [
    ({"status": "accepted", "filled_quantity": 1}, "buy", None),
    ({"status": "denied", "summary": "BUY 1: denied by risk: MARKET_CLOSED", "message": "wait"}, "buy", "warn"),
    ({"status": "denied", "summary": "denied"}, "sell", "fail"),
    ({"status": "pending", "summary": "not decided", "next": "ask again"}, "buy", "fail"),
    ({"code": "LOG_UNAVAILABLE", "what": "the log is away"}, "buy", "fail"),
])
def test_what_is_not_filled_is_a_failure_except_a_no_of_risk(answer: dict[str, Any], side, verdict):
    found = phases._not_filled(answer, side, "AAPL")
    assert (found.verdict if found else None) == verdict
    assert side == "buy" or "still held" in found.advice


async def test_without_a_stack_every_phase_fails_at_once_and_says_what_to_do(tmp_path, unused_ports):
    away = "http://127.0.0.1:1"
    settings = Settings(home=tmp_path, kafka="127.0.0.1:1", broker_url=away, sim_url=away, database_url="postgresql://127.0.0.1:1/none", gateway_port=1)
    told: list[Result] = []
    results = await phases.run(settings, stamp="selftest-1", trade=False, live=False, clock=lambda: NOW, told=told.append)
    assert told == results
    assert [result.verdict for result in results] == ["fail"] * 5 + ["skip"]
    assert all(result.advice for result in results)
    assert "no answer from" in results[0].seen and "catalyst up" in results[0].advice


def test_results_are_shown_with_the_way_out_and_as_json():
    results = [Result("health", "pass", 0.01, "4 roles ready", ""), Result("data", "fail", 0.2, "no minute", "`catalyst logs market`")]
    assert "→ `catalyst logs market`" in line(results[1])
    told = json.loads(json.dumps(as_json(results, 1.5)))
    assert (told["ok"], told["seconds"], [phase["verdict"] for phase in told["phases"]]) == (False, 1.5, ["pass", "fail"])
    assert failed(results) and not failed(results[:1])
