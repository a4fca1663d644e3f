"""The gateway over HTTP and over stdio, with the real client in both protocol eras, on a real log and real read models."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import httpx
import pytest

from projections.queries import Queries
from projections.shown import Reach
from schemas import codec
from schemas.analysis import ScanCompleted, SignalRaised
from schemas.commands import TradeRequested
from schemas.news import Article
from schemas.risk import EmergencyStopped, LimitsSet, RiskParameters
from schemas.settings import Settings
from schemas.topics import COMMANDS, NEWS, SCANS, SIGNALS, TRADING
from streams.log import Appended, Message, TopicPartition
from streams.log.kafka import KafkaLog
from tests.integration.gateway.conftest import Process, free_port, said, trade
from tests.unit.gateway.actor import BRACKET, Actor, accepted, approved, deny, fill, filled, legs, rejected, silence, submitting
from tests.unit.gateway.conftest import a_gateway
from tests.unit.gateway.test_calls import TOOLS
from tests.unit.schemas import story_analysis, story_day
from tests.unit.schemas.scene import ABOUT, OPEN

ERAS = ["auto", "legacy"]
LIMITS = LimitsSet.new(**ABOUT, time=OPEN, version=1, parameters=RiskParameters(), changed=(), origin="start")


def wishes(account: str) -> list[TradeRequested]:
    return [TradeRequested.new(source="/test", subject=account, time=OPEN, symbol=symbol, side="buy", quantity=10, idempotency_key=symbol, actor="a",
                               reason="r", expires=OPEN + timedelta(minutes=1)) for symbol in ("AAPL", "MSFT")]


@pytest.mark.parametrize("era", ERAS)
async def test_who_traded_reads_his_own_order_and_position_at_once(gateway: Process, era: str) -> None:
    symbol = {"auto": "AAPL", "legacy": "MSFT"}[era]
    async with gateway.world() as actor, actor.answering(fill), gateway.client(era) as client:
        told = await trade(client, f"first-{era}", symbol=symbol)
        orders = (await client.call_tool("get_orders", {"symbol": symbol})).structured_content
        positions = (await client.call_tool("get_positions", {"symbol": symbol})).structured_content
    assert (told["status"], told["average_price"]) == ("accepted", 100.5)
    (order,), (position,) = orders["orders"], positions["positions"]
    assert (order["order_id"], order["state"], order["filled_quantity"]) == (told["order_id"], "filled", 10)
    assert (position["symbol"], position["quantity"], position["cost"]) == (symbol, 10, 1005)
    assert orders["freshness"]["lag_events"] == 0 and orders["freshness"]["as_of"]


@pytest.mark.parametrize("era", ERAS)
async def test_claude_desktops_road_through_stdio_tells_the_same(gateway: Process, era: str) -> None:
    async with gateway.world() as actor, actor.answering(fill), gateway.bridge(era) as client:
        assert [tool.name for tool in await client.list_tools()] == TOOLS
        told = await asyncio.gather(*(trade(client, f"stdio-{era}-{number}") for number in range(8)))
        bad = await client.call_tool("execute_trade", {"symbol": "AAPL"}, raise_on_error=False)
    assert {one["status"] for one in told} == {"accepted"} and len({one["order_id"] for one in told}) == 8
    assert said(bad).startswith("BAD_ARGUMENT: side is missing.")


async def test_the_status_names_mode_market_accounts_and_lag(gateway: Process) -> None:
    async with gateway.world(), gateway.client() as client:
        status = (await client.call_tool("get_system_status", {})).structured_content
    assert status["mode"] == "paper" and status["market"]["session"] == "not seen yet"
    assert status["accounts"][0]["account"] == "paper" and {"topic", "lag_events"} <= status["read_models"][0].keys()
    assert "account paper is recovering: not ready yet" in status["problems"]


async def test_denied_and_rejected_orders_are_listed_with_whose_words_they_are(gateway: Process) -> None:
    async with gateway.world() as actor, gateway.client() as client:
        async with actor.answering(deny, lambda asked: [approved(asked), submitting(asked), rejected(asked, "no\u202e such asset")]):
            denied, refused = await trade(client, "deny", symbol="NOSUCH"), await trade(client, "reject", symbol="NOSUCH")
        rows = (await client.call_tool("get_orders", {"symbol": "nosuch"})).structured_content["orders"]
    assert (denied["status"], refused["status"]) == ("denied", "rejected")
    shown = {row["state"]: row for row in rows}
    assert "at most 500 shares" in shown["denied"]["message"] and "broker_said" not in shown["denied"]
    assert shown["rejected"]["broker_said"]["trust"] == "untrusted" and "no such asset" in shown["rejected"]["broker_said"]["text"]


async def test_risk_the_day_and_signals_are_told_from_the_read_models(gateway: Process) -> None:
    """The story of the golden files happens to the account; a position under a bracket shows its stop."""
    async with gateway.world() as actor, gateway.client() as client:
        async with actor.answering(lambda asked: [approved(asked, BRACKET), submitting(asked), accepted(asked), legs(asked), filled(asked)]):
            await trade(client, "guarded", symbol="GUARD")
        signal = next(event for event in story_analysis.found() if isinstance(event, SignalRaised))
        assert isinstance(await actor.log.append(SIGNALS.name, [Message(signal.subject, codec.encode(signal))]), Appended)
        scan = next(event for event in story_analysis.found() if isinstance(event, ScanCompleted))
        read = [event.model_copy(update={"headline": f"{event.headline}\u202e"}) if isinstance(event, Article) else event for event in story_analysis.read()]
        for topic, event in ((SCANS, scan), *((NEWS, event) for event in read)):
            assert isinstance(await actor.log.append(topic.name, [Message(event.subject, codec.encode(event))]), Appended)
        await actor.say(*story_day.planned(), *story_day.worth(), *story_day.approved(), LIMITS)
        place = (TRADING.name, actor.log.partition_of(TRADING.name, "paper"))
        end = (await actor.log.ends([TRADING.name]))[TopicPartition(*place)]
        async with Queries(gateway.database_url) as queries:
            assert await queries.reached(*place, end - 1, 30)
            for topic, key, last in ((SIGNALS, signal.subject, 0), (SCANS, scan.subject, 0), (NEWS, story_analysis.ARTICLE, 3)):
                assert await queries.reached(topic.name, actor.log.partition_of(topic.name, key), last, 30)
        (position,) = (await client.call_tool("get_positions", {"symbol": "GUARD"})).structured_content["positions"]
        risk = (await client.call_tool("get_risk_status", {})).structured_content
        day = (await client.call_tool("get_trading_cycle", {})).structured_content
        (seen,) = (await client.call_tool("get_signals", {"symbol": "AAPL"})).structured_content["signals"]
        market = (await client.call_tool("get_candidates", {"why": "msft"})).structured_content
        (article,) = (await client.call_tool("get_news", {"symbol": "AAPL"})).structured_content["articles"]
        status = (await client.call_tool("get_system_status", {})).structured_content
    assert (position["stop_price"], position["stop_quantity"], position["target_price"]) == (95, 10, 110)
    assert [(stop["quantity"], stop["price"]) for stop in position["stops"]] == [(10, 95)]
    assert {"DAILY_LOSS", "MAX_POSITIONS"} <= {gauge["code"] for gauge in risk["limits"]} and risk["parameters"]["daily_loss"] == 2000
    assert (risk["equity"], risk["alerts"][0]["code"], risk["alerts"][0]["said"]["trust"]) == (100008, "DAILY_LOSS", "untrusted")
    assert (day["session"], day["phase"], day["phases"][0]["state"]) == ("2026-03-16", "trading", "missed")
    assert (seen["became"], seen["entry"], seen["reasons"][0]["trust"]) == ("open", 172.41, "untrusted")
    assert [(row["rank"], row["symbol"], row["figures"]) for row in market["candidates"]] == [(1, "AAPL", {"rsi_14": 63.4471})]
    assert market["why"].startswith("MSFT was left out at technical: rsi_14 was 74.2; ") and market["stages"][0]["kept"] == 1
    assert article["headline"] == {"said_by": "benzinga", "text": story_analysis.HEADLINE, "trust": "untrusted"}
    assert any("warning: DAILY_LOSS" in problem for problem in status["problems"])


async def test_each_account_is_asked_and_told_of_by_its_name(gateway: Process) -> None:
    async with gateway.world() as paper, gateway.client() as client:
        live = Actor(paper.log, "live")
        await live.take_lease()
        await live.say(LimitsSet.new(source="/test", subject="live", time=OPEN, version=1, parameters=RiskParameters(), changed=(), origin="start",
                                     environment="live"))
        place = (TRADING.name, paper.log.partition_of(TRADING.name, "live"))
        async with Queries(gateway.database_url) as queries:
            assert await queries.reached(*place, (await paper.log.ends([TRADING.name]))[TopicPartition(*place)] - 1, 30)
        async with paper.answering(deny), live.answering(fill):
            real, played = await trade(client, "whose", symbol="WHOSE", account="live"), await trade(client, "whose", symbol="WHOSE")
        mine = (await client.call_tool("get_orders", {"symbol": "WHOSE", "account": "live"})).structured_content
        held = (await client.call_tool("get_positions", {"symbol": "WHOSE", "account": "live"})).structured_content
        status = (await client.call_tool("get_system_status", {})).structured_content
        live.says = lambda asked: [EmergencyStopped.caused_by(asked, command_id=asked.id, actor=asked.actor, reason=asked.reason, cancelled=(), flattened=())]
        async with live.answering(silence):
            stopped = (await client.call_tool("emergency_stop", {"account": "LIVE", "reason": "a test"})).structured_content
        async with Queries(gateway.database_url) as queries:
            assert await queries.reached(*place, (await paper.log.ends([TRADING.name]))[TopicPartition(*place)] - 1, 30)
        after = (await client.call_tool("get_system_status", {})).structured_content
        stranger = await client.call_tool("emergency_stop", {"account": "lief", "reason": "a test"}, raise_on_error=False)
    assert (real["account"], real["status"], real["summary"]) == ("live", "accepted", "BUY 10 WHOSE (REAL MONEY): filled at 100.5 USD")
    assert (played["account"], played["status"], played["command_id"] != real["command_id"]) == ("paper", "denied", True)
    assert [order["state"] for order in mine["orders"]] == ["filled"] and held["positions"][0]["quantity"] == 10
    assert status["mode"] == "live"
    assert {row["account"]: row.get("environment") for row in status["accounts"]}["live"] == "live"
    assert {row["account"]: row.get("code") for row in after["accounts"]} == {"live": "EMERGENCY_STOP", "paper": None}
    assert (stopped["status"], stopped["account"]) == ("done", "live") and "Only account live is stopped" in stopped["next"]
    assert said(stranger).startswith("UNKNOWN_ACCOUNT: account: 'lief' is not one of ours; there are: paper, live. Nothing was done.")


def at_the_terminal(environment: dict[str, str], *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-m", "gateway.cli", *words], env=environment, capture_output=True, text=True, timeout=60, check=False)


async def test_a_person_at_the_terminal_reads_what_is_held_and_open_with_how_fresh_it_is(gateway: Process) -> None:
    async with gateway.world() as paper, gateway.client() as client:
        shell = Actor(paper.log, "shell")
        await shell.take_lease()
        async with shell.answering(lambda asked: [approved(asked, BRACKET), submitting(asked), accepted(asked), legs(asked), filled(asked)], deny):
            await paper.log.append(COMMANDS.name, [Message("shell", codec.encode(wanted)) for wanted in wishes("shell")])
            async with Queries(gateway.database_url) as queries:
                assert (await queries.settled(wishes("shell")[-1].id, 30)).status == "denied"
        held, opened, every, strange = [await asyncio.to_thread(at_the_terminal, gateway.environment, *words, "--account", name) for *words, name in (
            ("positions", "shell"), ("orders", "shell"), ("orders", "--all", "--json", "SHELL"), ("orders", "lief"))]
        told = (await client.call_tool("get_orders", {"account": "shell"})).structured_content
    assert (held.returncode, held.stderr) == (0, "")
    assert held.stdout.splitlines()[2].split() == ["AAPL", "10", "100.5", "-", "-", "10", "@", "95", "110"]
    assert "UTC, the account's newest event in it; nothing on the log is missing; market time not known" in held.stdout
    assert opened.stdout.startswith("account shell: 2 open orders\nDECIDED (UTC)") and " stop " in opened.stdout and " held " in opened.stdout
    rows = json.loads(every.stdout)["orders"]
    assert rows == told["orders"] and {row["state"] for row in rows} == {"filled", "held", "denied"}
    assert strange.returncode == 1 and strange.stderr.startswith("account: 'lief' is not one of ours; there are: paper")


def test_a_terminal_without_read_models_is_told_so_in_one_sentence(gateway: Process, database_url: str) -> None:
    nowhere = at_the_terminal({**gateway.environment, "DATABASE_URL": f"postgresql://127.0.0.1:{free_port()}/none"}, "positions")
    assert (nowhere.returncode, nowhere.stdout) == (3, "") and nowhere.stderr.startswith("Postgres cannot be reached") and "`catalyst up`" in nowhere.stderr
    environment = {**gateway.environment, "DATABASE_URL": database_url, "CATALYST_KAFKA": f"127.0.0.1:{free_port()}"}
    assert at_the_terminal(environment, "migrate").returncode == 0
    empty = at_the_terminal(environment, "orders")
    assert (empty.returncode, empty.stdout) == (3, "") and empty.stderr.startswith("nothing was ever projected into this database. ")


async def test_what_comes_while_the_status_is_read_is_not_taken_for_a_log_that_was_cut(gateway: Process, tmp_path: Path) -> None:
    async with gateway.world() as actor:
        looking = a_gateway(Settings(home=tmp_path, database_url=gateway.database_url), actor.log)      # type: ignore[arg-type]
        queries, place = looking.reads._queries, actor.log.partition_of(TRADING.name, "paper")
        reaches = queries.reaches

        async def and_something_comes() -> Sequence[Reach]:
            await actor.say(LimitsSet.new(**ABOUT, time=OPEN, version=next(versions), parameters=RiskParameters(), changed=(), origin="start"))
            assert await queries.reached(TRADING.name, place, (await actor.log.ends([TRADING.name]))[TopicPartition(TRADING.name, place)] - 1, 30)
            return await reaches()

        versions = count(100)
        queries.reaches = and_something_comes       # type: ignore[method-assign]
        status = await looking.reads.status()
    assert not [problem for problem in status.problems or () if problem.startswith("LOG_CUT")]
    assert {row.topic: row.lag_events for row in status.read_models or ()}[TRADING.name] == 0


async def test_a_long_list_says_how_to_see_the_rest(gateway: Process) -> None:
    async with gateway.world() as actor, actor.answering(deny), gateway.client() as client:
        for number in range(3):
            await trade(client, f"page-{number}", symbol="PAGE")
        first = (await client.call_tool("get_orders", {"symbol": "PAGE", "limit": 2})).structured_content
        rest = (await client.call_tool("get_orders", {"symbol": "PAGE", "limit": 2, "skip": 2})).structured_content
    assert "skip=2" in first["more"] and "more" not in rest
    assert len({row["order_id"] for row in first["orders"] + rest["orders"]}) == 3


async def test_a_key_outlives_a_killed_gateway(gateway: Process) -> None:
    async with gateway.world() as actor:
        async with actor.answering(fill), gateway.client() as client:
            first = await trade(client, "survivor")
        gateway.end(kill=True)
        await asyncio.to_thread(gateway.start)
        async with actor.answering(silence), gateway.client() as client:
            again = await trade(client, "survivor")
            other = await client.call_tool("execute_trade", {"symbol": "MSFT", "side": "sell", "quantity": 1, "idempotency_key": "survivor",
                                                             "reason": "a test"}, raise_on_error=False)
    assert again["duplicate"] and {**again, "duplicate": False} == first
    assert said(other).startswith("KEY_REUSED: ") and "BUY 10 AAPL" in said(other) and "SELL 1 MSFT" in said(other)
    assert [request.idempotency_key for request in actor.requests] == ["survivor"]


async def test_a_key_older_than_the_tails_memory_is_found_in_the_read_models(gateway: Process, tmp_path: Path) -> None:
    async with gateway.world() as actor:
        async with actor.answering(deny), gateway.client() as client:
            first = await trade(client, "long-ago", symbol="OLD")
            await client.call_tool("get_orders", {})        # it is in the read models
        settings = Settings(home=tmp_path, database_url=gateway.database_url)       # type: ignore[arg-type]
        late = a_gateway(settings, actor.log, wall=lambda: datetime.now(UTC) + timedelta(days=8))
        following = asyncio.create_task(late.stories.follow())
        again = await late.trade("long-ago", symbol="OLD")
        other = await late.trade("long-ago", symbol="NEW")
        following.cancel()
    assert again["duplicate"] and [again[name] for name in ("order_id", "status", "failed_checks", "message")] == [
        first[name] for name in ("order_id", "status", "failed_checks", "message")]
    assert other["code"] == "KEY_REUSED" and len(actor.requests) == 1


@pytest.mark.parametrize(("header", "code"), [
    ({}, "NO_TOKEN"), ({"Authorization": "Bearer wrong"}, "WRONG_TOKEN"), ({"Authorization": "Basic eA=="}, "WRONG_TOKEN")])
async def test_without_the_token_nobody_comes_in_and_is_told_what_to_send(gateway: Process, header: dict[str, str], code: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.post(gateway.url, json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, headers=header)
    assert answer.status_code == 401 and answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["error_description"].startswith(f"{code}: ") and "token_file" in answer.text


@pytest.mark.parametrize(("header", "status"), [({"Host": "evil.example"}, 421), ({"Origin": "https://evil.example"}, 403)])
async def test_a_web_page_cannot_reach_the_gateway_through_the_browser(gateway: Process, header: dict[str, str], status: int) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.post(gateway.url, json={}, headers={"Authorization": f"Bearer {gateway.token}", **header})
    assert answer.status_code == status


def over_stdio(environment: dict[str, str], *lines: str) -> list[dict]:     # type: ignore[type-arg]
    """What `catalyst mcp` answers to these lines; nothing but JSON-RPC may be on its stdout."""
    done = subprocess.run([sys.executable, "-m", "gateway.cli", "mcp"], env=environment, input="\n".join(lines) + "\n", capture_output=True, text=True,
                          timeout=30, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_bridge_says_what_to_do_when_nothing_runs(gateway: Process, tmp_path: Path) -> None:
    listing = '{"jsonrpc":"2.0","id":7,"method":"tools/list"}'
    (never,) = over_stdio({**gateway.environment, "CATALYST_HOME": str(tmp_path)}, listing)
    (down,) = over_stdio({**gateway.environment, "CATALYST_GATEWAY_PORT": str(free_port())}, listing)
    assert never["id"] == down["id"] == 7
    assert "make up" in never["error"]["message"] and "Catalyst is not running: run `make up`" in down["error"]["message"]


def test_the_bridge_answers_only_what_is_owed_an_answer(gateway: Process) -> None:
    answers = over_stdio(gateway.environment, '{"jsonrpc":"2.0","method":"notifications/initialized"}', "not json", "[]", "",
                         '{"jsonrpc":"2.0","id":"a","method":"tools/list"}')
    assert sorted((answer["id"] or "", answer.get("error", {}).get("code", 0)) for answer in answers) == [("", -32700), ("", -32600), ("a", 0)]


def test_the_bridge_passes_a_wrong_token_on_in_words(gateway: Process, tmp_path: Path) -> None:
    wrong = tmp_path / "token"
    wrong.write_text("wrong\n")
    (answer,) = over_stdio({**gateway.environment, "CATALYST_TOKEN_FILE": str(wrong)}, '{"jsonrpc":"2.0","id":1,"method":"tools/list"}')
    assert answer["error"]["message"].startswith("WRONG_TOKEN: ")


async def test_without_the_log_reads_go_on_and_trading_says_why_not(gateway: Process, tmp_path: Path) -> None:
    dead = KafkaLog(f"127.0.0.1:{free_port()}")
    alone = a_gateway(Settings(home=tmp_path, database_url=gateway.database_url), dead)      # type: ignore[arg-type]
    refused = await alone.trade()
    positions = await alone.call("get_positions")
    status = await alone.call("get_system_status")
    await dead.stop()
    assert refused["code"] == "LOG_UNAVAILABLE" and "Nothing was sent" in refused["text"]
    assert not positions.is_error and "lag_events" not in positions.structured_content["freshness"]
    assert any("LOG_UNAVAILABLE" in problem for problem in status.structured_content["problems"])


def test_every_line_the_gateway_logs_is_one_json_object(gateway: Process) -> None:
    lines = [json.loads(line) for line in (gateway.home / "gateway.log").read_text().splitlines()]
    assert {line["service"] for line in lines if "service" in line} == {"gateway"}
    assert gateway.token not in (gateway.home / "gateway.log").read_text()
