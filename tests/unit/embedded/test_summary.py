"""What a person reads after a run."""

from dataclasses import replace

from deploy.embedded.summary import Summary, show

RUN = Summary(feed="week", first="2019-02-11T14:31:00Z", last="2019-02-15T21:00:00Z", symbols=24, minutes=1950, rows_in_files=43_166, bars_on_log=43_164,
              duplicate_rows=1, rejected_rows=1, duplicates=[{"file": "AAPL_1m.csv.gz", "line": 1203, "symbol": "AAPL", "minute": "2019-02-11T14:31:00Z"}],
              rejected=[{"file": "MSFT_1m.csv.gz", "line": 7, "why": "close is empty"}], commands=4, orders=3, fills=3, seconds=60.0, minutes_per_second=32.5)


def test_every_row_is_accounted_for_and_what_is_not_a_bar_is_named():
    text = show(RUN.as_json())
    assert "every row of the feed is accounted for" in text
    assert "AAPL_1m.csv.gz line 1,203: AAPL 2019-02-11T14:31:00Z" in text
    assert "MSFT_1m.csv.gz line 7: close is empty" in text


def test_a_missing_bar_is_said_loudly():
    assert "NOT every row" in show(replace(RUN, bars_on_log=43_163).as_json())


def test_a_file_that_was_left_out_is_named_and_is_no_row():
    noted = [{"file": "MSFT_1m.csv.gz", "line": 1, "why": "column close is missing; the 0 lines of the file were left out"}]
    text = show(replace(RUN, rows_in_files=43_165, rejected_rows=0, rejected=noted).as_json())
    assert "every row of the feed is accounted for" in text and "NOT every row" not in text
    assert "column close is missing" in text


def test_more_faults_than_are_named_are_all_counted():
    text = show(replace(RUN, rows_in_files=44_663, rejected_rows=1_498).as_json())
    assert "NOT every row" not in text and "1,498 lines left out" in text
