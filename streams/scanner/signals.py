"""From candidates to signals: which strategies are asked, and what a signal says. Pure: equal candidates give equal signals, ids included."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from schemas.analysis import SignalRaised
from streams.scanner import pattern_breakout
from streams.scanner.strategy import Entry, Setup, Strategy

STRATEGIES: tuple[Strategy, ...] = (pattern_breakout.STRATEGY,)      # in the order in which they are asked


def signals(setups: Sequence[Setup], said: Mapping[tuple[str, str], datetime], strategies: Sequence[Strategy] = STRATEGIES) -> list[SignalRaised]:
    """What the strategies make of the candidates, best candidate first; `said` is when each (symbol, strategy) last raised one. Pure, equal for equal input."""
    found = []
    for setup in setups:
        for strategy in strategies:
            last = said.get((setup.candidate.symbol, strategy.name))
            if last is not None and setup.minute - last < strategy.cooldown:
                continue
            entry = strategy.entry(replace(setup, values={name: setup.values.get(name) for name in strategy.inputs}))
            if entry is not None and 0 < _cents(entry.stop, ROUND_FLOOR) < _cents(entry.entry) < _cents(entry.target, ROUND_FLOOR):
                found.append(_signal(setup, strategy, entry))
    return [signal.model_copy(update={"number": number, "of": len(found)}) for number, signal in enumerate(found, 1)]


def _signal(setup: Setup, strategy: Strategy, entry: Entry) -> SignalRaised:
    causes = tuple(one.id for one in (setup.pattern, setup.catalyst) if one is not None)
    signal = SignalRaised.new(
        source="/analysis/strategies", subject=setup.candidate.symbol, time=setup.minute, entry=_cents(entry.entry), stop=_cents(entry.stop, ROUND_FLOOR),
        target=_cents(entry.target, ROUND_FLOOR), confidence=Decimal(f"{entry.confidence:.4f}"),
        size_hint=Decimal(entry.size_hint) if entry.size_hint else None, expires=setup.minute + entry.lasts, strategy=strategy.name,
        strategy_version=strategy.version, reasons=entry.reasons, figures=entry.figures)
    first = causes[0] if causes else None
    story = setup.catalyst.correlationid or setup.catalyst.id if setup.catalyst is not None else first
    return signal.model_copy(update={"causes": causes[1:], "causationid": first, "correlationid": story})


def _cents(price: float, rounding: str | None = None) -> Decimal:
    """A price an order may have; a stop and a target lie on the cautious side."""
    exact = Decimal(repr(float(price)))
    return exact.quantize(Decimal("0.01"), rounding or ROUND_CEILING)
