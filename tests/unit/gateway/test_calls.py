"""What a model sees of the tools before and beside their answers: a short list, and errors it can act on."""

import json
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client

import gateway
from gateway.refusals import CODES, Refusal
from tests.unit.gateway.conftest import Gateway, text

TOOLS = ["get_system_status", "get_positions", "get_orders", "get_risk_status", "get_trading_cycle", "get_signals", "get_candidates", "get_news",
         "execute_trade", "cancel_order", "move_stop", "control_trading", "emergency_stop", "change_risk_limits"]
GOOD = {"symbol": "AAPL", "side": "buy", "quantity": 1, "idempotency_key": "k", "reason": "a test"}


async def test_the_tool_list_costs_less_than_6000_tokens(gateway: Gateway) -> None:
    async with Client(gateway.server) as client:
        tools = await client.list_tools()
        size = sum(len(tool.model_dump_json(by_alias=True, exclude_none=True)) for tool in tools)
    assert size / 4 < 6000, f"{size / 4:.0f} tokens"


async def test_every_tool_says_what_it_does_to_the_world_and_every_argument_what_it_means(gateway: Gateway) -> None:
    async with Client(gateway.server) as client:
        tools = {tool.name: tool for tool in await client.list_tools()}
    assert list(tools) == TOOLS
    for tool in tools.values():
        assert tool.title and tool.description and tool.annotations and tool.output_schema and tool.output_schema["type"] == "object"
        assert tool.annotations.read_only_hint is tool.name.startswith("get_")
        assert all(_describes(schema) for schema in tool.input_schema["properties"].values()), tool.name
    trade = tools["execute_trade"]
    assert trade.annotations and trade.annotations.destructive_hint and trade.annotations.idempotent_hint
    assert set(trade.input_schema["required"]) == {"symbol", "side", "quantity", "idempotency_key", "reason"}
    assert list(trade.input_schema["properties"])[-1] == "reason"       # long free text last: what follows it has been seen dropped


def test_the_gateway_has_no_way_to_approve() -> None:
    """What loosens waits for a person on the host; a model that could approve would make the wait worthless."""
    rooms = Path(gateway.__file__).parent
    assert not [path.name for path in rooms.glob("*.py") if "ApprovalGiven" in path.read_text() or "approval.given" in path.read_text()]
    assert not [name for name in TOOLS if "approve" in name]


def _describes(schema: dict[str, Any]) -> bool:
    return "description" in schema or any("description" in member for member in schema.get("anyOf", ()))


@pytest.mark.parametrize(("change", "complaint"), [
    ({"quantity": 0}, "quantity: should be greater than 0 (got 0)"),
    ({"quantity": "ten"}, "quantity: should be a number in plain digits, as in 10 or 98.50 (got 'ten')"),
    ({"quantity": "٣"}, "quantity: should be a number in plain digits, as in 10 or 98.50 (got '٣')"),
    ({"quantity": "1_000"}, "quantity: should be a number in plain digits, as in 10 or 98.50 (got '1_000')"),
    ({"stop_price": "9८"}, "stop_price: should be a number in plain digits, as in 10 or 98.50 (got '9८')"),
    ({"quantity": float("nan")}, "quantity: should be a finite number; NaN, infinity and null are none."),
    ({"quantity": float("inf")}, "quantity: should be a finite number; NaN, infinity and null are none."),
    ({"limit_price": "NaN"}, "limit_price: should be a finite number; NaN, infinity and null are none."),
    ({"side": "sell", "stop_price": 90}, "stop_price: stop and target belong to purchases, a sale has none. To protect what is held"),
    ({"side": "sell", "stop_price": 90, "target_price": 99}, "use move_stop; to sell it at a price, sell with limit_price."),
    ({"quantity": 5_000_000}, "quantity: should be less than or equal to 1000000 (got 5000000)"),
    ({"side": "hold"}, "side: should be 'buy' or 'sell' (got 'hold')"),
    ({"symbol": "AAPL; DROP"}, "symbol: a ticker is letters, digits and dots, as in AAPL or BRK.B (got 'AAPL; DROP')"),
    ({"wait_s": 31}, "wait_s: should be less than or equal to 30 (got 31)"),
    ({"idempotency_key": ""}, "idempotency_key: String should have at least 1 character (got '')"),
    ({"leverage": 4}, "leverage is not an argument of this tool"),
    ({"reason": None, "side": None}, "side: should be 'buy' or 'sell' (got None)"),
])
async def test_bad_arguments_are_named_without_noise(gateway: Gateway, change: dict[str, Any], complaint: str) -> None:
    result = await gateway.call("execute_trade", **{**GOOD, **change})
    assert result.is_error and result.structured_content and result.structured_content["code"] == "BAD_ARGUMENT"
    said = text(result)
    assert said.startswith("BAD_ARGUMENT: ") and complaint in said and said.endswith("Nothing was done. Correct the arguments and call again.")
    assert not any(noise in said for noise in ("pydantic", "https://", "validation error", "call["))


async def test_what_is_missing_is_said_all_at_once(gateway: Gateway) -> None:
    said = text(await gateway.call("execute_trade", symbol="AAPL"))
    assert all(f"{name} is missing." in said for name in ("side", "quantity", "idempotency_key", "reason"))


async def test_an_unknown_tool_is_answered_with_those_there_are(gateway: Gateway) -> None:
    said = text(await gateway.call("close_everything"))
    assert said.startswith("UNKNOWN_TOOL: ") and "execute_trade" in said


@pytest.mark.parametrize("failure", [TimeoutError("read timed out"), ValueError("secret detail"), KeyError("x")])
async def test_a_failure_inside_never_becomes_please_retry(gateway: Gateway, monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    async def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr(gateway.reads, "positions", fail)
    said = text(await gateway.call("get_positions"))
    assert said.startswith("INTERNAL: ") and "SAME idempotency_key" in said
    assert "please retry" not in said and "secret" not in said


async def test_reads_without_a_database_say_so_and_what_still_works(gateway: Gateway) -> None:
    for tool in ("get_positions", "get_orders"):
        result = await gateway.call(tool)
        assert result.is_error and text(result).startswith("READS_UNAVAILABLE: Postgres cannot be reached") and "execute_trade" in text(result)


async def test_the_status_is_answered_when_nothing_else_works(gateway: Gateway) -> None:
    gateway.log.away = True
    result = await gateway.call("get_system_status")
    assert not result.is_error and result.structured_content and "mode" not in result.structured_content
    problems = " ".join(result.structured_content["problems"])
    assert "LOG_UNAVAILABLE" in problems and "READS_UNAVAILABLE" in problems


async def test_both_channels_say_the_same_without_nulls(gateway: Gateway) -> None:
    result = await gateway.call("get_system_status")
    assert json.loads(text(result)) == result.structured_content and "null" not in text(result)


@pytest.mark.parametrize("code", CODES)
def test_every_refusal_says_what_was_wrong_and_what_to_do(code: str) -> None:
    refusal = Refusal(code, "it was like this")
    assert str(refusal) == f"{code}: it was like this. {CODES[code].way_out}"
    assert CODES[code].way_out.endswith(".") and "new key" not in CODES[code].way_out.lower()


def test_no_text_of_the_gateway_advises_to_retry_blindly() -> None:
    source = "".join(path.read_text() for path in Path(gateway.__file__).parent.glob("*.py") if path.name != "calls.py")
    assert "please retry" not in source.lower()
