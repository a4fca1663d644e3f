"""What a panic left behind becomes one emergency stop, whatever state the journal is in."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from schemas.commands import EmergencyStopRequested
from streams.trading.panic_import import command, import_journals

NAME = "20261124T150000000000Z.jsonl"
AT = "2026-11-24T15:00:00+00:00"


def lines(*entries: dict) -> list[str]:
    return [json.dumps({"at": AT, **entry}) for entry in entries]


BEGUN = {"what": "begun", "account": "paper", "actor": "anna", "reason": "fire"}
ASKED = {"what": "request", "number": 1, "method": "DELETE", "path": "/v2/orders"}
SAID = {"what": "answer", "number": 1, "status": 207, "body": "[]"}


@pytest.mark.parametrize(("journal", "words"), [
    (lines(BEGUN, ASKED, SAID, {"what": "ended", "flat": True, "left": []}), ["anna (fire)", "1 requests, 0 without an answer", "ended flat"]),
    (lines(BEGUN, ASKED, SAID, {"what": "ended", "flat": False, "left": ["position AAPL: 10 shares"]}), ["left 1: position AAPL: 10 shares"]),
    (lines(BEGUN, ASKED), ["1 without an answer: DELETE /v2/orders", "did not end"]),
    (lines(BEGUN, ASKED, {**SAID, "status": None, "cause": "ReadTimeout"}), ["1 without an answer"]),
    ([*lines(BEGUN, ASKED), '{"at": "2026-11-24T15:0'], ["1 requests", "did not end"]),
    ([], ["somebody (no reason given)", "0 requests", "did not end"]),
])
def test_the_reason_says_who_how_far_and_what_was_left(journal, words):
    stop = command(NAME, journal, "paper")
    assert (stop.idempotency_key, stop.actor, stop.subject) == (NAME, "panic", "paper")
    assert stop.time == datetime(2026, 11, 24, 15, tzinfo=UTC)
    for word in words:
        assert word in stop.reason
    assert NAME in stop.reason


def test_the_same_journal_is_the_same_stop_however_far_it_was_read():
    assert command(NAME, lines(BEGUN), "paper").id == command(NAME, lines(BEGUN, ASKED, SAID), "paper").id


def test_a_file_named_by_hand_is_imported_too():
    assert command("copy.jsonl", [], "paper").time == datetime(1970, 1, 1, tzinfo=UTC)


async def test_a_journal_that_cannot_be_taken_is_told_and_the_others_are_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "panic"
    folder.mkdir()
    for name in ("20261124T150000000000Z.jsonl", "20261124T160000000000Z.jsonl"):
        (folder / name).write_text("\n".join(lines(BEGUN)))
    read, told, published = Path.read_text, [], []

    def refuse_the_first(path: Path, **how: str) -> str:
        if path.name.startswith("20261124T15"):
            raise PermissionError(13, "Permission denied")
        return read(path, **how)

    async def publish(stop: EmergencyStopRequested) -> bool:
        published.append(stop.idempotency_key)
        return True

    monkeypatch.setattr(Path, "read_text", refuse_the_first)      # root may read everything
    assert [path.name for path in await import_journals(tmp_path, "paper", publish, told.append)] == ["20261124T160000000000Z.jsonl.imported"]
    assert published == ["20261124T160000000000Z.jsonl"]
    assert len(told) == 1 and "Permission denied" in told[0]
