"""What a person reads after a run."""

from dataclasses import replace

from deploy.embedded.summary import Summary, show

RUN = Summary(feed="week", first="2019-02-11T14:31:00Z", last="2019-02-15T21:00:00Z", symbols=24, minutes=1950, rows_in_files=43_166, bars_on_log=43_164,
              duplicates=[{"file": "AAPL_1m.csv.gz", "line": 1203, "symbol": "AAPL", "minute": "2019-02-11T14:31:00Z"}],
              rejected=[{"file": "MSFT_1m.csv.gz", "line": 7, "why": "close is empty"}], commands=4, orders=3, fills=3, seconds=60.0, minutes_per_second=32.5)


def test_every_row_is_accounted_for_and_what_is_not_a_bar_is_named():
    text = show(RUN.as_json())
    assert "every row of the feed is accounted for" in text
    assert "AAPL_1m.csv.gz line 1,203: AAPL 2019-02-11T14:31:00Z" in text
    assert "MSFT_1m.csv.gz line 7: close is empty" in text


def test_a_missing_bar_is_said_loudly():
    assert "NOT every row" in show(replace(RUN, bars_on_log=43_163).as_json())
