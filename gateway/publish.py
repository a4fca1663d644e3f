"""Puts one command on the log, once: an unconfirmed append is repeated with the very same event, and what nobody confirmed is called unknown.

Called by desk.py and asking.py. All that the gateway writes goes through here, and it is commands only.
"""

import asyncio

from gateway.refusals import Refusal
from schemas import codec
from schemas.envelope import Event
from schemas.topics import COMMANDS
from streams.log import Appended, EventLog, Message, Refused, Unknown
from streams.role import EVENTS_OUT

APPEND_S = 5.0      # to get an append confirmed, over all attempts
ATTEMPT_S = 1.5


class Publisher:
    """Writes to catalyst.commands."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._publishing: set[asyncio.Task[tuple[int, int] | None]] = set()

    async def publish(self, command: Event) -> tuple[int, int] | None:
        """Where the command stands on the log; None when nobody confirmed it. A caller who hangs up does not stop it half-way. Raises Refusal."""
        task = asyncio.create_task(self._append(command))
        self._publishing.add(task)
        task.add_done_callback(self._publishing.discard)
        return await asyncio.shield(task)

    async def _append(self, command: Event) -> tuple[int, int] | None:
        message = Message(command.subject, codec.encode(command), codec.headers(command))
        loop = asyncio.get_running_loop()
        deadline = loop.time() + APPEND_S
        while (left := deadline - loop.time()) > 0:
            match await self._log.append(COMMANDS.name, [message], deadline=min(ATTEMPT_S, left)):
                case Appended(partition, first, _):
                    EVENTS_OUT.labels("gateway", COMMANDS.name, command.type).inc()
                    return partition, first
                case Refused(cause):
                    raise Refusal("LOG_REFUSED", f"the log does not take the request: {cause}", command_id=command.id)
                case Unknown():
                    await asyncio.sleep(0.1)        # the very same event again: readers take an id once
        return None
