"""What may be committed: never past a record that was not handled."""

from streams.log import TopicPartition
from streams.progress import Arrival, Progress

ZERO, ONE = TopicPartition("t", 0), TopicPartition("t", 1)


def progress(*agents: str, committed: int | None = None, begin: int = 0) -> Progress:
    positions = Progress({ZERO: begin, ONE: begin})
    for agent in agents or ("a",):
        positions.reads(agent, "t")
    positions.assigned({ZERO: committed})
    return positions


def test_nothing_handled_commits_nothing_new():
    assert progress(committed=7).positions() == {ZERO: 7}


def test_a_group_that_never_committed_begins_at_the_logs_begin():
    positions = progress(begin=5)
    assert positions.arrives("a", ZERO, 5) is Arrival.NEXT
    assert positions.arrives("a", ZERO, 6) is Arrival.SKIPPED


def test_handling_moves_one_record_at_a_time():
    positions = progress(committed=7)
    assert positions.arrives("a", ZERO, 7) is Arrival.NEXT
    positions.handled("a", ZERO, 7)
    assert positions.positions() == {ZERO: 8}
    assert positions.arrives("a", ZERO, 7) is Arrival.AGAIN
    assert positions.arrives("a", ZERO, 9) is Arrival.SKIPPED


def test_the_slowest_agent_decides_how_far_a_partition_is():
    positions = progress("a", "b", committed=0)
    positions.handled("a", ZERO, 0)
    assert positions.positions() == {ZERO: 0}
    positions.handled("b", ZERO, 0)
    assert positions.positions() == {ZERO: 1}


def test_a_record_in_flight_while_its_partition_is_taken_away_moves_nothing():
    positions = progress(committed=3)
    positions.assigned({ONE: 0})
    positions.handled("a", ZERO, 3)
    assert positions.positions() == {ONE: 0}


def test_after_a_rebalance_what_was_handled_stays_handled():
    positions = progress(committed=3)
    positions.handled("a", ZERO, 3)
    positions.handled("a", ZERO, 4)
    positions.assigned({ZERO: 4, ONE: 0})
    assert positions.arrives("a", ZERO, 4) is Arrival.AGAIN
    assert positions.positions() == {ZERO: 5, ONE: 0}


def test_what_another_instance_committed_meanwhile_counts():
    positions = progress(committed=3)
    positions.assigned({ZERO: 9})
    assert positions.arrives("a", ZERO, 9) is Arrival.NEXT


def test_whether_the_group_ever_answered_is_known():
    assert not Progress({}).joined and progress().joined
