"""What the gateway refuses or cannot do, as a table: code, what the caller should do, and whether the same call may be sent again as it is.

The text of every error is `CODE: what was wrong. What to do.`; the same parts stand in the structured body. No text here ever advises a new
idempotency key for a request that may still be on its way.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastmcp.exceptions import ToolError


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of refusal. `retryable`: the very same call may succeed later; `way_out` is told to the caller, after what was wrong."""

    name: str       # stable for ever: people and programs search for it
    retryable: bool
    way_out: str


CODES: Mapping[str, Code] = {code.name: code for code in (
    Code("BAD_ARGUMENT", False, "Nothing was done. Correct the arguments and call again."),
    Code("UNKNOWN_TOOL", False, "Nothing was done. List the tools and call one of them."),
    Code("UNKNOWN_ACCOUNT", False, "Nothing was done. Name one of these, or leave account out."),
    Code("KEY_REUSED", False, "Nothing was done for this call. Use a new idempotency_key for a new trade; repeat the original arguments to see its outcome."),
    Code("COMMAND_REJECTED", False, "Nothing was sent to the broker. Correct the request and use a new idempotency_key."),
    Code("LOG_UNAVAILABLE", True, "Nothing was sent. See `catalyst status`; when the log is back, call again with the same idempotency_key."),
    Code("LOG_BROKEN", False, "Nothing was sent. A person has to look at the log before anybody trades: see `catalyst status`."),
    Code("LOG_REFUSED", False, "Nothing was sent. See `catalyst topics check`."),
    Code("STOP_NOT_SENT", True, "NOTHING WAS STOPPED. Call again at once; if it fails again, a person runs `catalyst panic` on the host: it needs only the "
         "broker, neither the log nor the database."),
    Code("NO_MARKET_TIME", True, "Nothing was sent. The simulated market has not finished its first minute; call again with the same idempotency_key."),
    Code("READS_UNAVAILABLE", True, "See `catalyst status`. execute_trade does not need the read models and still works."),
    Code("INTERNAL", False, "The gateway's log has the details. If this was execute_trade, the request may have been sent: call it again with the SAME "
         "idempotency_key, which never trades twice, or look at get_orders."),
)}


class Refusal(ToolError):
    """A call that cannot be served, in the words its caller gets. Raises KeyError for a code that is not in the table."""

    def __init__(self, code: str, what: str, *, command_id: UUID | None = None) -> None:
        self.code = CODES[code]
        self.what = what if what.endswith((".", "!", "?")) else f"{what}."
        self.command_id = command_id
        super().__init__(f"{code}: {self.what} {self.code.way_out}", log_level=logging.INFO)

    def body(self) -> dict[str, Any]:
        """The structured form of the same error."""
        body: dict[str, Any] = {"code": self.code.name, "message": self.what, "next": self.code.way_out, "retryable": self.code.retryable}
        return body if self.command_id is None else {**body, "command_id": str(self.command_id)}
