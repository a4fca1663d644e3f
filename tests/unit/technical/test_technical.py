"""A sealed minute at a time: what counts, what is put right later, what is left out, and what belongs to the session."""

from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest

from schemas.market import SessionOpened
from schemas.reference import DailyPublished, DaysPublished, SplitAnnounced
from streams.technical.series import day_end, moment
from streams.technical.technical import Technical, _day
from streams.technical.volume import CURVE
from tests.unit.technical.conftest import DAY, OPEN, OVERNIGHT, bars, bits, days_before, none, only, told, walk, without

FLAT = (10.0, 10.5, 9.5, 10.0, 100.0)


def one(symbol: str, minute: int, row: tuple[float, ...] = FLAT, revision: int = 0):
    return bars([symbol], minute, [row], revision)


def days(symbol: str, count: int, price: str = "10", volume: int = 39_000, revision: int = 0, **other: object) -> DaysPublished:
    whole = {name: (Decimal(price),) * count for name in ("open", "high", "low", "close")}
    return DaysPublished.new(source="/test", subject=symbol, time=moment(OPEN), sessions=tuple(days_before(count)), volume=(volume,) * count,
                             revision=revision, reason="first seen", **{**whole, **other})


def daily(symbol: str, close: str, session=DAY) -> DailyPublished:
    price = {name: Decimal(close) for name in ("open", "high", "low", "close")}
    return DailyPublished.new(source="/test", subject=symbol, time=moment(OPEN), session=session, average_volume=Decimal(1), atr=None, support=None, returns=(),
                              volume=1000, **price)


def split(symbol: str, ratio: int, session=DAY) -> SplitAnnounced:
    return SplitAnnounced.new(source="/test", subject=symbol, time=moment(OPEN), session=session, new_shares=Decimal(ratio), old_shares=Decimal(1))


# --- bars ------------------------------------------------------------------------------------------------------------------------------------------------


def test_five_minutes_are_put_together_when_the_fifth_is_sealed_though_some_have_no_bar():
    room = Technical()
    told(room, [(OPEN + 1, one("AAPL", OPEN + 1, (10, 12, 9, 11, 5))), (OPEN + 4, one("AAPL", OPEN + 4, (11, 13, 10, 12, 7)))])
    assert not len(room.series("AAPL", "5m"))
    room.fold(OPEN + 5, none())
    five = room.series("AAPL", "5m")
    assert [five.end[0] - OPEN, five.open[0], five.high[0], five.low[0], five.close[0], five.volume[0]] == [5, 10, 13, 9, 12, 12]


def test_five_minutes_whose_last_nobody_sealed_are_put_together_with_the_next_seal():
    room = told(Technical(), [(OPEN + 3, one("AAPL", OPEN + 3)), (OPEN + 8, none())])
    assert room.series("AAPL", "5m").end.tolist() == [OPEN + 5]


@pytest.mark.parametrize("timeframe", ["1m", "5m"])
def test_what_is_kept_is_what_the_bars_of_a_symbol_make(timeframe):
    minutes = walk(80)
    room = told(Technical(), minutes)
    whole = told(Technical(), [(minute, only(some, "AAPL")) for minute, some in minutes]).series("AAPL", "1m")
    series, longer = room.series("AAPL", timeframe), whole if timeframe == "1m" else whole.per(5)
    assert series.end.tobytes() == longer.end.tobytes() and series.low.tobytes() == longer.low.tobytes() and series.volume.tolist() == longer.volume.tolist()


def test_a_missing_minute_changes_nothing():
    room = told(Technical(), walk(30))
    before = bits(room)
    room.fold(room.minute + 1, none())
    assert {name: said for name, said in bits(room).items() if "5m" not in name} == {name: said for name, said in before.items() if "5m" not in name}


@pytest.mark.parametrize("full", [False, True], ids=["with room", "with a full ring"])
def test_a_late_or_corrected_bar_counts_as_if_it_had_been_right_from_the_beginning(full, monkeypatch):
    if full:
        monkeypatch.setattr("streams.technical.technical.SIZES", {"1m": 40, "5m": 10})
    minutes = walk(90, missing=0.0)
    right = told(Technical(), minutes)
    wrong = Technical()
    for minute, some in minutes:
        match minute - OPEN:
            case 70:        # late: three minutes after its five minutes were closed
                some, late = without(some, "AAPL"), only(some, "AAPL")
            case 73:
                wrong.fold(minute, join(some, late))
                continue
            case 78:
                some, good = replaced(some, "AMC"), only(some, "AMC")
            case 79:
                good.revision[:] = 1
                wrong.fold(minute, join(good, some))
                continue
        wrong.fold(minute, some)
    assert bits(wrong) == bits(right)


def join(*some):
    return type(some[0]).join(some)


