"""Saving the parameters file is a command; a mistake in it changes nothing and is told once; half a save is not taken for the whole."""

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from schemas.commands import LimitsChangeRequested
from schemas.risk import RiskParameters
from streams.log import LogUnavailable
from streams.risk.file import ParametersFile, ensure
from streams.risk.parameters import change, put, render

NOW = datetime(2026, 3, 16, 15, 0, tzinfo=UTC)


class Desk:
    """Somebody edits the file, the role looks; what came of it is kept."""

    def __init__(self, home: Path) -> None:
        self.home, self.path = home, ensure(home)
        self.asked: list[LimitsChangeRequested] = []
        self.told: list[str | None] = []
        self.away = False
        self.saves = 0
        self.restart()

    def restart(self) -> None:
        self.file = ParametersFile(self.path, "paper", self.publish, self.told.append, lambda: NOW)

    async def publish(self, command: LimitsChangeRequested) -> None:
        if self.away:
            raise LogUnavailable("no broker")
        self.asked.append(command)

    def save(self, content: str | bytes) -> None:
        self.path.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.saves += 1
        os.utime(self.path, ns=(self.saves * 10**9, self.saves * 10**9))       # each save at a time of its own, whatever the file system's grain

    async def look(self, times: int = 3) -> None:
        for _ in range(times):
            await self.file.look()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_the_first_start_puts_the_default_file_there_and_never_touches_it_again(tmp_path: Path):
    path = ensure(tmp_path)
    assert path == tmp_path / "config" / "risk_parameters.yaml" and path.read_text() == render(RiskParameters())
    path.write_text("daily_loss: 5\n")
    assert ensure(tmp_path).read_text() == "daily_loss: 5\n"


async def test_what_the_file_says_at_the_start_is_asked_for_once(desk: Desk):
    await desk.look()
    (asked,) = desk.asked
    assert (asked.subject, asked.origin, asked.actor, asked.time) == ("paper", "start", "file", NOW)
    assert put(RiskParameters(), asked.changes) == RiskParameters()


async def test_a_save_asks_for_what_the_file_says_now(desk: Desk):
    await desk.look()
    desk.save("daily_loss: 1500\nmax_positions: 8\n")
    await desk.look()
    assert desk.asked[1].origin == "file" and change(RiskParameters(), desk.asked[1].changes).loosened == (("max_positions", "8"),)


async def test_going_back_to_what_was_before_is_a_new_wish(desk: Desk):
    for content in ("daily_loss: 1500\n", "daily_loss: 2000\n", "daily_loss: 1500\n"):
        desk.save(content)
        await desk.look()
    assert [asked.changes[0][1] for asked in desk.asked] == ["1500", "2000", "1500"]
    assert len({asked.id for asked in desk.asked}) == 3


async def test_after_a_restart_the_same_save_is_the_same_command(desk: Desk):
    await desk.look()
    desk.restart()
    await desk.look()
    first, again = desk.asked
    assert first.id == again.id


async def test_a_mistake_changes_nothing_and_is_told_once_with_its_line_and_taken_back_when_it_is_corrected(desk: Desk):
    desk.save("daily_loss: 1500\nmax_positions: none\nleverage: 3\n")
    await desk.look(5)
    assert desk.asked == [] and desk.told == [
        f"{desk.path} line 2: max_positions: 'none' is not a number; write it like 5; "
        f"{desk.path} line 3: leverage: no such risk parameter; `catalyst limits show` lists them. Nothing was changed; correct the file and save it again."]
    desk.save("daily_loss: 1500\n")
    await desk.look()
    assert len(desk.asked) == 1 and desk.told[1:] == [None]


async def test_half_a_save_is_waited_out(desk: Desk):
    desk.save("daily_loss: 2")
    await desk.look(1)
    desk.save("daily_loss: 2000\n")
    await desk.look(2)
    assert [asked.changes for asked in desk.asked] == [(("daily_loss", "2000"),)]


async def test_a_log_that_is_away_is_asked_again(desk: Desk):
    desk.away = True
    await desk.look()
    desk.away = False
    await desk.look()
    assert [asked.origin for asked in desk.asked] == ["start"] and desk.told == []


@pytest.mark.parametrize(("content", "said"), [
    (b"daily_loss: 5\n\xff", " line 2: not UTF-8 text. "), (b"a" * 300_000, " line 1: the file has 262,145 characters")])
async def test_what_is_no_text_of_ours_is_told(desk: Desk, content: bytes, said: str):
    desk.save(content)
    await desk.look()
    assert desk.asked == [] and len(desk.told) == 1 and said in desk.told[0]


async def test_a_file_that_is_gone_changes_nothing(desk: Desk):
    desk.path.unlink()
    await desk.look()
    assert desk.asked == [] and desk.told == [
        f"{desk.path} is not there; without it the parameters in force stay as they are. Nothing was changed; correct the file and save it again."]


async def test_it_looks_once_a_second_until_it_is_cancelled(desk: Desk):
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise asyncio.CancelledError

    desk.file.sleep = sleep
    with pytest.raises(asyncio.CancelledError):
        await desk.file.run()
    assert slept == [1.0] * 3 and len(desk.asked) == 1


async def test_a_file_that_says_just_what_holds_asks_for_nothing_and_waits_until_that_is_known(desk: Desk):
    holds: list[tuple[RiskParameters, datetime | None] | None] = [None]
    desk.file.in_force = lambda: holds[0]
    await desk.look()
    assert desk.asked == []
    holds[0] = put(RiskParameters(), [("daily_loss", "1500")]), None
    await desk.look()
    assert [asked.origin for asked in desk.asked] == ["start"]
    desk.save("daily_loss: 1500.00\n")
    await desk.look()
    assert len(desk.asked) == 1
    desk.save("daily_loss: 1400\n")
    await desk.look()
    assert desk.asked[1].changes == (("daily_loss", "1400"),)


async def test_a_save_from_before_the_last_change_undoes_nothing_at_a_start(desk: Desk):
    desk.save("daily_loss: 1500\n")
    saved = datetime.fromtimestamp(desk.path.stat().st_mtime, UTC)
    desk.file.in_force = lambda: (put(RiskParameters(), [("daily_loss", "1800")]), saved + timedelta(days=8))
    await desk.look()
    assert desk.asked == [] and desk.told[-1] is not None and "save it to ask for what it says" in desk.told[-1]
    desk.save("daily_loss: 1400\n")
    await desk.look()
    assert [asked.changes for asked in desk.asked] == [(("daily_loss", "1400"),)] and desk.told[-1] is None
    desk.save("daily_loss: 1500\n")
    os.utime(desk.path, ns=(10**9, 10**9))      # older than the change, as a file that is moved here may be
    await desk.look()
    assert desk.asked[-1].changes == (("daily_loss", "1500"),)
    desk.asked.clear()
    desk.restart()
    desk.file.in_force = lambda: (put(RiskParameters(), [("daily_loss", "1800")]), saved - timedelta(seconds=1))
    await desk.look()
    assert [asked.changes for asked in desk.asked] == [(("daily_loss", "1500"),)]
