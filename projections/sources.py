"""Which topics are projected, what each event type does to which table, and in which order tables are written. To add a read model is to add rows here."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from projections import accounts, analysis, commands, cycle, market, news, reference, signals, trading
from projections.rows import Change, Table
from schemas import analysis as found
from schemas import broker as said
from schemas import commands as asked
from schemas import cycle as day
from schemas import market as seen
from schemas import news as told
from schemas import reference as known
from schemas import risk as limits
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


ORDER_MOVES = (story.OrderSubmitting, story.OrderAccepted, story.OrderRejected, story.OrderUnknown, story.OrderCancelled, story.OrderExpired,
               story.OrderWithdrawn, story.OrderStatusChanged, story.OrderReplaced)
ORDER_CHANGES = (story.OrderCancelling, story.OrderCancelRefused, story.OrderReplacing, story.OrderReplaceRefused)
CONTROLS = (day.CyclePaused, day.CycleResumed, day.CycleStopped, day.CycleStarted, day.ModeSet, day.SimulationOffered, limits.AccountResumed)

SOURCES: Mapping[str, Source] = {source.topic.name: source for source in (
    Source(topics.BARS, {seen.BarClosed: market.bar, seen.BarLate: market.bar, seen.BarCorrected: market.bar}, skips=True),
    Source(topics.CLOCK, {seen.MinuteSealed: market.sealed, seen.SessionOpened: market.session, seen.SessionClosed: market.session}, skips=True),
    Source(topics.REFERENCE, {known.SecurityListed: reference.listed, known.SectorAssigned: reference.assigned, known.DailyPublished: reference.daily,
                              known.SecurityChanged: reference.changed, known.DaysPublished: reference.days, known.SplitAnnounced: reference.split,
                              known.SymbolHalted: reference.halt, known.SymbolResumed: reference.halt}),
    Source(topics.NEWS, {told.NewsPublished: news.article, told.NewsUpdated: news.article, told.NewsScored: news.scored,
                         told.CatalystDetected: news.catalyst, told.SourceRated: news.rated, told.SourceChanged: news.source}, skips=True),
    Source(topics.INDICATORS, {found.IndicatorsComputed: analysis.indicators}, skips=True),
    Source(topics.SIGNALS, {found.SignalRaised: signals.raised, found.PatternDetected: analysis.pattern}),
    Source(topics.SCANS, {found.ScanCompleted: analysis.scan, found.ScanRefused: analysis.refused}),
    # The account's actor answers what it cannot read with command.rejected: halting here would let any one record stop the read models.
    Source(topics.COMMANDS, dict.fromkeys(asked.EVENTS, commands.command), skips=True, answered=True),
    Source(topics.TRADING, {
        story.LeaseTaken: accounts.account, story.AccountReady: accounts.account, story.AccountHalted: accounts.account,
        story.AccountReconciled: accounts.reconciled, story.CommandRejected: accounts.rejected,
        story.OrderApproved: trading.decided, story.OrderDenied: trading.decided, story.LegsAttached: trading.attached, story.OrderAdopted: trading.adopted,
        **dict.fromkeys(ORDER_MOVES, trading.moved), **dict.fromkeys(ORDER_CHANGES, trading.asked),
        story.FillRecorded: trading.filled, story.PositionAdjusted: trading.adjusted,
        limits.LimitsSet: accounts.limits, limits.ApprovalRequested: accounts.approval, limits.ApprovalRefused: accounts.approval,
        limits.ApprovalLapsed: accounts.approval,
        limits.EmergencyStopped: accounts.stopped, limits.PositionMarked: accounts.marked, limits.AccountValued: accounts.valued,
        limits.RiskAlerted: accounts.alerted,
        day.CyclePlanned: cycle.planned, day.PhaseEntered: cycle.phase, day.PhaseMissed: cycle.phase, day.AccountSealed: cycle.sealed,
        **dict.fromkeys(CONTROLS, cycle.controlled),
        day.SignalPassed: cycle.passed, day.IntentSimulated: cycle.simulated, day.DayReported: cycle.reported,
    }),
    Source(topics.BROKER, {said.BreakerChanged: accounts.breaker}),
)}

# A table stands behind those it refers to.
TABLES: tuple[Table, ...] = (
    reference.STUBS, reference.SECTORS, reference.SECURITIES, reference.SECURITIES_NOW, reference.SECTORS_OF, reference.SECURITY_CHANGES,
    reference.SECTOR_CHANGES, reference.DAYS, reference.SPLITS, reference.DAILY, reference.HALTS,
    market.FEEDS, market.MINUTES, market.BARS, market.SEALED, market.SESSIONS, signals.SIGNALS, commands.COMMANDS,
    news.STUBS, news.ARTICLES, news.VERSIONS, news.TAGS, news.SENTIMENT, news.CATALYSTS, news.SOURCE_CHANGES, news.RATINGS,
    analysis.PATTERNS, analysis.INDICATORS, analysis.SCANS, analysis.STAGES, analysis.RESULTS, analysis.SCAN_SIGNALS, analysis.LEFT_OUT, analysis.REFUSALS,
    accounts.STUBS, accounts.ACCOUNTS, accounts.LIMITS, accounts.REJECTIONS, accounts.APPROVALS, accounts.ALERTS, accounts.STOPS, accounts.VALUES,
    accounts.MARKS, accounts.RECONCILIATIONS, accounts.DIFFERENCES, accounts.BREAKERS,
    cycle.CYCLES, cycle.PHASES, cycle.CONTROLS, cycle.PASSED, cycle.SIMULATED, cycle.REPORTS,
    trading.ORDERS, trading.DECISIONS, trading.ASKED, trading.FILLS, trading.POSITIONS, trading.ADJUSTMENTS,
)
