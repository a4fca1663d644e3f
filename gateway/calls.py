"""The shell around every tool call: one log line, its metrics, and errors in words that help. No exception of ours or the framework's passes as it is.

The framework would hand raw pydantic texts to the model, and turn any timeout into "please retry", which is fatal advice for an order.
"""

import time
from collections.abc import Iterable, Mapping
from typing import Any

import structlog
from fastmcp.exceptions import NotFoundError, ToolError, ValidationError
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import ToolResult
from mcp_types import CallToolRequestParams
from pydantic import ValidationError as PydanticError

from gateway.refusals import Refusal
from gateway.untrusted import clean
from streams.role import DURATION, ERRORS

ROLE = "gateway"


class Calls(Middleware):
    """Times, logs and counts tool calls, and rewrites what goes wrong."""

    def __init__(self, log: structlog.stdlib.BoundLogger) -> None:
        self._log = log

    async def on_call_tool(self, context: MiddlewareContext[CallToolRequestParams], call_next: CallNext[CallToolRequestParams, ToolResult]) -> ToolResult:
        began = time.perf_counter()
        tool = context.message.name
        try:
            result = await call_next(context)
            told = result.structured_content or {}
            self._log.info("call", tool=tool, outcome=told.get("status", "ok"), correlation_id=told.get("command_id"), seconds=_since(began),
                           **_caller(context))
        except Exception as error:      # noqa: BLE001  whatever it is, it is logged and answered in our words
            refusal = await self._refusal(error, context)
            ERRORS.labels(ROLE, refusal.code.name, "refuse").inc()
            self._log.warning("refused", tool=tool, code=refusal.code.name, what=refusal.what, correlation_id=str(refusal.command_id or "") or None,
                              seconds=_since(began), **_caller(context))
            result = ToolResult(content=str(refusal), structured_content=refusal.body(), is_error=True)
        finally:
            DURATION.labels(ROLE, tool if tool.isidentifier() and len(tool) < 64 else "unknown").observe(time.perf_counter() - began)
        return result

    async def _refusal(self, error: Exception, context: MiddlewareContext[CallToolRequestParams]) -> Refusal:
        match error:
            case Refusal():
                return error
            case ValidationError() if isinstance(error.__cause__, PydanticError):
                return Refusal("BAD_ARGUMENT", " ".join(f"{text}." for text in complaints(error.__cause__.errors(include_url=False))))
            case NotFoundError():
                known = await context.fastmcp_context.fastmcp.list_tools() if context.fastmcp_context else ()
                return Refusal("UNKNOWN_TOOL", f"{clean(context.message.name, 64)!r} is not a tool; there are: {', '.join(tool.name for tool in known)}")
            case _:
                cause = error.__cause__ if isinstance(error, ToolError) and error.__cause__ else error
                self._log.error("call failed", tool=context.message.name, error_type=type(cause).__name__, exc_info=cause)
                return Refusal("INTERNAL", f"the gateway failed on this call ({type(cause).__name__})")


# What a value of a form that is not taken should look like, by argument: patterns and parsers speak to programmers.
FORMS: Mapping[str, str] = {
    "symbol": "a ticker is letters, digits and dots, as in AAPL or BRK.B",
    "order_id": "an order's id is a UUID as get_orders tells it",
    "idempotency_key": "a key is printable characters without spaces, as in aapl-open-20190211-1",
}
NO_NUMBER = "no_number"     # the problem of a value that cannot be shown: clients send NaN as null
FORMED = ("string_pattern_mismatch", "uuid_parsing", "uuid_type")


def complaints(problems: Iterable[Any]) -> list[str]:
    """pydantic's problems as sentences without its noise: which argument, what is wrong with it, what was given."""
    told: dict[str, None] = {}          # a union reports one problem per member; the first one speaks for the argument
    seen: set[str] = set()
    for problem in problems:
        name = str(problem["loc"][0]) if problem["loc"] else "the arguments"
        if name in seen:
            continue
        seen.add(name)
        match problem["type"]:
            case "missing" | "missing_argument" | "missing_keyword_only_argument":
                told[f"{name} is missing"] = None
            case "unexpected_keyword_argument" | "extra_forbidden":
                told[f"{clean(name, 64)} is not an argument of this tool"] = None
            case kind if kind == NO_NUMBER:
                told[f"{name}: {problem['msg']}"] = None
            case kind if kind in FORMED and name in FORMS:
                told[f"{name}: {FORMS[name]} (got {clean(repr(problem.get('input')), 80)})"] = None
            case _:
                said = str(problem["msg"]).removeprefix("Value error, ").removeprefix("Input ")
                told[f"{name}: {said} (got {clean(repr(problem.get('input')), 80)})"] = None
    return list(told)


def _caller(context: MiddlewareContext[CallToolRequestParams]) -> dict[str, str]:
    """Which protocol and, where it says, which client: what to look at first when a client behaves oddly."""
    request = context.fastmcp_context.request_context if context.fastmcp_context else None
    return {"protocol": str(request.protocol_version)} if request else {}


def _since(began: float) -> float:
    return round(time.perf_counter() - began, 4)
