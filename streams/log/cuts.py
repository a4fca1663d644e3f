"""What it means that a log was cut or replaced, in the words of both back ends: the four ways to notice, and what to do about it.

Pure. A reader that got one of these must not go on: records it or its users relied on are gone.
"""

import json
from uuid import UUID

from streams.log import LogCut, Record, TopicPartition

WAY_OUT = ("Stop the writers and bring the broker's data back (disk, replica or archive); if this is a new log on purpose, rebuild what was made "
           "from the old one.")


def before_begin(place: TopicPartition, expected: int, begin: int) -> LogCut:
    """Retention or somebody's hand removed the front."""
    return LogCut(f"{named(place)}: expected offset {expected}, but the log begins at {begin}: {begin - expected} records before it are gone. {WAY_OUT}")


def beyond_end(place: TopicPartition, expected: int, end: int) -> LogCut:
    """The log lost its tail, or is another one."""
    return LogCut(f"{named(place)}: expected offset {expected}, but the log ends at {end}: it was truncated or replaced. {WAY_OUT}")


def another(place: TopicPartition, offset: int, expected: object, found: object) -> LogCut:
    """The log is long enough but holds something else."""
    return LogCut(f"{named(place)}: expected {expected} at offset {offset}, found {found}: this is not the log that was read before. {WAY_OUT}")


def missing(place: TopicPartition, expected: int) -> LogCut:
    """The topic itself is gone."""
    return LogCut(f"{named(place)}: expected offset {expected}, but the broker has no such topic. {WAY_OUT}")


def damaged(place: TopicPartition, offset: int) -> LogCut:
    """The bytes are not what was written."""
    return LogCut(f"{named(place)}: the record batch at offset {offset} fails its checksum: the broker's file is damaged. {WAY_OUT}")


def named(place: TopicPartition) -> str:
    """`catalyst.trading, partition 2`."""
    return f"{place.topic}, partition {place.partition}"


def check_anchor(place: TopicPartition, record: Record, expected: UUID) -> None:
    """Raises LogCut unless the record is the event with this id."""
    found = id_in(record.value)
    if found != expected:
        raise another(place, record.offset, f"event {expected}", f"event {found}" if found else "something that is no event")


def id_in(value: bytes) -> UUID | None:
    """The event id in these wire bytes, whatever its type; None where there is none."""
    try:
        return UUID(json.loads(value)["id"])
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
