"""A detection as the log tells it. Pure."""

from schemas.analysis import PatternDetected, Point, Weighed
from schemas.envelope import Event
from streams.patterns.shape import Detection
from streams.technical.series import moment


def detected(found: Detection, symbol: str, cause: Event, source: str) -> PatternDetected:
    """What was found in a symbol's bars, caused by what made us look (the minute's seal). `time` is the END of the last bar; equal finds are equal events."""
    return PatternDetected.caused_by(
        cause, source=source, subject=symbol, time=moment(found.last), pattern=found.pattern, pattern_version=found.version, timeframe=found.timeframe,
        confidence=found.confidence, parts=tuple(Weighed(name=part.name, value=part.value, weight=part.weight) for part in found.parts),
        breakout=found.breakout, stop=found.stop, target=found.target, first=moment(found.first), last=moment(found.last),
        points=tuple(Point(name=spot.name, time=moment(spot.end), price=spot.price) for spot in found.points),
    )
