"""How far the agents of one process are: the only source of the offsets it commits, and the judge of what Faust delivers. Pure.

Per partition the next offset to handle. A record below it was handled already; one above it means that records were skipped on the way here, which
must never be committed over. Fed by `streams.app`: where a partition's committed offset stands when it is assigned, and what the guards finished.
"""

from collections.abc import Mapping
from enum import Enum

from streams.log import TopicPartition


class Arrival(Enum):
    """What a delivered offset is."""

    NEXT = "the one to handle"
    AGAIN = "handled before"
    SKIPPED = "beyond the next: something before it did not arrive"


class Progress:
    """Positions of several agents, each on its topics; a partition is handled as far as its slowest agent.

    `stands` is where the group stands on every partition at the start: committed, or the log's begin.
    """

    def __init__(self, stands: Mapping[TopicPartition, int]) -> None:
        self._stands = dict(stands)
        self._agents: dict[str, list[str]] = {}                     # topic -> the agents that read it
        self._next: dict[TopicPartition, dict[str, int]] = {}
        self.joined = False                                         # whether the group ever gave us an assignment, be it an empty one

    def reads(self, agent: str, topic: str) -> None:
        """Declare an agent; before anything is assigned."""
        self._agents.setdefault(topic, []).append(agent)

    def assigned(self, committed: Mapping[TopicPartition, int | None]) -> None:
        """These partitions are ours now, committed so far (None: never); all others are not. What we handled beyond that stays handled."""
        self._next = {
            place: {agent: max(self._next.get(place, {}).get(agent, 0), self._stands[place] if offset is None else offset)
                    for agent in self._agents.get(place.topic, ())}
            for place, offset in committed.items()}
        self.joined = True

    def arrives(self, agent: str, place: TopicPartition, offset: int) -> Arrival:
        """What this record is to this agent."""
        due = self._next.get(place, {}).get(agent, offset)
        if offset == due:
            return Arrival.NEXT
        return Arrival.AGAIN if offset < due else Arrival.SKIPPED

    def handled(self, agent: str, place: TopicPartition, offset: int) -> None:
        """This agent brought the record at `offset` to its end. Ignored for a partition that was taken away meanwhile."""
        if place in self._next:
            self._next[place][agent] = max(self._next[place][agent], offset + 1)

    def positions(self) -> dict[TopicPartition, int]:
        """How far each partition of ours is handled: as far as it may be committed."""
        return {place: min(agents.values()) for place, agents in self._next.items() if agents}
