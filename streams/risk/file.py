"""CATALYST_HOME/config/risk_parameters.yaml, watched: saving it is the same command as `catalyst limits set`. The trading role runs it.

It decides nothing: it reads, and hands on what the file says. The account answers, tightening at once and letting a loosening wait for its approval.
"""

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from schemas.commands import LimitsChangeRequested
from schemas.risk import RiskParameters
from streams.log import LogUnavailable
from streams.risk.parameters import LONGEST, BadParameters, changed, put, read, render

NAME = "risk_parameters.yaml"
SOURCE = "/catalyst/risk-file"
EVERY = 1.0         # seconds between looks


def path_of(home: Path) -> Path:
    """Where the user's parameters file is."""
    return home / "config" / NAME


def ensure(home: Path) -> Path:
    """The user's file; the default one is put there when there is none. Never touches one that is there. Raises OSError."""
    path = path_of(home)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as new:
            new.write(render(RiskParameters()))
    except FileExistsError:
        pass
    return path


@dataclass(frozen=True, slots=True)
class Seen:
    """The file at one look: what it says, or why it cannot be read."""

    edited: int = 0             # its modification time, ns
    content: bytes = b""
    trouble: str = ""


@dataclass(slots=True)
class ParametersFile:
    """`publish` puts the command on the log; where it raises LogUnavailable, the next look tries again. `complain` gets the
    mistakes of a save, a sentence each, once, and None when a later one is right.

    A file is acted on when two looks in a row saw the same, so that half of a save is not taken for the whole. The first time the command says `start`:
    an account that never had parameters takes them as they are.

    `in_force` gives the parameters that hold now and when somebody last changed them, None while that is not known yet: then the file waits. A file that
    says just what holds asks for nothing, nor does, at a start, one that was saved before the last change: it was asked then, and is not to undo what a
    command set since. That is told. Without `in_force` everything is asked, and the account says what was so already.
    """

    path: Path
    account: str
    publish: Callable[[LimitsChangeRequested], Awaitable[None]]
    complain: Callable[[str | None], None]
    clock: Callable[[], datetime]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    origin: Literal["start", "file"] = "start"
    in_force: Callable[[], tuple[RiskParameters, datetime | None] | None] | None = None
    _last: Seen | None = field(default=None, init=False)
    _done: Seen | None = field(default=None, init=False)
    _complained: bool = field(default=False, init=False)

    async def run(self) -> None:
        """Look once a second, until cancelled."""
        while True:
            await self.look()
            await self.sleep(EVERY)

    async def look(self) -> None:
        """Read the file; act on it when it is new and settled."""
        seen = self._read()
        settled, self._last = seen == self._last, seen
        if not settled or seen == self._done:
            return
        try:
            if seen.trouble:
                raise BadParameters(seen.trouble)
            asked = self.command(seen)
        except BadParameters as mistake:
            words = "; ".join(f"{self.path} {line}" for line in str(mistake).splitlines())
            self.complain(f"{words}{'' if words.endswith('?') else '.'} Nothing was changed; correct the file and save it again.")
            self._complained = True
        else:
            if self._complained:
                self.complain(None)
                self._complained = False
            if not await self._asked(asked, seen.edited):
                return              # not done: the next look sees the same file and tries again
            self.origin = "file"
        self._done = seen

    async def _asked(self, command: LimitsChangeRequested, edited: int) -> bool:
        """Whether the file is dealt with."""
        if self.in_force is not None:
            known = self.in_force()
            if known is None:
                return False
            now, since = known
            if not changed(now, put(now, command.changes)):
                return True
            if self._done is None and since is not None and edited < since.timestamp() * 1e9:
                self.complain(f"{self.path} was saved before the limits were last changed, and says other ones than are in force (`catalyst limits show`). "
                              "It is not asked for again; save it to ask for what it says.")
                self._complained = True
                return True
        try:
            await self.publish(command)
        except LogUnavailable:
            return False
        return True

    def command(self, seen: Seen) -> LimitsChangeRequested:
        """What this save asks for. The same save is the same command after a restart too; the same content saved again later is a new one, or to go back
        to what was before could not be asked for. Raises BadParameters."""
        try:
            pairs = read(seen.content.decode())
        except UnicodeDecodeError as error:
            raise BadParameters(f"line {seen.content[:error.start].count(10) + 1}: not UTF-8 text") from None
        digest = hashlib.sha256(b"%d\n%b" % (seen.edited, seen.content)).hexdigest()
        return LimitsChangeRequested.new(
            source=SOURCE, subject=self.account, time=self.clock(), changes=tuple(pairs), origin=self.origin,
            idempotency_key=f"file-{digest[:32]}", actor="file", reason=f"{self.path.name} was saved")

    def _read(self) -> Seen:
        try:
            with self.path.open("rb") as file:
                return Seen(os.fstat(file.fileno()).st_mtime_ns, file.read(4 * LONGEST + 1))
        except FileNotFoundError:
            return Seen(trouble="is not there; without it the parameters in force stay as they are")
        except OSError as error:
            return Seen(trouble=f"cannot be read: {error.strerror}")
