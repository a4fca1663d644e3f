"""What may be appended at all, asked by both back ends before anything is sent, so that they refuse the same things in the same words. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from schemas.topics import Topic
from streams.log import Message, Refused
from streams.log.keys import partition_for

MAX_BATCH_BYTES = 1_000_000     # a broker takes 1,048,588 by default, batch header included
OVERHEAD = 32                   # lengths, offset and timestamp of one record, at most


def refusal(topics: Mapping[str, Topic], topic: str, messages: Sequence[Message]) -> Refused | None:
    """Why these messages can never be appended to this topic in one batch, or None. Raises ValueError for a caller's mistake."""
    if not messages:
        raise ValueError(f"{topic}: nothing to append")
    if len({message.key for message in messages}) > 1:
        raise ValueError(f"{topic}: one append has one key; got {sorted({message.key for message in messages})}. Use append_many for several")
    if topic not in topics:
        return Refused(unknown_topic(topics, topic))
    size = sum(map(size_of, messages))
    return Refused(too_large(topic, messages[0].key, size)) if size > MAX_BATCH_BYTES else None


def unknown_topic(topics: Mapping[str, Topic], name: str) -> str:
    """The refusal of a name that is not in the catalogue, in words."""
    return f"no topic {name!r} in the catalogue; there are: {', '.join(sorted(topics))}"


def topic_named(topics: Mapping[str, Topic], name: str) -> Topic:
    """The topic of this name. Raises LookupError."""
    try:
        return topics[name]
    except KeyError:
        raise LookupError(unknown_topic(topics, name)) from None


def too_large(topic: str, key: str, size: int) -> str:
    """The refusal in words."""
    return f"{topic}, key {key}: {size:,} bytes in one append, the log takes {MAX_BATCH_BYTES:,}. Nothing was written; split the event into chunks"


def size_of(message: Message) -> int:
    """Bytes this message takes in a batch, at most."""
    return len(message.value) + len(message.key) + OVERHEAD + sum(len(name) + len(value) + 4 for name, value in message.headers)


def by_partition(topic: Topic, messages: Sequence[Message]) -> dict[int, list[Message]]:
    """The messages sorted to their partitions, in order."""
    sorted_out: dict[int, list[Message]] = {}
    for message in messages:
        sorted_out.setdefault(partition_for(message.key, topic.partitions), []).append(message)
    return sorted_out


def batches(messages: Iterable[Message]) -> Iterator[list[Message]]:
    """Runs of messages that fit one batch each; one that is too large by itself is a run of its own."""
    number, filled = 0, 0

    def batch_of(message: Message) -> int:
        nonlocal number, filled
        size = size_of(message)
        if filled and filled + size > MAX_BATCH_BYTES:
            number, filled = number + 1, 0
        filled += size
        return number

    for _, run in groupby(messages, batch_of):
        yield list(run)
