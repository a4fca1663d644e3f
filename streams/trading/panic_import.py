"""Puts what `catalyst panic` did onto the log, once there is one again: each journal becomes one emergency stop, so that the account stays stopped.

The trading role calls `import_journals` at its start and every minute. The journal's name is the idempotency key: whatever crashes in between,
the stop counts once. A journal is renamed only after the log has acknowledged it.
"""

import json
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from schemas.commands import EmergencyStopRequested

IMPORTED = ".imported"
SHOWN = 8               # things that were left, in the reason; all are in the journal


def command(name: str, lines: Iterable[str], account: str) -> EmergencyStopRequested:
    """The emergency stop that a journal stands for. Any journal gives one, torn or empty too: that somebody panicked is what counts. Pure."""
    entries = list(_entries(lines))
    begun = next((entry for entry in entries if entry.get("what") == "begun"), {})
    asked = {entry.get("number"): entry for entry in entries if entry.get("what") == "request"}
    answered = {entry.get("number") for entry in entries if entry.get("what") == "answer" and entry.get("status") is not None}
    silent = [f"{entry.get('method')} {entry.get('path')}" for number, entry in asked.items() if number not in answered]
    ended = next((entry for entry in entries if entry.get("what") == "ended"), None)
    left = [str(item) for item in (ended or {}).get("left") or ()]
    how = "did not end" if ended is None else "ended flat" if ended.get("flat") else f"left {len(left)}: {'; '.join(left[:SHOWN])}"
    reason = (f"catalyst panic by {begun.get('actor', 'somebody')} ({begun.get('reason') or 'no reason given'}): {len(asked)} requests, "
              f"{len(silent)} without an answer{': ' + ', '.join(silent[:SHOWN]) if silent else ''}; it {how}. Journal {name}")
    return EmergencyStopRequested.new(source="/catalyst/panic", subject=account, time=_moment(name, begun), idempotency_key=name, actor="panic", reason=reason)


def _entries(lines: Iterable[str]) -> Iterable[dict[str, Any]]:
    """What can be read; a line that a crash tore is left out."""
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            yield entry


def _account(path: Path, lines: Iterable[str], ours: str) -> str:
    """Whose it is: as it says, else as its name says; one that tells neither is everybody's."""
    return next((str(entry["account"]) for entry in _entries(lines) if "account" in entry), None) or ".".join(path.name.split(".")[1:-1]) or ours


def _moment(name: str, begun: dict[str, Any]) -> datetime:
    """When it began, as the journal says, or else its name; a file that somebody named by hand counts as the beginning of time."""
    for text, form in ((str(begun.get("at", "")), None), (name.partition(".")[0], "%Y%m%dT%H%M%S%fZ")):
        try:
            moment = datetime.strptime(text, form) if form else datetime.fromisoformat(text)
        except ValueError:
            continue
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return datetime.fromtimestamp(0, UTC)


async def import_journals(home: Path, account: str, publish: Callable[[EmergencyStopRequested], Awaitable[bool]],
                          warn: Callable[[str], None] = lambda words: None) -> list[Path]:
    """Publish each journal of this account that is not imported yet, oldest first, and rename it once `publish` says that the log has it.

    Stops at the first that is not acknowledged: the next call goes on there. A journal of another account is left to its own; one that cannot be read
    or renamed is told to `warn` and left for the next call, because a file nobody may touch must not keep an account from its work.
    """
    done = []
    for path in sorted((home / "panic").glob("*.jsonl")):
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            if _account(path, lines, account) != account:
                continue
            if not await publish(command(path.name, lines, account)):
                break
            done.append(path.rename(path.with_name(path.name + IMPORTED)))
        except PermissionError as refused:
            warn(f"{path}: {refused.strerror}; let the trading role read and rename it, or put it aside")
    return done
