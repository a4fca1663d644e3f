"""One trading minute, end to end: an MCP client asks, the log records, the exchange fills, PostgreSQL shows it, and everything is proven afterwards."""

import asyncio
import json
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport

from .system import System


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The stack as `make up` leaves it: the generated market at 60 times real time."""
    system = System(tmp_path_factory.mktemp("home"))
    said = system.run("up")
    assert "catalyst status" in said            # it says what to do next
    yield system
    system.destroy()


def test_status_says_what_runs_and_where(system: System):
    status = system.status()
    assert status["ready"] is True
    assert {"market", "trading", "projector", "gateway"} <= status["roles"].keys()
    assert all(role["state"] in ("ready", "done") for role in status["roles"].values())
    assert status["endpoints"].keys() == {"kafka", "postgres", "gateway", "exchange"}
    assert Path(status["token_file"]).stat().st_mode & 0o077 == 0


def test_a_second_up_finds_the_first(system: System):
    before = system.status()["roles"]["trading"]["pid"]
    assert "runs already" in system.run("up")
    assert system.status()["roles"]["trading"]["pid"] == before


async def test_a_trade_asked_through_mcp_is_filled_and_found_by_mcp_and_by_sql(system: System):
    (symbol,) = [row["symbol"] for row in await system.sql("SELECT symbol FROM v_securities_latest ORDER BY symbol LIMIT 1")]
    answer = await system.trade("e2e-1", symbol, 10)
    assert (answer["status"], answer["filled_quantity"]) == ("accepted", 10)
    again = await system.trade("e2e-1", symbol, 10)
    assert (again["duplicate"], again["order_id"]) == (True, answer["order_id"])
    async with system.client() as client:
        positions = (await client.call_tool("get_positions", {})).structured_content
        orders = (await client.call_tool("get_orders", {"symbol": symbol})).structured_content
    assert [(row["symbol"], row["quantity"]) for row in positions["positions"]] == [(symbol, 10)]
    assert [(row["order_id"], row["state"]) for row in orders["orders"] if row["part"] == "entry"] == [(answer["order_id"], "filled")]
    assert answer["protection"]["stop_price"] < answer["average_price"]
    (row,) = await system.sql("SELECT * FROM v_open_positions")
    assert (row["symbol"], row["quantity"]) == (symbol, Decimal(10))


async def test_an_order_risk_refuses_comes_back_with_every_figure(system: System):
    (symbol,) = [row["symbol"] for row in await system.sql("SELECT symbol FROM v_securities_latest ORDER BY symbol LIMIT 1")]
    answer = await system.trade("e2e-2", symbol, 1_000_000)
    assert answer["status"] == "denied"
    assert {"ORDER_VALUE", "POSITION_SHARE", "RISK_SHARE"} <= {check["code"] for check in answer["failed_checks"]}
    unknown = await system.trade("e2e-3", "NOPE", 1)
    assert "UNKNOWN_SYMBOL" in {check["code"] for check in unknown["failed_checks"]}


async def test_claude_desktops_road_over_stdio_works_too(system: System):
    transport = StdioTransport(sys.executable, ["-m", "gateway.cli", "mcp"], env={"CATALYST_HOME": str(system.home)})
    async with Client(transport) as client:
        assert {"get_system_status", "get_positions", "get_orders", "execute_trade", "emergency_stop"} <= {tool.name for tool in await client.list_tools()}


async def test_a_model_may_tighten_and_stop_everything_but_what_loosens_waits_for_a_person(system: System):
    async with system.client() as client:
        async def ask(tool: str, **arguments: Any) -> dict[str, Any]:
            return dict((await client.call_tool(tool, {**arguments, "reason": "a test"})).structured_content)

        tightened = await ask("change_risk_limits", changes={"max_positions": 4})
        loosened = await ask("change_risk_limits", changes={"daily_loss": 9000})
        stopped = await ask("emergency_stop")
        async with asyncio.timeout(30):
            while (await client.call_tool("get_positions", {})).structured_content["positions"]:    # noqa: ASYNC110 - MCP has no event for it
                await asyncio.sleep(0.1)
        risk = (await client.call_tool("get_risk_status", {})).structured_content
        lifted = await ask("control_trading", action="lift_halt")
        refused = await system.trade("e2e-4", "AAPL", 1)
    assert (tightened["status"], loosened["status"], stopped["status"], lifted["status"]) == (
        "done", "waiting_for_approval", "done", "waiting_for_approval")
    assert risk["parameters"]["max_positions"] == 4 and risk["parameters"]["daily_loss"] == 2000
    assert [row["approval_id"] for row in risk["approvals_waiting"]] == [loosened["approval_id"]]
    assert risk["emergency_stop"]["text"] == "a test"
    assert "ENTRIES_CLOSED" in {check["code"] for check in refused["failed_checks"]}
    await asyncio.to_thread(system.run, "approve", lifted["approval_id"], "--yes")
    async with asyncio.timeout(30):
        while not await system.sql("SELECT FROM v_accounts WHERE state = 'ready' AND emergency IS NULL"):     # noqa: ASYNC110 - Postgres has no event for it
            await asyncio.sleep(0.1)


def test_a_wrong_token_is_refused(system: System):
    answer = httpx.post(system.status()["endpoints"]["gateway"], headers={"Authorization": "Bearer wrong"}, json={})
    assert answer.status_code == 401


def test_rebuilt_read_models_are_equal_and_every_decision_replays(system: System):
    system.run("rebuild")
    verdict = json.loads(system.run("verify", "--json"))
    assert verdict["equal"] is True
    assert all(table["live"] == table["rebuilt"] for table in verdict["tables"].values())
    findings = json.loads(system.run("audit", "replay", "--json"))
    assert (findings["equal"], findings["differences"]) == (True, [])
    assert findings["decisions"] >= 5


def test_what_is_down_stays_written_and_goes_on(system: System):
    system.run("down")
    system.run("status", expect=3)
    system.run("up")
    verdict = json.loads(system.run("verify", "--json"))
    assert verdict["tables"]["fills"]["rows"] >= 1      # the protective stop may have been hit since
