"""What could not be handled, and how the system itself ran."""

from schemas.envelope import Event, UtcTime


class EventParked(Event, type="event.parked.v1", identity=("topic", "partition", "offset", "handler")):
    """A record that its handler could not take after all retries. The original bytes are here; `subject` is the original key."""

    topic: str
    partition: int
    offset: int
    handler: str                        # which agent gave up on it
    error: str                          # exception type and text
    attempts: int
    value: str                          # the original value, base64; empty where it was too large to be kept twice and stands at its origin only


class DeadLetterReplayed(Event, type="deadletter.replayed.v1", identity=("topic", "partition", "offset", "handler", "number")):
    """A parked record was put back on its topic by a person."""

    topic: str
    partition: int
    offset: int
    handler: str
    number: int
    actor: str


class RunStarted(Event, type="run.started.v1", identity=("subject", "time")):
    """A process of ours began. `subject` is the instance; its run ends with run.ended, or without one when it was killed."""

    role: str
    version: str
    python: str
    settings_digest: str                # sha256 over the settings without secrets
    host: str
    pid: int


class RunEnded(Event, type="run.ended.v1", identity=("subject", "started")):
    """A process of ours ended in order."""

    role: str
    started: UtcTime                    # of its run.started
    exit_code: int


EVENTS = (EventParked, DeadLetterReplayed, RunStarted, RunEnded)
