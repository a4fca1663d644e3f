"""What is on the journal comes back, and what is damaged is not guessed."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from deploy.exchange.book import Asset, Configurations
from deploy.exchange.engine import decide
from deploy.exchange.events import ChangeAsset, Configure, Event, MinuteHappened, PayDividend, ResetAccount, ScriptFills, Split
from deploy.exchange.journal import KINDS, Journal, JournalError, JournalFull
from tests.unit.exchange.vocabulary import bracket, buy, cancel, market, minute, newest, sell, when

IDENTITY = {"feed": {"kind": "generator", "seed": 7}, "seed": 7}


class Disk:
    """A journal that can be closed and opened again, and what it said."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.said, self._open = folder, list[str](), list[Journal]()
        self.minutes = {event.end: event.bars for event in HISTORY if isinstance(event, MinuteHappened)}

    def open(self, **identity: object) -> tuple[Journal, list[Event]]:
        self.close()
        self._open.append(Journal(self.folder, {**IDENTITY, **identity}, self.said.append))
        return self._open[-1], list(self._open[-1].replay(self.minutes.__getitem__))

    def close(self) -> None:
        while self._open:
            self._open.pop().close()

    @property
    def path(self) -> Path:
        return self.folder / "journal.jsonl"


def history() -> list[Event]:
    """One of every event."""
    state, events = market(), list[Event]()
    for choose in (
        lambda s: minute(s, AAPL="170.97"), lambda s: buy(s, 10, id="a"), lambda s: sell(s, "2.5"), lambda s: buy(s, 1, "UGA"),
        lambda s: cancel(s, newest(s)), lambda s: bracket(s, "sell", 1, 60, 110, symbol="MSFT"), lambda s: minute(s, MSFT=50),
        lambda s: Configure(s.now, Configurations(no_shorting=True)), lambda s: ChangeAsset(s.now, Asset("UGA", halted=True)),
        lambda s: Split(s.now, "AAPL", Decimal(2)), lambda s: PayDividend(s.now, "AAPL", Decimal("0.5")),
        lambda s: ScriptFills(s.now, "b", (Decimal(1), Decimal(2))), lambda s: ResetAccount(s.now, Decimal(1_000)),
    ):
        command = choose(state)
        events += decide(state, command)
        state = when(state, command)
    return events


HISTORY = history()


def test_the_history_has_one_of_every_event() -> None:
    assert {type(event) for event in HISTORY} == set(KINDS)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    it = Disk(tmp_path / "journal")
    journal, events = it.open()
    assert events == []
    for event in HISTORY:
        journal.append([event])
    yield it
    it.close()


def test_everything_appended_comes_back_equal_and_in_order(disk: Disk) -> None:
    assert disk.open()[1] == HISTORY
    assert disk.said == []


@pytest.mark.parametrize("left", [1, 20, 100])
def test_a_line_cut_off_by_a_crash_is_removed_with_a_message(disk: Disk, left: int) -> None:
    lines = disk.path.read_bytes().splitlines(keepends=True)
    disk.path.write_bytes(b"".join(lines[:-1]) + lines[-1][:left])
    journal, events = disk.open()
    assert events == HISTORY[:-1]
    assert disk.said == [f"{disk.path} line {len(lines)} was cut off by a crash and never answered; its {left} bytes were removed."]
    journal.append(HISTORY[-1:])
    assert disk.open()[1] == HISTORY


def test_every_damaged_byte_in_the_middle_refuses_to_start_and_names_the_line(disk: Disk) -> None:
    content = disk.path.read_bytes()
    second = content.index(b"\n") + 1
    for place in range(second, content.index(b"\n", second)):
        disk.path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1:])
        with pytest.raises(JournalError, match=r"line 2 is damaged"):
            disk.open()


def test_a_line_that_was_taken_out_is_damage(disk: Disk) -> None:
    lines = disk.path.read_bytes().splitlines(keepends=True)
    disk.path.write_bytes(b"".join(lines[:2] + lines[3:]))
    with pytest.raises(JournalError, match=r"line 3 is damaged"):
        disk.open()


def test_a_journal_of_another_feed_is_refused_with_both_names(disk: Disk) -> None:
    with pytest.raises(JournalError, match=r'its feed is {"kind": "generator", "seed": 7}, now it is {"kind": "folder"}.*--journal'):
        disk.open(feed={"kind": "folder"})


def test_a_second_exchange_on_the_same_journal_is_refused(disk: Disk) -> None:
    disk.open()
    with pytest.raises(JournalError, match="in use by another exchange"):
        Journal(disk.folder, IDENTITY, disk.said.append)


def test_what_does_not_fit_on_the_disk_has_not_happened(disk: Disk) -> None:
    journal, _ = disk.open()
    before, limits = disk.path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 50, limits[1]))
    try:
        with pytest.raises(JournalFull):
            journal.append(HISTORY)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert disk.path.read_bytes() == before
    journal.append(HISTORY[-1:])
    assert disk.open()[1] == [*HISTORY, HISTORY[-1]]
