"""The embedded database: what was committed is there again, however it ended; nobody without the password gets in; as root it is not root."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from deploy.embedded.postgres import COMMON, EmbeddedPostgres

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="about running as root")


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    it = EmbeddedPostgres(tmp_path / "home")
    yield it
    it.destroy()


async def run(dsn: str, statement: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetch(statement)
    finally:
        await connection.close()


async def test_committed_rows_survive_a_restart_and_a_kill_9(postgres: EmbeddedPostgres):
    async with postgres:
        await run(postgres.dsn, "CREATE TABLE t (n int)")
        await run(postgres.dsn, "INSERT INTO t VALUES (1)")
        address = postgres.dsn
        await postgres.stop()
        await postgres.start()
        assert postgres.dsn == address
        await run(postgres.dsn, "INSERT INTO t VALUES (2)")
        await postgres.kill()
        await postgres.start()
        assert [row["n"] for row in await run(postgres.dsn, "SELECT n FROM t ORDER BY n")] == [1, 2]


async def test_a_stale_pid_file_that_names_a_living_stranger_does_not_keep_it_down(postgres: EmbeddedPostgres):
    async with postgres:
        await postgres.kill()
        note = postgres.data / "postmaster.pid"
        note.write_text(note.read_text().replace(note.read_text().splitlines()[0], str(os.getpid()), 1))
        await postgres.start()
        assert await run(postgres.dsn, "SELECT 1")


async def test_the_password_is_needed_and_only_its_owner_can_read_it(postgres: EmbeddedPostgres):
    async with postgres:
        wrong = postgres.dsn.replace(postgres.dsn.split(":")[2].split("@")[0], "guess")
        with pytest.raises(asyncpg.InvalidPasswordError):
            await run(wrong, "SELECT 1")
        assert stat.S_IMODE((postgres.home / "run" / "postgres.password").stat().st_mode) == 0o600
        assert (await run(postgres.dsn, "SHOW fsync"))[0][0] == "on"


@root_only
async def test_as_root_it_runs_as_somebody_else_and_opens_no_door_of_a_closed_home(postgres: EmbeddedPostgres):
    postgres.home.mkdir()
    postgres.home.chmod(0o700)
    async with postgres:
        server = next(process for process in psutil.process_iter(["name", "uids", "cwd"])
                      if process.info["name"] == "postgres" and process.info["cwd"] == str(postgres.data))
        assert server.uids().real != 0
        assert postgres.data.is_relative_to(COMMON)
        assert stat.S_IMODE(postgres.data.stat().st_mode) == 0o700
        assert stat.S_IMODE(postgres.home.stat().st_mode) == 0o700


@root_only
async def test_binaries_that_the_other_user_cannot_reach_are_copied_to_where_it_can(postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("deploy.embedded.postgres._reaches", lambda user, path: False)
    launch = postgres.prepare()
    assert Path(launch.argv[0]).is_relative_to(COMMON)
    async with postgres:
        assert await run(postgres.dsn, "SELECT 1")
