"""One trading role, several accounts: what happens to one stays with it, and what is simulated reaches the simulated account once and the broker never."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from schemas import codec
from schemas.commands import ModeChangeRequested
from schemas.cycle import IntentSimulated, SimulationOffered
from schemas.topics import COMMANDS, TRADING
from schemas.trading import FillRecorded
from streams.log import Appended, Message, TopicPartition

from .conftest import OPEN, Stack


class Two(Stack):
    """Two paper exchanges on the same bars, always at the same minute: an account on each."""

    second = ""

    async def start(self) -> None:
        await super().start()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "deploy.exchange", "--port", "0", "--journal", str(self.tmp / "exchange-2"), "--bars", str(self.tmp / "bars"),
            "--mode", "lockstep", stdout=asyncio.subprocess.PIPE)
        self.processes.append(process)
        assert process.stdout
        self.second = (await asyncio.wait_for(process.stdout.readline(), 20)).decode().split()[-1]

    async def advance(self) -> None:
        async with httpx.AsyncClient() as client:
            body = {"after": self.minute.isoformat().replace("+00:00", "Z") if self.minute else None}
            (await client.post(f"{self.second}/_sim/advance", json=body)).raise_for_status()
        await super().advance()

    async def mode(self, mode: str, key: str) -> None:
        wish = ModeChangeRequested.new(source="/test", subject="paper", time=self.minute or OPEN, mode=mode, idempotency_key=key, actor="test", reason="a test")
        await self.put(COMMANDS.name, Message("paper", codec.encode(wish)))

    async def sent_to(self, url: str) -> list[str]:
        """Symbols of the orders that were sent there, without the broker's own legs."""
        async with httpx.AsyncClient() as client:
            orders = (await client.get(f"{url}/v2/orders?status=all&limit=500")).raise_for_status().json()
        return [order["symbol"] for order in orders if order["client_order_id"].startswith("cat-")]

    async def requests_for(self, account: str) -> list[str]:
        """Ids of what stands on the commands topic for an account, each as often as it does."""
        where = TopicPartition(COMMANDS.name, self.log.partition_of(COMMANDS.name, account))
        end = (await self.log.ends([COMMANDS.name]))[where]
        return [str(codec.decode(record.value).id) async for batch in self.log.read({where: 0}, until={where: end}) for record in batch
                if record.key == account]

    async def commands_take(self, yes: bool) -> None:
        """Let the commands topic take records, or none that is longer than ten bytes: then the broker refuses every append, and keeps nothing of it."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka)
        await admin.start()
        try:
            topic = ConfigResource(ConfigResourceType.TOPIC, f"{self.namespace}.{COMMANDS.name}" if self.namespace else COMMANDS.name,
                                   configs={"max.message.bytes": "1048588" if yes else "10"})
            await admin.alter_configs([topic])
        finally:
            await admin.close()
        while isinstance(await self.log.append(COMMANDS.name, [Message("nobody", b"{}")], deadline=1.0), Appended) is not yes:
            pass                    # the broker is told of it a moment later


@pytest.fixture
async def two(tmp_path: Path, kafka_bootstrap: str, namespace: str, database_url: str) -> AsyncIterator[Two]:
    two = Two(tmp_path, kafka_bootstrap, namespace, database_url)
    await two.start()
    yield two
    await two.stop()


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


async def test_an_account_with_a_broken_story_halts_by_itself_and_the_other_trades_on(two: Two):
    (two.tmp / "home" / "config").mkdir(parents=True)
    (two.tmp / "home" / "config" / "accounts.toml").write_text(f'[paper]\n\n[other]\nbroker_url = "{two.second}"\n')
    await two.put(TRADING.name, Message("other", b'{"type":"order.approved.v9"}'))
    port = free_port()
    await two.role(CATALYST_HEALTH_PORT=port)
    await two.advance()
    await two.until("account.ready")
    await two.ask("k1")
    await two.until("fill.recorded")
    health = {"state": ""}
    async with httpx.AsyncClient() as client, asyncio.timeout(60):
        while health["state"] != "halted":              # its own start may take a moment longer
            health = (await client.get(f"http://127.0.0.1:{port}/health")).json()
            await asyncio.sleep(0.05)
    assert health["reason"].startswith("other: ")
    assert "paper:" not in health["reason"]
    assert health["mode"] == "advisory"                 # the facts of the account of the settings
    assert (await two.sent_to(two.url), await two.sent_to(two.second)) == (["AAPL"], [])


async def test_simulation_is_offered_entered_when_asked_for_and_survives_a_kill_before_the_hand_over(two: Two):
    beside = {"CATALYST_SIMULATION_URL": two.second}
    role = await two.role(**beside)
    await two.advance()
    await two.until("account.ready")
    await two.until("account.ready", account="paper-sim")
    broker = two.processes[0]
    broker.kill()
    await broker.wait()
    await two.ask("k1")                                             # stays in doubt: nobody answers
    story = await two.until("simulation.offered")
    (offered,) = [event for event in story if isinstance(event, SimulationOffered)]
    assert "`catalyst mode simulation --account paper`" in offered.reason
    assert await two.requests_for("paper-sim") == []                # offered, never entered by itself
    await two.mode("simulation", "m1")
    await two.until("mode.set")

    role.kill()
    await role.wait()
    await two.ask("k2", symbol="MSFT")
    await two.commands_take(False)
    role = await two.role(**beside)
    story = await two.until("intent.simulated")
    (intent,) = [event for event in story if isinstance(event, IntentSimulated)]
    role.kill()                                                     # between the intent and the hand-over
    await role.wait()
    await two.commands_take(True)
    assert await two.requests_for("paper-sim") == []
    role = await two.role(**beside)
    story = await two.until("fill.recorded", account="paper-sim")
    (fill,) = [event for event in story if isinstance(event, FillRecorded)]
    assert (fill.symbol, fill.quantity) == ("MSFT", 10)
    assert await two.requests_for("paper-sim") == [str(codec.decode(intent.request.encode()).id)]
    assert await two.sent_to(two.second) == ["MSFT"]

    await two.exchange()
    await two.until("account.ready", count=2)
    assert "MSFT" not in await two.sent_to(two.url)                 # the first request may go out now, if it is still good


async def test_where_nothing_can_be_simulated_the_mode_is_refused(two: Two):
    await two.role()
    await two.advance()
    await two.until("account.ready")
    await two.mode("simulation", "m1")
    story = await two.until("command.rejected")
    assert [event.code for event in story if event.type == "command.rejected.v1"] == ["SIMULATION_NOT_AVAILABLE"]
