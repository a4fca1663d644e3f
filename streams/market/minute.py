"""The minute: which bars go on the log, in what order, and when a minute is complete and sealed.

Pure. The shell (`agent`) hands in what it heard (`hear`), appends what `decide` answers and lets `evolve` see what really stands on the log; on start the
same `evolve` reads the log back. Bars of a minute are written only when every minute before it is complete, so that nothing behind a seal's end offsets
belongs to a later minute. Nothing here knows a broker, a clock or a log.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from schemas.envelope import Event
from schemas.market import BarClosed, BarCorrected, BarLate, MinuteSealed, SealedPartition, SessionClosed, SessionOpened
from streams.market.tape import (
    Caught,
    Counted,
    Ended,
    Fetched,
    Filled,
    Heard,
    Input,
    Interrupted,
    Known,
    Placed,
    Rules,
    Running,
    Scheduled,
    Session,
    Streamed,
    Tally,
    Tape,
    Ticked,
    fingerprint,
)

MINUTE = timedelta(minutes=1)
RECALL = 30         # sealed minutes whose bars are remembered, to tell a repetition from a late or corrected bar: 30 MB for 10,000 symbols


# hearing ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def hear(tape: Tape, heard: Input) -> Tape:
    """What an input means. Writes nothing: what to append is `decide`'s answer."""
    match heard:
        case Streamed(bars) | Fetched(bars):
            return _hear_bars(tape, bars, streamed=isinstance(heard, Streamed))
        case Filled(source, bars):
            return _fill(tape, source, bars)
        case Scheduled(sessions):
            return replace(tape, sessions=sessions)
        case Ticked(now):
            passed = _floor(now - tape.rules.grace)
            return replace(tape, now=now, told=tape.told if tape.interrupted else _later(tape.told, passed))
        case Counted(minute, bars):
            if tape.last is not None and minute <= tape.last:
                return tape
            return replace(tape, counted={**tape.counted, minute: bars}, ended=False)
        case Interrupted():
            return replace(tape, interrupted=True)
        case Caught(upto):
            told = _later(tape.told, upto)
            return replace(tape, interrupted=False, told=told, caught=_later(tape.caught, upto), ended=False)
        case Ended():
            return replace(tape, ended=True)


def _hear_bars(tape: Tape, bars: Iterable[Heard], *, streamed: bool) -> Tape:
    known, held, unwanted = dict(tape.known), dict(tape.held), dict(tape.unwanted)
    revisions = list(tape.revisions)
    changed: set[datetime] = set()
    seen = dict.fromkeys(Tally.__dataclass_fields__, 0)
    newest = tape.told
    oldest = min(known, default=None)
    for bar in bars:
        minute = bar.end
        if streamed and tape.rules.ahead is not None and tape.now is not None and minute > tape.now + tape.rules.ahead:
            seen["refused"] += 1
            continue
        if streamed:
            newest = _later(newest, minute - MINUTE)
        passed = _has_passed(tape, minute)
        if tape.rules.symbols is not None and bar.symbol not in tape.rules.symbols:
            seen["unwanted"] += 1
            if not passed and tape.rules.lockstep:
                unwanted[minute] = unwanted.get(minute, frozenset()) | {bar.symbol}
            continue
        before = known.get(minute, {}).get(bar.symbol)
        if before is None and not passed:
            if minute not in changed:
                changed.add(minute)
                held[minute] = dict(held.get(minute, {}))
            waiting = held[minute].get(bar.symbol)
            if waiting is not None:
                seen["duplicates" if waiting == bar else "replaced"] += 1
            held[minute][bar.symbol] = bar      # type: ignore[index]       # a dict of our own, made three lines above
        elif before is not None and before.fingerprint == fingerprint(bar):
            seen["duplicates"] += 1
        elif before is None and (oldest is None or minute < oldest):
            seen["forgotten"] += 1
        else:
            event = _late(tape.rules, bar) if before is None else _corrected(tape.rules, bar, before.revision + 1)
            seen["late" if before is None else "corrected"] += 1
            revisions.append(event)
            known[minute] = {**known.get(minute, {}), bar.symbol: Known(fingerprint(bar), before.revision + 1 if before else 0)}
    tally = replace(tape.tally, **{name: getattr(tape.tally, name) + count for name, count in seen.items() if count})
    told = newest if streamed and not tape.interrupted else tape.told
    return replace(tape, known=known, held=held, unwanted=unwanted, revisions=tuple(revisions), told=told, tally=tally)


def _fill(tape: Tape, source: str, bars: Iterable[Heard]) -> Tape:
    """Another source's bars of minutes that are sealed, late; never beside one of ours that is remembered."""
    wanted = [bar for bar in bars if _has_passed(tape, bar.end) and bar.symbol not in tape.known.get(bar.end, ())
              and (tape.rules.symbols is None or bar.symbol in tape.rules.symbols)]
    late = tuple(_late(replace(tape.rules, source=source), bar) for bar in wanted)
    return replace(tape, revisions=(*tape.revisions, *late), tally=replace(tape.tally, filled=tape.tally.filled + len(late)))


