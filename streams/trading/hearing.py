"""What the broker has said and nobody has written down yet: what was asked for goes to catalyst.broker first, then the frames that came meanwhile.

Live nothing waits. In lockstep the order is one that two runs share: requests that change something go out one by one, each answer waits for the trade
updates that came of it, and nothing is written while a change is under way.
"""

import asyncio
import json
from datetime import datetime

from streams.trading.mail import Frame, Said, Settled

LOST = 2.0          # seconds that an answer waits for a trade update; a frame that was lost is found in the broker's lists


class Hearing:
    """Filled by the adapter and by effects, emptied by the one who writes."""

    def __init__(self, lockstep: bool) -> None:
        self.lockstep = lockstep
        self.changing = 0                               # requests that change something and have no answer yet; counted from the moment they are decided
        self.unwritten = 0                              # what waits here, or is being written
        self._waiting: list[Said | Frame | Settled] = []
        self._come = asyncio.Event()
        self._told: datetime | None = None              # how new the newest trade update is; followed in lockstep alone
        self._newer = asyncio.Event()

    def hear(self, item: Said | Frame | Settled) -> None:
        self.unwritten += 1
        self._waiting.append(item)
        self._come.set()
        if self.lockstep and isinstance(item, Frame) and (at := _updated(item.body)):
            self._told = max(at, self._told or at)
            self._newer.set()

    async def until(self, told: datetime | None) -> None:
        """Return when the trade updates up to this moment have come, or seem to be lost. Live nobody waits for them."""
        if not self.lockstep or told is None:
            return
        try:
            async with asyncio.timeout(LOST):
                while self._told is None or self._told < told:
                    self._newer.clear()
                    await self._newer.wait()
        except TimeoutError:
            self._told = told           # whoever asks for the same moment need not wait for it again

    async def ripe(self) -> list[Said | Frame | Settled]:
        """The next to write, and all that may be written with it."""
        while not self._waiting or (self.lockstep and self.changing):
            self._come.clear()
            await self._come.wait()
        taken, self._waiting = self._waiting, []
        return sorted(taken, key=lambda item: isinstance(item, Frame))


def _updated(body: str) -> datetime | None:
    """When the order last changed that a frame is about."""
    try:
        return datetime.fromisoformat(json.loads(body)["data"]["order"]["updated_at"])
    except (ValueError, KeyError, TypeError):
        return None                     # a heartbeat, or words nobody knows
