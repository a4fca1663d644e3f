"""Waiting for something to happen, for a while: the long polls of the control plane hang on it."""

from __future__ import annotations

import asyncio
import contextlib


class Bell:
    """Whoever waits is woken by the next ring; who comes later waits for the one after. To be used on one event loop."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def ring(self) -> None:
        rung, self._next = self._next, asyncio.Event()
        rung.set()

    async def wait(self, seconds: float) -> None:
        """Return at the next ring, or when the real seconds are over."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._next.wait(), seconds)