def _has_passed(tape: Tape, minute: datetime) -> bool:
    """Whether the minute can take no more bars: it is sealed, or a later one is being written (closed hours leave minutes without a seal)."""
    return (tape.last is not None and minute <= tape.last) or (tape.open is not None and minute < tape.open)


# deciding ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def decide(tape: Tape) -> list[Event]:
    """What to append next, in this order: bars only, or events of the clock only. Empty while something has to be waited for."""
    bars: list[Event] = list(tape.revisions)
    minute = _next(tape)
    if bars:
        return bars
    clock: list[Event] = []
    while (event := _clock_event(tape, minute)) is not None:
        clock.append(event)
        tape = evolve(tape, event)
        minute = _next(tape)
    if clock or minute is None or minute not in tape.held or not _may_write(tape, minute):
        return clock
    return [_closed(tape.rules, tape.held[minute][symbol]) for symbol in sorted(tape.held[minute])]


def missing(tape: Tape) -> tuple[datetime, datetime] | None:
    """Lockstep: the first and the last minute that were counted and have fewer bars than that; None when none has."""
    short = [minute for minute, bars in tape.counted.items() if _bars_of(tape, minute) < bars]
    return (min(short), max(short)) if short else None


def _complete(tape: Tape) -> datetime | None:
    """The newest minute of which every bar has been heard, and so of all before it."""
    if not tape.rules.lockstep:
        return tape.told
    first = min(tape.counted, default=None)
    if first is None:
        return tape.last
    return first if _bars_of(tape, first) >= tape.counted[first] else first - MINUTE


def _bars_of(tape: Tape, minute: datetime) -> int:
    written = len(tape.known.get(minute, ())) if minute == tape.open else 0
    return written + len(tape.held.get(minute, ())) + len(tape.unwanted.get(minute, ()))


def _may_write(tape: Tape, minute: datetime) -> bool:
    """Live, bars are written as they come; in lockstep a minute at a time, when it is complete: one batch instead of several."""
    complete = _complete(tape)
    return complete is not None and minute <= (complete if tape.rules.lockstep else complete + MINUTE)


def _next(tape: Tape) -> datetime | None:
    """The minute to write or seal next: the first that has bars or was counted, or one in which a session was silent."""
    heard = min((*tape.held, *tape.counted, *([tape.open] if tape.open else [])), default=None)
    silent = _silent(tape, heard)
    return min((minute for minute in (heard, silent) if minute is not None), default=None)


def _silent(tape: Tape, heard: datetime | None) -> datetime | None:
    """The minute of a session that follows the last sealed one, or the session's first; sessions of which nothing was heard are left out."""
    if tape.last is not None and (present := _find(tape.sessions, tape.last + MINUTE)) is not None and present.opens <= tape.last:
        return tape.last + MINUTE
    target = heard if heard is not None else _complete(tape)
    session = _find(tape.sessions, target) if target is not None else None
    if session is None or (tape.last is not None and tape.last > session.opens):
        return None
    return session.opens + MINUTE


def _clock_event(tape: Tape, minute: datetime | None) -> Event | None:
    complete, running = _complete(tape), tape.running
    if running is not None and _is_over(tape, running.session, minute, complete):
        return _session_closed(tape, running)
    if complete is None:
        return None
    if running is None and (session := _due(tape, minute, complete)) is not None:
        return SessionOpened.new(source=tape.rules.source, subject=tape.rules.feed, time=session.opens,
                                 session=session.day, opens=session.opens, closes=session.closes)
    if minute is not None and minute <= complete and minute not in tape.held:
        return _sealed(tape, minute)
    return None


def _is_over(tape: Tape, session: Session, minute: datetime | None, complete: datetime | None) -> bool:
    if tape.last is not None and tape.last >= session.closes:
        return True
    if complete is not None and complete >= session.closes and (minute is None or minute > session.closes):
        return True
    nothing_left = not tape.held and not tape.counted and tape.open is None
    return tape.ended and nothing_left and (tape.rules.lockstep or not tape.interrupted)


def _due(tape: Tape, minute: datetime | None, complete: datetime) -> Session | None:
    """The session that begins now: market time has reached its opening, and something happens in it."""
    if tape.ended and minute is None:
        return None
    session = _find(tape.sessions, minute if minute is not None else complete + MINUTE)
    if session is None or session.opens > complete or (tape.day is not None and session.day <= tape.day):
        return None
    return session


def _find(sessions: Iterable[Session], minute: datetime) -> Session | None:
    """The session to which the minute with this end belongs."""
    return next((session for session in sessions if session.opens < minute <= session.closes), None)


