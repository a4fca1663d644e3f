"""An exchange whose minutes happen when another one's do: a second account on the same market, whoever of the two starts late or dies in between.

Started by `server` with `--follow URL`, in place of the exchange's own pace. It never runs ahead, and leaves out no minute.
"""

from __future__ import annotations

import asyncio

import httpx

from .exchange import Exchange
from .feed import rfc3339

WAIT = 20           # s of one long poll
AT_ONCE = 50        # minutes that happen at a stroke while catching up; clients get their turn in between
RETRY = 0.2         # s between attempts while the leader is away


async def follow(exchange: Exchange, url: str) -> None:
    """Until cancelled, or until the feed has run through. The leader must have the same feed."""
    async with httpx.AsyncClient(base_url=url, timeout=WAIT + 10, trust_env=False) as leader:
        while not exchange.finished:
            after = exchange.state.minute
            asked = {"wait": str(WAIT), "limit": str(AT_ONCE), **({} if after is None else {"after": rfc3339(after)})}
            try:
                answer = await leader.get("/_sim/minutes", params=asked)
            except httpx.TransportError:
                await asyncio.sleep(RETRY)
                continue
            happened = answer.json()["minutes"] if answer.status_code == httpx.codes.OK else []
            if happened:
                exchange.advance(after, len(happened))
            else:
                await asyncio.sleep(RETRY)      # it is behind us, or closes
