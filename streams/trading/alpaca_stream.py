"""The trade stream over alpaca-py's, saying when it listens and when it is lost: the client has no hook for either, and nothing is replayed to it.

The handler only enqueues, so it cannot fail; frames stay raw, so that a word nobody knows loses none. Its private touch points (`_start_ws`, `_consume`,
`_dispatch`, `_run_forever`, `_running`) are held by the contract tests.
"""

import json
from collections.abc import Callable
from typing import Any

from alpaca.trading.stream import TradingStream

from schemas.settings import Settings
from streams.trading.alpaca_client import keys

LONGEST_BACKOFF = 5.0           # seconds; the default of 30 leaves fills unseen for too long
# Seconds; by default a dead line is noticed after three minutes, and a flooded one takes forty seconds to close.
SOCKET = {"ping_interval": 5, "ping_timeout": 10, "close_timeout": 0.2, "max_queue": 1024}
TRADES = "trade_updates"


class Frames(TradingStream):
    """One connection that is renewed for ever."""

    def __init__(self, settings: Settings, heard: Callable[[str], None], connected: Callable[[], None], lost: Callable[[str], None]) -> None:
        super().__init__(*keys(settings), raw_data=True, url_override=settings.stream_url, websocket_params=dict(SOCKET))
        self._reconnect_max_backoff = LONGEST_BACKOFF
        self._connected, self._lost = connected, lost

        async def keep(frame: Any) -> None:
            heard(json.dumps(frame, separators=(",", ":")))

        self.subscribe_trade_updates(keep)

    async def run(self) -> None:        # type: ignore[override]    # its own would take a second event loop
        """Until cancelled."""
        try:
            await self._run_forever()       # type: ignore[no-untyped-call]
        finally:
            await self.close()

    async def _start_ws(self) -> None:
        try:
            await super()._start_ws()       # type: ignore[no-untyped-call]
        except Exception as error:          # told, and the client backs off
            self._lost("trade stream: the broker refuses the key" if str(error) == "failed to authenticate" else
                       f"trade stream cannot be opened: {type(error).__name__}")
            raise

    async def _consume(self) -> None:
        """Without the client's `wait_for`, which in Python 3.11 may swallow the cancellation that ends us."""
        while True:
            message = json.loads(await self._ws.recv())     # type: ignore[attr-defined]
            self._data_received = True
            await self._dispatch(message)

    async def _dispatch(self, msg: Any) -> None:
        """Connected is who listens: what happens before the broker says so would be lost, and would not be looked for."""
        if not isinstance(msg, dict):
            return
        if msg.get("stream") == "listening" and TRADES in ((msg.get("data") or {}).get("streams") or ()):
            self._connected()
        await super()._dispatch(msg)

    async def close(self) -> None:
        if self._running:
            self._lost("trade stream disconnected")
        await super().close()
