"""Parts that all integration tests share: ONE broker and ONE database server per test session, real ones, in a temporary home.

Tests keep out of each other's way on them: a fresh database per test (`database_url`), a namespace per test on the broker (`namespace`:
`KafkaLog(namespace=namespace)`, or a prefix of raw topic names). Who wants to stop or kill a broker starts one of his own: `EmbeddedKafka(tmp_path)`.
"""

import asyncio
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import hypothesis
import pytest

from deploy.embedded.kafka import EmbeddedKafka
from deploy.embedded.postgres import EmbeddedPostgres

# Examples are the same in every run, and a machine that is busy is no defect.
hypothesis.settings.register_profile("catalyst", derandomize=True, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("catalyst")


@pytest.fixture(scope="session")
def embedded_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shared-home")


@pytest.fixture(scope="session")
def kafka_bootstrap(embedded_home: Path) -> Iterator[str]:
    """host:port of the session's broker."""
    kafka = EmbeddedKafka(embedded_home)
    try:
        asyncio.run(kafka.start())
        yield kafka.bootstrap
    finally:
        asyncio.run(kafka.kill())       # nobody will read it again


@pytest.fixture(scope="session")
def postgres_dsn(embedded_home: Path) -> Iterator[str]:
    """A superuser's URL of the session's database server."""
    postgres = EmbeddedPostgres(embedded_home)
    try:
        asyncio.run(postgres.start())
        yield postgres.dsn
    finally:
        asyncio.run(postgres.kill())
        postgres.destroy()


@pytest.fixture
def database_url(postgres_dsn: str) -> Iterator[str]:
    """A URL of a fresh, empty database of this test alone."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    asyncio.run(_execute(postgres_dsn, f"CREATE DATABASE {name}"))
    yield postgres_dsn.rsplit("/", 1)[0] + f"/{name}"
    asyncio.run(_execute(postgres_dsn, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def namespace(request: pytest.FixtureRequest) -> str:
    """A prefix for this test's topics on the shared broker: unique per run, readable in its logs."""
    return f"{re.sub(r'[^a-z0-9]+', '-', request.node.name.lower()).strip('-')[:40]}-{uuid.uuid4().hex[:6]}"


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
