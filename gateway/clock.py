"""What time a request carries and when it is too old. Judged on the market's clock, so against a simulation it is stamped with the market's clock.

The same rule as the account's own clock: a paced simulation runs on from its last sealed minute, for two minutes at most, and with the account's timers
behind the feed's end; in lockstep the market stands still between minutes. Without a simulation it is the wall clock.
"""

from datetime import UTC, datetime, timedelta

from gateway.stories import Stories
from schemas.settings import Settings

RUNS_ON = timedelta(minutes=2)      # market time a paced simulation is believed to move after its last sealed minute


def market_time(settings: Settings, stories: Stories, wall: datetime | None = None) -> datetime | None:
    """Market time now, UTC; None while a simulation has not finished its first minute."""
    wall = wall or datetime.now(UTC)
    if not settings.sim_url:
        return wall
    if stories.minute is None or stories.minute_seen is None:
        return None
    if settings.pace == "lockstep":
        return stories.minute
    known = [(stories.minute, stories.minute_seen), *([(stories.told_at, stories.told_seen)] if stories.told_at and stories.told_seen else [])]
    return max(said + min(max(wall - seen, timedelta(0)) * settings.speed, RUNS_ON) for said, seen in known)


def patience(settings: Settings) -> timedelta:
    """How long a request may wait, in market time: a fast simulation would use up a wall-clock patience within a second."""
    return timedelta(seconds=settings.command_ttl_s) * max(1.0, settings.speed if settings.sim_url else 1.0)
