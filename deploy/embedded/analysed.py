"""Whether the analysis is through with a minute, judged from the log alone: its scan is there, and so is every signal that the scan names. Pure."""

from datetime import datetime
from uuid import UUID

from schemas.analysis import ScanCompleted, ScanRefused, SignalRaised
from schemas.commands import ScanRequested
from schemas.envelope import Event


class Analysed:
    """What the log says of the analysis."""

    def __init__(self) -> None:
        self._scanned: datetime | None = None
        self._signals: set[UUID] = set()        # on the log
        self._named: set[UUID] = set()          # by a scan, and not seen yet
        self._asked: set[UUID] = set()          # scans that were requested
        self._answered: set[UUID | None] = set()

    def see(self, event: Event | None) -> None:
        """The next record of the scans, the signals or the commands."""
        match event:
            case ScanCompleted():
                if event.trigger == "minute":
                    self._scanned = max(event.time, self._scanned or event.time)
                self._named |= set(event.signals) - self._signals
                self._answered.add(event.request_id)
            case ScanRefused():
                self._answered.add(event.request_id)
            case SignalRaised():
                self._signals.add(event.id)
                self._named.discard(event.id)
            case ScanRequested():
                self._asked.add(event.id)

    def missing(self, minute: datetime) -> str:
        """What the minute with this END still waits for; "" when nothing."""
        if self._scanned is None or self._scanned < minute:
            return f"the analysis has not scanned {minute:%Y-%m-%d %H:%M}"
        if self._named:
            return f"{len(self._named)} signal(s) of the scan are not read yet"
        open_ = self._asked - self._answered
        return f"{len(open_)} requested scan(s) are not answered" if open_ else ""
