"""The catalogue of topics: key, partitions, retention, durability and what each carries. Partition counts are for ever.

`catalyst topics apply` creates them so, `catalyst topics check` reads them back; the topic pages are printed from here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from schemas import analysis, broker, commands, cycle, market, news, parked, reference, risk, trading
from schemas.envelope import Event


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. `retention` None means for ever; `fsync` one flush per append; `single_writer` contiguous seq and hash chain per key."""

    name: str
    key: str
    partitions: int
    carries: tuple[type[Event], ...]
    doc: str
    retention: timedelta | None = None
    fsync: bool = False
    single_writer: bool = False
    compression: str = "producer"

    @property
    def settings(self) -> Mapping[str, str]:
        """The broker's own names and values."""
        milliseconds = -1 if self.retention is None else int(self.retention.total_seconds() * 1000)
        return {
            "cleanup.policy": "delete",                    # nothing the truth depends on is compacted
            "retention.ms": str(milliseconds),             # a broker's default is 7 days
            "retention.bytes": "-1",
            "message.timestamp.type": "LogAppendTime",     # wall-clock cuts are the broker's, not a writer's
            "compression.type": self.compression,
            **({"flush.messages": "1"} if self.fsync else {}),
        }


BARS = Topic(
    "catalyst.market.bars", "symbol", 12, (market.BarClosed, market.BarLate, market.BarCorrected), compression="zstd",
    doc="Every minute bar of every symbol. Complete up to the end offsets of a `minute.sealed`.")
CLOCK = Topic(
    "catalyst.market.clock", "feed", 1,
    (trading.LeaseTaken, market.SessionOpened, market.MinuteSealed, market.SessionClosed), single_writer=True,
    doc="The market's clock: sessions, and which minutes are complete.")
NEWS = Topic(
    "catalyst.market.news", "article id", 3, news.EVENTS, compression="zstd",
    doc="Articles and filings, what models and rules made of them, and how far their publishers are believed.")
REFERENCE = Topic(
    "catalyst.reference", "symbol", 3, reference.EVENTS, compression="zstd",
    doc="What is known about securities apart from their prices.")
INDICATORS = Topic(
    "catalyst.indicators", "symbol", 12, (analysis.IndicatorsComputed, analysis.AnalysisSealed), retention=timedelta(days=7), compression="zstd",
    doc="Indicators of candidates and of what is held or listed, and the analysis' checkpoints. Derived: computed from the bars again where they are gone.")
SIGNALS = Topic(
    "catalyst.signals", "symbol", 6, (analysis.PatternDetected, analysis.SignalRaised),
    doc="What the analysis found: patterns, and signals to act on.")
SCANS = Topic(
    "catalyst.scans", "New York day", 3, (analysis.ScanCompleted, analysis.ScanRefused), compression="zstd",
    doc="Why each symbol was chosen or not, minute by minute.")
COMMANDS = Topic(
    "catalyst.commands", "account", 3, commands.EVENTS, fsync=True,
    doc="What people and Claude asked for; `system` is the key of what concerns no account.")
TRADING = Topic(
    "catalyst.trading", "account", 3, (*trading.EVENTS, *risk.EVENTS, *cycle.EVENTS), fsync=True, single_writer=True,
    doc="The account's one story in one total order.")
BROKER = Topic(
    "catalyst.broker", "account", 3, broker.EVENTS, fsync=True, single_writer=True,
    doc="What the broker said, verbatim, before interpretation.")
RUNS = Topic(
    "catalyst.runs", "instance", 1, (parked.RunStarted, parked.RunEnded, broker.BreakerChanged),
    doc="Which processes ran, with which version and settings, and which outside interface they could not reach.")
DLQ = Topic(
    "catalyst.dlq", "original key", 3, (parked.EventParked, parked.DeadLetterReplayed), retention=timedelta(days=90),
    doc="What could not be handled, with where it came from and why.")

TOPICS: Mapping[str, Topic] = {topic.name: topic for topic in (
    BARS, CLOCK, NEWS, REFERENCE, INDICATORS, SIGNALS, SCANS, COMMANDS, TRADING, BROKER, RUNS, DLQ)}