def replaced(some, symbol):
    other = some.take(np.arange(len(some)))
    at = other.symbols.index(symbol)
    other.high[at] += 3
    other.volume[at] += 17
    other.close[at] = other.high[at]
    return other


def test_of_two_corrections_the_highest_revision_holds_and_a_second_first_report_does_not():
    room = told(Technical(), [(OPEN + 1, one("AAPL", OPEN + 1))])
    again = [one("AAPL", OPEN + 1, (1, 9, 1, close, close), revision) for close, revision in ((3, 2), (2, 1), (4, 0))]
    folded = room.fold(OPEN + 2, join(*again))
    assert room.series("AAPL", "1m").close.tolist() == [3] and folded.left_out == (("AAPL", OPEN + 1, "the minute has its bar"),)


def test_what_cannot_be_is_left_out_with_its_reason_and_the_rest_counts():
    room, nan = Technical(), float("nan")
    bad = [(nan, 1, 1, 1, 1), (0, 1, 0, 1, 1), (-1, 1, -1, 1, 1), (5, 4, 3, 3.5, 1), (1, 1, 1, 1, -1), (1, 1, 1, 1, 0.5), (1, 1, 1, 1, nan),
           (1, float("inf"), 1, 1, 1)]
    folded = room.fold(OPEN + 1, join(*(one(f"B{at}", OPEN + 1, row) for at, row in enumerate(bad)), one("LATER", OPEN + 2), one("AAPL", OPEN + 1)))
    assert room.symbols == ["AAPL"] and folded.taken == 1 and {symbol for symbol, _, _ in folded.left_out} == {"LATER", *(f"B{at}" for at in range(8))}


def test_a_bar_older_than_what_is_kept_is_left_out(monkeypatch):
    monkeypatch.setattr("streams.technical.technical.SIZES", {"1m": 20, "5m": 10})
    room = told(Technical(), [(minute, one("AAPL", minute)) for minute in range(OPEN + 1, OPEN + 31)])
    before = bits(room)
    folded = room.fold(OPEN + 31, one("AAPL", OPEN + 3, (1, 1, 1, 1, 1), 1))
    assert folded.left_out == (("AAPL", OPEN + 3, "older than the bars that are kept"),) and bits(room) == before


def test_a_minute_is_not_folded_twice():
    room = told(Technical(), [(OPEN + 1, none())])
    with pytest.raises(ValueError, match="in the order of their seals"):
        room.fold(OPEN + 1, none())


def test_twenty_three_million_shares_in_a_minute_and_a_symbol_that_comes_late_are_nothing_special():
    room = told(Technical(), walk(30))
    room.fold(OPEN + 31, join(one("GME", OPEN + 31, (300, 480, 290, 400, 23_000_000)), one("SPY", OPEN + 31)))
    assert room.table("1m")["obv"][room.row("GME")] == 23_000_000 and np.isnan(room.table("1m")["sma_20"][room.row("GME")])


# --- the session -----------------------------------------------------------------------------------------------------------------------------------------


def test_vwap_is_of_the_regular_session_of_the_day_alone():
    room = told(Technical(), [(OPEN, one("AAPL", OPEN, (50, 50, 50, 50, 1000)))])
    assert np.isnan(room.table("1m")["vwap"][0])
    told(room, [(OPEN + 1, one("AAPL", OPEN + 1, (10, 10, 10, 10, 100))), (OPEN + 2, one("AAPL", OPEN + 2, (20, 20, 20, 20, 300)))])
    assert room.table("1m")["vwap"][0] == 17.5
    told(room, [(OPEN + 391, one("AAPL", OPEN + 391, (90, 90, 90, 90, 9000)))])
    assert room.table("1m")["vwap"][0] == 17.5
    told(room, [(OPEN + OVERNIGHT + 1, one("AAPL", OPEN + OVERNIGHT + 1, (30, 30, 30, 30, 1)))])
    assert room.table("1m")["vwap"][0] == 30


def test_on_a_half_day_what_is_traded_after_one_is_not_of_the_session():
    room = Technical()
    room.learn(SessionOpened.new(source="/test", subject="sim", time=moment(OPEN), session=DAY, opens=moment(OPEN), closes=moment(OPEN + 210)))
    told(room, [(OPEN + 210, one("AAPL", OPEN + 210, (10, 10, 10, 10, 100))), (OPEN + 211, one("AAPL", OPEN + 211, (20, 20, 20, 20, 300)))])
    assert room.table("1m")["vwap"][0] == 10


