"""The table of sessions against the library it was made from."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from deploy.exchange.sessions import FIRST_DAY, LAST_DAY, is_open, next_close, next_open, session_on, sessions_from


def test_every_session_from_2005_to_2030_is_the_librarys() -> None:
    import exchange_calendars

    schedule = exchange_calendars.get_calendar("XNYS", start=str(FIRST_DAY), end=str(LAST_DAY)).schedule
    expected = [(row.Index.date(), row.open.to_pydatetime(), row.close.to_pydatetime()) for row in schedule.itertuples()]
    assert [(session.day, session.open, session.close) for session in sessions_from(FIRST_DAY)] == expected


def test_the_session_ends_at_its_close_and_early_before_a_holiday() -> None:
    close = datetime(2019, 12, 24, 18, tzinfo=UTC)
    assert (is_open(close - timedelta(seconds=1)), is_open(close)) == (True, False)
    assert next_open(close) == datetime(2019, 12, 26, 14, 30, tzinfo=UTC)
    assert next_close(close) == datetime(2019, 12, 26, 21, tzinfo=UTC)
    assert session_on(date(2019, 12, 25)) is None