def _sealed(tape: Tape, minute: datetime) -> MinuteSealed:
    counts = tape.counts if minute == tape.open else (0,) * tape.rules.partitions
    partitions = tuple(SealedPartition(partition=number, end_offset=end, count=count)
                       for number, (end, count) in enumerate(zip(tape.ends, counts, strict=True)))
    caught_up = not tape.rules.lockstep and tape.caught is not None and minute <= tape.caught
    reason = "lockstep" if tape.rules.lockstep else "backfill" if caught_up else "grace"
    return MinuteSealed.new(source=tape.rules.source, subject=tape.rules.feed, time=minute, minute=minute,
                            partitions=partitions, bars=sum(counts), reason=reason)


def _session_closed(tape: Tape, running: Running) -> SessionClosed:
    closes = running.session.closes
    at = min(closes, tape.last) if tape.ended and tape.last is not None else closes
    return SessionClosed.new(source=tape.rules.source, subject=tape.rules.feed, time=at, session=running.session.day,
                             minutes=running.minutes, bars=running.bars)


def _figures(rules: Rules, bar: Heard) -> dict[str, object]:
    return {"source": rules.source, "subject": bar.symbol, "time": bar.end, "start": bar.end - MINUTE, **bar._asdict()}


def _closed(rules: Rules, bar: Heard) -> BarClosed:
    return BarClosed.new(**_figures(rules, bar))        # type: ignore[arg-type]


def _late(rules: Rules, bar: Heard) -> BarLate:
    return BarLate.new(**_figures(rules, bar))      # type: ignore[arg-type]


def _corrected(rules: Rules, bar: Heard, revision: int) -> BarCorrected:
    return BarCorrected.new(**_figures(rules, bar), revision=revision)      # type: ignore[arg-type]


# what stands on the log ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def evolve(tape: Tape, event: Event) -> Tape:
    """What an event on the clock topic means, once; `placed` does the same for bars. Most events mean nothing to it."""
    match event:
        case SessionOpened() if tape.day is None or event.session > tape.day:
            return replace(tape, running=Running(Session(event.session, event.opens, event.closes)), day=event.session)
        case SessionClosed():
            return replace(tape, running=None)
        case MinuteSealed() if tape.last is None or event.minute > tape.last:
            return _was_sealed(tape, event)
        case _:
            return tape


def _was_sealed(tape: Tape, event: MinuteSealed) -> Tape:
    minute, running = event.minute, tape.running
    if running is not None and running.session.opens < minute <= running.session.closes:
        running = replace(running, minutes=running.minutes + 1, bars=running.bars + event.bars)
    known = {**tape.known, minute: tape.known.get(minute, {})}
    for forgotten in sorted(known)[:-RECALL]:
        del known[forgotten]
    ends = tuple(max(end, sealed.end_offset) for end, sealed in zip(tape.ends, event.partitions, strict=True))
    return replace(
        tape, last=minute, open=None, running=running, known=known, ends=ends, counts=(0,) * tape.rules.partitions,
        counted={after: bars for after, bars in tape.counted.items() if after > minute},
        unwanted={after: symbols for after, symbols in tape.unwanted.items() if after > minute})


def placed(tape: Tape, records: Iterable[Placed]) -> Tape:
    """What bars on the log mean, in offset order per partition. A record with an id that is there already only moves the end."""
    ends, counts, opened = list(tape.ends), list(tape.counts), tape.open
    known: dict[datetime, dict[str, Known]] = {}
    held: dict[datetime, dict[str, Heard]] = {}
    otherwise: list[Heard] = []                     # heard with other figures than the log has
    written = set()
    for event, partition, offset in records:
        minute, symbol = event.end, event.subject
        ends[partition] = max(ends[partition], offset + 1)
        written.add(event.id)
        if event.source != tape.rules.source:
            continue                                # another source's says nothing of what ours has said
        sealed = tape.last is not None and minute <= tape.last
        if sealed and minute not in tape.known:
            continue                                # longer ago than we remember
        bars = known.setdefault(minute, dict(tape.known.get(minute, {}))) if minute not in known else known[minute]
        revision = event.revision if isinstance(event, BarCorrected) else 0
        before = bars.get(symbol)
        if before is None or revision >= before.revision:
            bars[symbol] = Known(fingerprint(event), revision)
        if sealed or not isinstance(event, BarClosed):
            continue
        opened = minute
        counts[partition] += before is None
        waiting = held.setdefault(minute, dict(tape.held.get(minute, {}))) if minute not in held else held[minute]
        said = waiting.pop(symbol, None)
        if said is not None and fingerprint(said) != bars[symbol].fingerprint:
            otherwise.append(said)
    remaining = {minute: bars for minute, bars in {**tape.held, **held}.items() if bars}
    tape = replace(tape, ends=tuple(ends), counts=tuple(counts), open=opened, known={**tape.known, **known}, held=remaining,
                   revisions=tuple(event for event in tape.revisions if event.id not in written))
    return _hear_bars(tape, otherwise, streamed=False) if otherwise else tape


def _floor(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def _later(one: datetime | None, other: datetime) -> datetime:
    return other if one is None or other > one else one
