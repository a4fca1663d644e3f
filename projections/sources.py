"""Which topics are projected, what each event type does to which table, and in which order tables are written. To add a read model is to add rows here."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from projections import commands, market, reference, trading
from projections.rows import Change, Table
from schemas import commands as asked
from schemas import market as seen
from schemas import reference as known
from schemas import topics
from schemas import trading as story
from schemas.envelope import Event
from schemas.topics import Topic

Project = Callable[[Any], Iterable[Change]]


@dataclass(frozen=True, slots=True)
class Source:
    """One topic and what its events do to rows.

    `skips`: a record that cannot be read (an unknown type, no event at all) is counted and left out while live; elsewhere it halts the projection.
    `answered`: somebody else answers such a record with an event of its own, so a rebuild leaves it out too instead of failing.
    """

    topic: Topic
    projects: Mapping[type[Event], Project]
    skips: bool = False
    answered: bool = False


SOURCES: Mapping[str, Source] = {source.topic.name: source for source in (
    Source(topics.BARS, {seen.BarClosed: market.bar, seen.BarLate: market.bar, seen.BarCorrected: market.bar}, skips=True),
    Source(topics.CLOCK, {seen.MinuteSealed: market.sealed, seen.SessionOpened: market.session, seen.SessionClosed: market.session}, skips=True),
    Source(topics.REFERENCE, {known.SecurityListed: reference.listed}),
    # The account's actor answers what it cannot read with command.rejected: halting here would let any one record stop the read models.
    Source(topics.COMMANDS, {asked.TradeRequested: commands.trade, asked.SecuritiesRequested: commands.securities}, skips=True, answered=True),
    Source(topics.TRADING, {
        story.LeaseTaken: trading.account, story.AccountReady: trading.account, story.AccountHalted: trading.account,
        story.LimitsSet: trading.limits, story.CommandRejected: trading.rejected,
        story.OrderApproved: trading.decided, story.OrderDenied: trading.decided,
        story.OrderSubmitting: trading.moved, story.OrderAccepted: trading.moved, story.OrderRejected: trading.moved,
        story.OrderUnknown: trading.moved, story.OrderCancelled: trading.moved, story.OrderExpired: trading.moved,
        story.FillRecorded: trading.filled, story.OrderStranded: trading.stranded,
    }),
)}

# A table stands behind those it refers to.
TABLES: tuple[Table, ...] = (
    reference.STUBS, reference.SECURITIES, market.FEEDS, market.MINUTES, market.BARS, market.SEALED, market.SESSIONS,
    commands.COMMANDS, trading.STUBS, trading.ACCOUNTS, trading.LIMITS, trading.REJECTIONS,
    trading.ORDERS, trading.DECISIONS, trading.FILLS, trading.POSITIONS, trading.STRANDED,
)
