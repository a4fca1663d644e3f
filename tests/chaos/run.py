"""One run: an account of its own, its trading role as a process, and a short scene from entry to flat. Faults strike in between; see cards.py.

Every step waits for the log to say that all is through with what was begun, so that a run is as fast as its parts and never sleeps.
"""

import asyncio
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from deploy.embedded.lockstep import Progress
from schemas import codec
from schemas.commands import EmergencyStopRequested, StopMoveRequested, TradeRequested
from schemas.envelope import Event
from schemas.topics import BROKER, CLOCK, COMMANDS, TRADING
from streams.log import Appended, LogUnavailable, Message, TopicPartition
from tests.chaos.proxy import Trap, Way
from tests.chaos.stage import PATIENCE, Stage

OVER = ("filled", "canceled", "expired", "rejected", "replaced")
ENDINGS = ("target", "stop", "exit", "emergency")
SYMBOL = {"target": "RISE", "stop": "FALL", "exit": "CALM", "emergency": "CALM", "close": "CALM"}


class Run:
    """One account on the stage. `at` is the slot's minute that has happened last."""

    def __init__(self, stage: Stage, account: str, chance: random.Random, ending: str = "") -> None:
        self.stage, self.account, self.chance = stage, account, chance
        self.ending = ending or chance.choice(ENDINGS)
        self.symbol = SYMBOL[self.ending]
        self.quantity = chance.randint(2, 40)
        self.beside = chance.random() < 0.5 and self.symbol != "CALM"      # a second position, so that one run has two stories
        self.enters, self.at = chance.randint(1, 3), 0
        self.progress = Progress()
        self.events: list[Event] = []           # of the account, as they came
        self.faults = 0
        self.asked: list[TradeRequested] = []
        self.naked: list[str] = []
        self.began = ""                         # market time, as the broker writes it
        self._moved = asyncio.Event()
        self._tailing: asyncio.Task[None] | None = None
        self._known_update: str | None = None

    def __str__(self) -> str:
        beside = " beside another" if self.beside else ""
        return f"{self.account}: {self.quantity} {self.symbol}{beside} entered at minute {self.enters}, ends by {self.ending}"

    # -- the scene -----------------------------------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """The account has its money and its role, and the market moves."""
        await self.stage.take_slot(last_of_day=self.ending == "close")
        await self.stage.ask("POST", "/_sim/reset", {})
        await self.stage.advance()
        self.at += 1
        clock = await self.stage.ask("GET", "/_sim/clock")
        self._known_update, self.began = clock["last_update_at"], clock["minute"]
        self._tailing = asyncio.create_task(self._tail())
        self.up()
        while self.at < self.enters:
            await self.minute()

    async def enter(self) -> None:
        if self.beside:
            await self.trade("buy", "CALM", 3)
        await self.trade("buy", self.symbol, self.quantity)
        await self.settle()
        await self.minute()

    async def hold(self) -> None:
        while self.at < 5:
            await self.minute()

    async def move_stop(self) -> None:
        await self.say(StopMoveRequested.new(**self._about, symbol=self.symbol, stop_price=Decimal("98.9"), idempotency_key=f"{self.account}-move"))
        await self.settle()

    async def lose_legs(self) -> None:
        """Somebody cancels the position's stop in the broker's own application."""
        for order in await self.open_orders():
            if order["symbol"] == self.symbol and order["type"] == "stop":
                await self.stage.ask("DELETE", f"/v2/orders/{order['id']}")
        await self.settle()

    async def leave(self) -> None:
        """The position ends as its scene wants."""
        match self.ending:
            case "exit":
                await self.trade("sell", self.symbol, self.quantity)
            case "emergency":
                await self.say(EmergencyStopRequested.new(**self._about, idempotency_key=f"{self.account}-stop"))
        await self.settle()
        while self.at < 8:
            await self.minute()

    async def close(self) -> None:
        """Flat, whatever still stands; or the end of the day for who waits for it."""
        if self.ending == "close":
            while self.at < 40:
                await self.minute()
            await self.until("account.sealed")
        for symbol, quantity in (await self.positions()).items():
            await self.trade("sell", symbol, int(quantity))
            await self.settle()
        await self.settle()

    async def end(self) -> None:
        if self._tailing is not None:
            self._tailing.cancel()
            await asyncio.gather(self._tailing, return_exceptions=True)
        for name in ("trading", "twin", "gateway"):
            await self.stage.kill(name)

    # -- hands ---------------------------------------------------------------------------------------------------------------------------------------

    def up(self, name: str = "trading") -> None:
        self.stage.up(name, "trading" if name == "twin" else "", CATALYST_ACCOUNT=self.account)

    def arm(self, proxy: str, way: Way, *says: bytes, skip: int = 0) -> Trap:
        return self.stage.proxies[proxy].arm(way, *says, skip=skip)

    async def minute(self) -> None:
        """The market's next minute, settled; then nobody may hold shares without a stop."""
        await self.stage.advance()
        self.at += 1
        await self.settle()

    async def trade(self, side: str, symbol: str, quantity: int, key: str = "", **more: Any) -> TradeRequested:
        now = self._now
        prices = {"stop_price": "98.5", "target_price": "101.5"} if side == "buy" else {}
        wish = TradeRequested.new(**{**self._about, "symbol": symbol, "side": side, "quantity": quantity, **prices, **more},
                                  idempotency_key=key or f"{self.account}-{len(self.asked)}", expires=now + timedelta(seconds=60))
        self.asked.append(wish)
        await self.say(wish)
        return wish

    async def say(self, command: Event) -> None:
        """On the log for sure: the same command again until it is."""
        message = Message(self.account, codec.encode(command))
        async with asyncio.timeout(PATIENCE):
            while not isinstance(await self.stage.log.append(COMMANDS.name, [message]), Appended):      # noqa: ASYNC110 - who is away sends no event
                await asyncio.sleep(0.1)
            await self._until(lambda: "" if command.id in self.progress.commands else "our own command is not read back")

    @property
    def _now(self) -> datetime:
        assert self.stage.minute is not None
        return self.stage.minute

    @property
    def _about(self) -> dict[str, Any]:
        return {"source": "/chaos", "subject": self.account, "time": self._now, "actor": "chaos", "reason": "a run"}

    # -- eyes ----------------------------------------------------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Everybody is through with all that was begun; whatever is held has its stop."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._settle()
        except TimeoutError:
            what = self._missing(await self._newest_update())
            raise AssertionError(f"does not come to rest: {what}; the last: {[event.type for event in self.events[-12:]]}") from None
        self.naked += await self.uncovered()

    async def _settle(self) -> None:
        update: str | None = None

        def missing() -> str:
            return self._missing(update)

        await self._until(missing)
        while (newest := await self._newest_update()) != update or missing():
            update = newest
            await self._until(missing)

    async def _newest_update(self) -> str | None:
        newest: str | None = (await self.stage.ask("GET", "/_sim/clock"))["last_update_at"]
        return None if newest == self._known_update else newest

    def _missing(self, update: str | None) -> str:
        return self.progress.missing(self._now) or self.progress.missing_update(datetime.fromisoformat(update) if update else None)

    async def until(self, kind: str, count: int = 1) -> None:
        """So many events of the kind are on the account's story."""
        await asyncio.wait_for(self._until(lambda: "" if sum(event.type.startswith(kind) for event in self.events) >= count else kind), PATIENCE)

    async def _until(self, missing: Callable[[], str]) -> None:
        while missing():
            self._moved.clear()
            await self._moved.wait()

    async def _tail(self) -> None:
        while True:
            try:
                places = [TopicPartition(topic, self.stage.log.partition_of(topic, key))
                          for topic, key in ((CLOCK.name, "iex"), (COMMANDS.name, self.account), (BROKER.name, self.account), (TRADING.name, self.account))]
                self.progress, self.events = Progress(), []
                async for batch in self.stage.log.read(dict.fromkeys(places, 0)):
                    for record in batch:
                        if record.key in ("iex", self.account):
                            event = codec.decode(record.value)
                            self.progress.see(record.topic, record.partition, record.offset, record.timestamp, event)
                            if record.topic == TRADING.name:
                                self.events.append(event)
                    self._moved.set()
            except LogUnavailable:
                await asyncio.sleep(0.2)

    # the broker, asked directly

    async def orders(self) -> list[dict[str, Any]]:
        """All that the broker took in this run, legs among them."""
        found: list[dict[str, Any]] = []
        for row in await self.stage.ask("GET", f"/v2/orders?status=all&nested=true&limit=500&direction=desc&after={self.began}"):
            found += [row, *(row.get("legs") or ())]
        return found

    async def open_orders(self) -> list[dict[str, Any]]:
        return [row for row in await self.orders() if row["status"] not in OVER]

    async def fills(self) -> list[dict[str, Any]]:
        """The account's activities of this run, newest first."""
        own = {row["id"] for row in await self.orders()}
        return [row for row in await self.stage.ask("GET", "/v2/account/activities/FILL?direction=desc&page_size=100") if row["order_id"] in own]

    async def positions(self) -> dict[str, Decimal]:
        return {row["symbol"]: Decimal(row["qty"]) for row in await self.stage.ask("GET", "/v2/positions")}

    async def uncovered(self) -> list[str]:
        """Shares that neither a stop nor an exit takes care of, in words."""
        held, rows = await self.positions(), await self.open_orders()
        found = []
        for symbol, quantity in held.items():
            covered = sum((Decimal(row["qty"]) - Decimal(row["filled_qty"]) for row in rows
                           if row["symbol"] == symbol and row["side"] == "sell" and (row["type"] in ("stop", "stop_limit", "market"))), Decimal(0))
            if covered < quantity:
                found.append(f"minute {self.at}: {quantity} {symbol} held, {covered} with a stop")
        return found

