"""A real morning with the analysis as the only source of signals: what it finds is traded, and killing it in the middle of it changes nothing."""

import csv
import gzip
import json
import os
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from tests.e2e import moved
from tests.e2e.scan_days import findings, parted, told_by

DAY = date(2022, 3, 23)         # both break out of their opening range with more volume than usual
SYMBOLS = ("AMC", "TSLA", "AAPL")
FROM, UNTIL = "13:30", "14:20"  # UTC
GOOD = "{} raises full-year guidance after record profit, beats estimates"


def a_morning(data: Path, folder: Path) -> list[str]:
    """What `catalyst up` is given: the day's first fifty minutes, the days before it, and a reason to rise."""
    (folder / "feed").mkdir()
    for symbol in SYMBOLS:
        with gzip.open(data / "bars1m_meme2022" / f"{symbol}_1m.csv.gz", "rt") as whole, gzip.open(folder / "feed" / f"{symbol}_1m.csv.gz", "wt") as part:
            rows = csv.DictReader(whole)
            written = csv.DictWriter(part, rows.fieldnames or ())
            written.writeheader()
            today = (row for row in rows if row["ts_utc"].startswith(DAY.isoformat()))
            written.writerows(row for row in today if FROM <= row["ts_utc"][11:16] < UNTIL)
    moved.move_days(data / "daily_nasdaq" / "prices.csv.gz", folder, SYMBOLS, folder / "daily")
    (folder / "news").mkdir()
    (folder / "news" / "wire.jsonl").write_text("".join(json.dumps({
        "id": number, "headline": GOOD.format(symbol), "symbols": [symbol], "source": "benzinga",
        "created_at": datetime(DAY.year, DAY.month, DAY.day, 13, 33, number, tzinfo=UTC).isoformat()}) + "\n" for number, symbol in enumerate(SYMBOLS, 1)))
    (folder / "orders.jsonl").write_text(json.dumps({"at": f"{DAY}T13:31:00Z", "command": "mode.change_requested", "mode": "autonomous", "key": "autonomous"}))
    return ["--feed", str(folder / "feed"), "--daily", str(folder / "daily"), "--news", str(folder / "news"), "--orders", str(folder / "orders.jsonl")]


@pytest.mark.skipif("CATALYST_TEST_DATA" not in os.environ, reason="CATALYST_TEST_DATA names no folder with bars1m_meme2022 and daily_nasdaq")
@pytest.mark.timeout(900)
async def test_a_real_morning_is_scanned_and_traded_and_an_analysis_that_is_killed_in_it_tells_the_same(tmp_path):
    arguments = a_morning(Path(os.environ["CATALYST_TEST_DATA"]), tmp_path)
    unbroken = await told_by(tmp_path / "one", arguments, {})
    assert findings(unbroken, []) == []
    killed = await told_by(tmp_path / "two", arguments, {}, killed_at=[datetime(2022, 3, 23, 13, 55, tzinfo=UTC)])
    assert findings(killed, []) == []
    assert parted(unbroken, killed) == []
