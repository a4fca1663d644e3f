"""A second source fills what the first one lacks: behind the seal, under its own name, and never in the place of a bar of the first."""

import gzip
from datetime import timedelta
from decimal import Decimal

import pytest

from schemas.market import BarClosed, BarLate, MinuteSealed
from schemas.settings import load
from streams.market.feed import FeedUnavailable
from streams.market.second import FolderBars, RestBars, lacking, second_bars
from streams.market.tape import Caught, Fetched, Filled
from tests.unit.market.conftest import SESSIONS, Recording, bar, utc

OTHER = "/folder/other"


def caught_up() -> Recording:
    """Three minutes, of which MSFT lacks the second."""
    recording = Recording()
    told = bar("AAPL", "14:31"), bar("MSFT", "14:31"), bar("AAPL", "14:32"), bar("AAPL", "14:33"), bar("MSFT", "14:33")
    recording.hear(Fetched(told), Caught(utc("14:33")))
    return recording


def test_a_minute_that_the_first_source_lacks_is_filled_late_and_marked():
    event, = caught_up().hear(Filled(OTHER, (bar("MSFT", "14:32", close="10.5"),)))
    assert isinstance(event, BarLate)
    assert (event.subject, event.end, event.close, event.source) == ("MSFT", utc("14:32"), Decimal("10.5"), OTHER)


def test_a_bar_of_the_first_source_stays_and_a_minute_that_is_not_sealed_waits_for_it():
    assert caught_up().hear(Filled(OTHER, (bar("AAPL", "14:32", close="99"), bar("MSFT", "14:34")))) == []


def test_when_the_first_source_tells_its_bar_after_all_it_is_its_own_and_no_correction():
    recording = caught_up()
    recording.hear(Filled(OTHER, (bar("MSFT", "14:32", close="10.5"),)))
    own, = recording.hear(Fetched((bar("MSFT", "14:32"),)))
    assert isinstance(own, BarLate) and own.source == "/alpaca/iex"


def test_the_minute_behind_it_is_counted_without_it():
    recording = caught_up()
    recording.hear(Filled(OTHER, (bar("MSFT", "14:32"),)))
    own, sealed = recording.hear(Fetched((bar("MSFT", "14:34"),)), Caught(utc("14:34")))
    assert isinstance(own, BarClosed) and isinstance(sealed, MinuteSealed) and sealed.bars == 1


def test_only_symbols_with_a_hole_within_a_session_are_asked_for():
    have = {("AAPL", utc("14:31")), ("AAPL", utc("14:32")), ("MSFT", utc("14:31"))}
    assert lacking({"AAPL", "MSFT"}, have, utc("14:00"), utc("14:32"), SESSIONS) == {"MSFT"}
    assert lacking({"AAPL", "MSFT"}, set(), utc("13:00"), utc("14:30"), SESSIONS) == set()      # before the bell


async def test_a_folder_gives_the_minutes_that_are_asked_for(tmp_path):
    rows = "ts_utc,open,high,low,close,volume\n2019-02-11T14:30:00Z,1,2,0.5,1.5,7\n2019-02-11T14:31:00Z,1,2,0.5,x,7\n2019-02-11T14:32:00Z,1,2,0,1,7\n"
    (tmp_path / "MSFT_1m.csv.gz").write_bytes(gzip.compress(rows.encode()))
    source = FolderBars(tmp_path)
    found = await source.minutes(["AAPL", "MSFT"], utc("14:30"), utc("14:40"))
    assert [(one.symbol, one.end, one.close) for one in found] == [("MSFT", utc("14:31"), Decimal("1.5"))]
    assert await source.minutes(["MSFT"], utc("14:31"), utc("14:31") + timedelta(minutes=9)) == ()
    with pytest.raises(FeedUnavailable, match="does not exist"):
        await FolderBars(tmp_path / "gone").minutes(["MSFT"], utc("14:30"), utc("14:40"))


def test_the_settings_say_where_the_second_bars_come_from(tmp_path):
    assert second_bars(load({})) is None
    folder = second_bars(load({"CATALYST_SECOND_BARS": str(tmp_path)}))
    assert isinstance(folder, FolderBars) and folder.source == f"/folder/{tmp_path.name}"
    rest = second_bars(load({"CATALYST_SECOND_BARS": "http://127.0.0.1:1", "CATALYST_SECOND_FEED": "sip"}))
    assert isinstance(rest, RestBars) and rest.source == "/alpaca/sip"
    with pytest.raises(ValueError, match="could not be told apart"):
        second_bars(load({"CATALYST_SECOND_BARS": "http://127.0.0.1:1", "CATALYST_SECOND_FEED": "iex"}))