def test_today_so_far_is_the_last_of_the_days_until_the_day_is_published():
    room = Technical()
    room.learn(days("AAPL", 19))
    told(room, [(OPEN + 1, one("AAPL", OPEN + 1, (10, 12, 9, 11, 100))), (OPEN + 2, one("AAPL", OPEN + 2, (11, 31, 8, 30, 50)))])
    today, last = room.series("AAPL", "1d"), room.last("1d")
    assert (len(today), today.end[-1], today.high[-1], today.volume[-1]) == (20, OPEN + 2, 31, 150)
    assert room.table("1d")["sma_20"][0] == 11 and last["close"][0] == 30 and last["prior_close"][0] == 10
    room.learn(daily("AAPL", "50"))
    assert room.table("1d")["sma_20"][0] == 12 and len(room.series("AAPL", "1d")) == 20 and room.last("1d")["prior_close"][0] == 10


def test_relative_strength_is_how_much_better_than_spy_over_twenty_bars():
    room = Technical()
    for at in range(1, 22):
        price = 10.0 if at < 21 else 11.0
        room.fold(OPEN + at, join(one("AAPL", OPEN + at, (price,) * 4 + (1,)), one("SPY", OPEN + at, (price * 10 - (5 if at == 21 else 0),) * 4 + (1,))))
    assert room.values("AAPL", "1m")["relative_strength"] == pytest.approx(1.1 / 1.05 - 1) and room.values("SPY", "1m")["relative_strength"] == 0


def test_what_never_moved_has_no_rsi():
    assert told(Technical(), [(minute, one("AAPL", minute)) for minute in range(OPEN + 1, OPEN + 20)]).values("AAPL", "1m")["rsi_14"] is None


# --- volume by time of day -------------------------------------------------------------------------------------------------------------------------------


def test_until_twenty_sessions_were_followed_the_usual_volume_is_the_average_day_along_the_general_curve():
    room = Technical()
    room.learn(days("AAPL", 25, volume=1_000_000))
    told(room, [(minute, one("AAPL", minute, (10, 10, 10, 10, 20_000))) for minute in range(OPEN + 1, OPEN + 16)])
    assert room.table("1d")["volume_ratio"][0] == pytest.approx(300_000 / (1_000_000 * CURVE[1]))


def test_after_twenty_sessions_it_is_their_mean_up_to_the_same_minute():
    room = Technical()
    for day in range(21):
        shares = 300.0 if day == 20 else 100.0
        for minute in (1, 8, 15) if day == 20 else (1, 8, 15, 30, 390):
            end = OPEN + day * OVERNIGHT + minute
            room.fold(end, one("AAPL", end, (10, 10, 10, 10, shares)))
    assert room.table("1m")["volume_ratio"][0] == pytest.approx(3.0)


def test_a_session_that_was_not_followed_from_its_opening_is_not_among_the_usual():
    room = told(Technical(), [(OPEN + 60, one("AAPL", OPEN + 60)), (OPEN + 390, one("AAPL", OPEN + 390)), (OPEN + OVERNIGHT + 1, none())])
    assert room.profile.sessions[0] == 0
    told(room, [(OPEN + OVERNIGHT + 390, none()), (OPEN + 2 * OVERNIGHT + 1, none())])
    assert room.profile.sessions[0] == 1


# --- splits ----------------------------------------------------------------------------------------------------------------------------------------------


def test_a_split_overnight_makes_the_past_as_if_it_had_always_been_so():
    halved, always = Technical(), Technical()
    for room, price, shares in ((halved, 40.0, 100.0), (always, 20.0, 200.0)):
        room.learn(days("AAPL", 30, price=str(int(price)), volume=int(shares) * 1000))
        for minute in range(OPEN + 1 - OVERNIGHT * 3, OPEN + 31 - OVERNIGHT * 3):
            room.fold(minute, one("AAPL", minute, (price, price * 1.5, price / 2, price + minute % 2, shares) if room is halved else
                                  (price, price * 1.5, price / 2, price + minute % 2 / 2, shares)))
    halved.learn(split("AAPL", 2))
    for room in (halved, always):
        room.fold(OPEN + 1, one("AAPL", OPEN + 1, (20, 22, 19, 21, 300)))
    for timeframe in ("1m", "5m", "1d"):
        assert halved.values("AAPL", timeframe) == pytest.approx(always.values("AAPL", timeframe), nan_ok=True), timeframe


def test_a_split_that_is_told_after_its_day_is_complete_changes_nothing():
    room = Technical()
    room.learn(days("AAPL", 30))
    room.learn(daily("AAPL", "10", session=DAY))
    before = bits(room)
    room.learn(split("AAPL", 2))
    assert bits(room) == before


def test_days_published_anew_replace_all_there_were_and_impossible_ones_are_left_out():
    room = Technical()
    room.learn(days("AAPL", 30))
    room.learn(days("AAPL", 4, price="5", revision=1, close=(Decimal(5), Decimal("0"), Decimal(5), Decimal(6))))
    assert room.series("AAPL", "1d").close.tolist() == [5, 5, 6]
    assert room.series("AAPL", "1d").end[-1] == day_end(_day(DAY - timedelta(days=3)))
