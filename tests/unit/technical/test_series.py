"""Bars as arrays: slices, sessions, longer bars."""

from datetime import UTC, date, datetime

import numpy as np
import pytest

from streams.technical.series import EMPTY, Series, day_end, epoch_minutes, moment, new_york_days, within


def minutes(first: datetime, count: int) -> Series:
    end = epoch_minutes(first) + np.arange(count)
    price = 100 + np.arange(count, dtype=float)
    return Series(end, price, price + 2, price - 1, price + 1, np.full(count, 10.0))


OPEN = datetime(2022, 3, 14, 13, 31, tzinfo=UTC)     # the END of the first minute, summer time


def test_a_session_is_a_new_york_day_on_both_sides_of_the_change_of_clocks():
    winter, summer = minutes(datetime(2022, 3, 11, 14, 31, tzinfo=UTC), 390), minutes(OPEN, 390)
    both = Series(*(np.append(getattr(winter, name), getattr(summer, name)) for name in ("end", "open", "high", "low", "close", "volume")))
    assert len(both.session(date(2022, 3, 11))) == 390 and len(both.session()) == 390 and len(both.regular()) == 780
    assert both.session().end[0] == epoch_minutes(OPEN)


def test_what_ends_at_midnight_belongs_to_the_day_before():
    midnight = epoch_minutes(datetime(2022, 3, 15, 4, 0, tzinfo=UTC))
    days = new_york_days(np.array([midnight, midnight + 1]))
    assert days[1] == days[0] + 1


def test_the_regular_session_begins_with_the_minute_from_half_past_nine_and_ends_at_four():
    around = epoch_minutes(OPEN) + np.array([-1, 0, 389, 390])
    assert within(around).tolist() == [False, True, True, False]


def test_longer_bars_end_where_their_interval_ends_and_leave_out_what_is_missing():
    whole = minutes(OPEN, 12)
    five = whole[np.array([True] * 5 + [False] * 5 + [True] * 2)].per(5)
    assert [moment(int(end)).minute for end in five.end] == [35, 45]
    assert five.open.tolist() == [100, 110] and five.close.tolist() == [105, 112] and five.high.tolist() == [106, 113] and five.volume.tolist() == [50, 20]


def test_bars_that_would_cut_across_the_opening_are_refused():
    with pytest.raises(ValueError, match="7 minutes"):
        minutes(OPEN, 3).per(7)


def test_until_a_moment_nothing_later_is_seen():
    whole = minutes(OPEN, 10)
    assert len(whole.until(int(whole.end[3]))) == 4 and len(EMPTY.until(5)) == len(EMPTY.session()) == len(EMPTY.per(5)) == 0


def test_a_daily_bar_ends_at_four_in_new_york():
    assert moment(day_end((date(2022, 3, 14) - date(1970, 1, 1)).days)) == datetime(2022, 3, 14, 20, 0, tzinfo=UTC)
    assert moment(day_end((date(2022, 3, 11) - date(1970, 1, 1)).days)) == datetime(2022, 3, 11, 21, 0, tzinfo=UTC)
