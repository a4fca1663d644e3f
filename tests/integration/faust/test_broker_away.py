"""A broker that is away when a role starts, and that dies while it runs: degraded, never dead, and nothing is lost."""

import signal
from pathlib import Path

import pytest

from deploy.embedded.kafka import EmbeddedKafka

from .conftest import Broker, event, keys, plain_topic, until_state
from .test_guarded_agents_lose_nothing import free_port, reached


@pytest.mark.timeout(180)
async def test_an_agent_waits_for_a_broker_that_is_away_and_goes_on_when_it_is_there(tmp_path: Path):
    kafka = EmbeddedKafka(tmp_path / "home")
    kafka.prepare()         # its port is known, and it does not run
    broker = Broker(kafka.bootstrap, "away", [plain_topic("in.garbled"), plain_topic("done.garbled")], tmp_path)
    port = free_port()
    worker = await broker.run("guarded.py", str(port), "garbled", "last")
    try:
        assert "no broker answers" in await until_state(worker, port, "degraded")
        await kafka.start()
        await broker.start()
        await broker.send("in.garbled", event("0"))
        await broker.until("done.garbled", reached("0"))
        await until_state(worker, port, "ready")

        await kafka.kill()
        assert "does not answer" in await until_state(worker, port, "degraded")
        await kafka.start()
        await broker.send("in.garbled", event("1"), event("2"))
        assert sorted(set(keys(await broker.until("done.garbled", reached("2"))))) == ["0", "1", "2"]
        await until_state(worker, port, "ready")
        assert await worker.end(signal.SIGTERM) == 0
    finally:
        await broker.stop()
        await kafka.kill()
