"""The recording of a feed: what is written, in what order, and when a minute is complete."""

from datetime import timedelta
from decimal import Decimal

import pytest

from schemas.market import BarClosed, BarCorrected, BarLate, MinuteSealed
from streams.market.minute import RECALL, decide, hear, missing, placed
from streams.market.tape import Caught, Counted, Ended, Fetched, Interrupted, Placed, Streamed, Ticked
from tests.unit.market.conftest import Recording, bar, told, utc

# lockstep ────────────────────────────────────────────────────────────────────


def test_in_lockstep_a_minute_is_sealed_when_the_exchanges_count_is_reached(lockstep: Recording) -> None:
    lockstep.hear(Streamed((bar("A", "14:31"),)), Counted(utc("14:31"), 2))
    assert lockstep.story == ["opened 11"]
    lockstep.hear(Streamed((bar("B", "14:31"),)))
    assert lockstep.story == ["opened 11", "A 14:31", "B 14:31", "seal 14:31 lockstep 2"]


def test_in_lockstep_bars_wait_for_the_count_of_their_minute(lockstep: Recording) -> None:
    assert lockstep.hear(Streamed((bar("A", "14:31"),))) == []
    assert [told(event) for event in lockstep.hear(Counted(utc("14:31"), 1))] == ["opened 11", "A 14:31", "seal 14:31 lockstep 1"]


def test_a_bar_said_twice_does_not_reach_the_count_twice(lockstep: Recording) -> None:
    lockstep.hear(Streamed((bar("A", "14:31"), bar("A", "14:31"))), Counted(utc("14:31"), 2))
    assert lockstep.seals == []
    assert lockstep.tape.tally.duplicates == 1


def test_the_bars_of_a_minute_stand_in_symbol_order_however_they_came(lockstep: Recording) -> None:
    lockstep.hear(Counted(utc("14:31"), 3), Streamed((bar("C", "14:31"), bar("A", "14:31"))), Streamed((bar("B", "14:31"),)))
    assert lockstep.story[1:4] == ["A 14:31", "B 14:31", "C 14:31"]


def test_a_seal_says_for_every_partition_where_it_ends_and_how_many_bars_it_has(lockstep: Recording) -> None:
    lockstep.hear(Streamed((bar("A", "14:31"), bar("E", "14:31"), bar("B", "14:31"))), Counted(utc("14:31"), 3))
    lockstep.hear(Streamed((bar("A", "14:32"),)), Counted(utc("14:32"), 1))
    first, second = lockstep.seals
    assert [(it.partition, it.end_offset, it.count) for it in first.partitions] == [(0, 0, 0), (1, 2, 2), (2, 1, 1), (3, 0, 0)]
    assert [(it.partition, it.end_offset, it.count) for it in second.partitions] == [(0, 0, 0), (1, 3, 1), (2, 1, 0), (3, 0, 0)]


def test_nothing_of_a_later_minute_stands_before_a_seals_end_offsets(lockstep: Recording) -> None:
    lockstep.hear(Streamed((bar("A", "14:32"), bar("A", "14:31"))), Counted(utc("14:31"), 1), Counted(utc("14:32"), 1))
    assert lockstep.story[1:] == ["A 14:31", "seal 14:31 lockstep 1", "A 14:32", "seal 14:32 lockstep 1"]


def test_minutes_of_a_session_without_bars_are_sealed_with_none(lockstep: Recording) -> None:
    lockstep.hear(Streamed((bar("A", "14:33"),)), Counted(utc("14:33"), 1))
    assert lockstep.story == ["opened 11", "seal 14:31 lockstep 0", "seal 14:32 lockstep 0", "A 14:33", "seal 14:33 lockstep 1"]


def test_outside_sessions_only_minutes_with_bars_are_sealed(lockstep: Recording) -> None:
    lockstep.hear(Streamed((bar("A", "09:00"), bar("A", "09:05"))), Counted(utc("09:00"), 1), Counted(utc("09:05"), 1))
    assert lockstep.story == ["A 09:00", "seal 09:00 lockstep 1", "A 09:05", "seal 09:05 lockstep 1"]


def test_the_next_day_closes_the_session_of_the_day_before_after_its_silent_minutes(lockstep: Recording) -> None:
    lockstep.hear(Streamed((bar("A", "20:58"),)), Counted(utc("20:58"), 1))
    lockstep.hear(Streamed((bar("A", "14:31", day=12),)), Counted(utc("14:31", 12), 1))
    assert lockstep.story[-7:] == ["seal 20:58 lockstep 1", "seal 20:59 lockstep 0", "seal 21:00 lockstep 0", "closed 11 390 1",
                                   "opened 12", "A 14:31", "seal 14:31 lockstep 1"]


def test_a_session_of_which_the_feed_has_nothing_is_left_out(lockstep: Recording) -> None:
    lockstep.hear(Streamed((bar("A", "21:00"),)), Counted(utc("21:00"), 1))
    lockstep.hear(Streamed((bar("A", "14:31", day=15),)), Counted(utc("14:31", 15), 1))
    assert [line for line in lockstep.story if line.startswith(("opened", "closed"))] == ["opened 11", "closed 11 390 1", "opened 15"]


def test_the_end_of_the_feed_closes_the_session_as_it_stands(lockstep: Recording) -> None:
    lockstep.hear(Streamed((bar("A", "14:31"),)), Counted(utc("14:31"), 1), Ended())
    assert lockstep.story[-1] == "closed 11 1 1"
    assert lockstep.hear(Ended()) == []


def test_the_end_of_the_feed_waits_for_what_was_counted(lockstep: Recording) -> None:
    lockstep.hear(Counted(utc("14:31"), 1), Ended())
    assert lockstep.story == ["opened 11"]
    lockstep.hear(Fetched((bar("A", "14:31"),)))
    assert lockstep.story[1:] == ["A 14:31", "seal 14:31 lockstep 1", "closed 11 1 1"]


def test_symbols_that_are_not_recorded_still_belong_to_the_exchanges_count() -> None:
    some = Recording(lockstep=True, symbols=["A"])
    some.hear(Streamed((bar("A", "14:31"), bar("B", "14:31"))), Counted(utc("14:31"), 2))
    some.hear(Streamed((bar("B", "14:32"),)), Counted(utc("14:32"), 1))
    assert some.story == ["opened 11", "A 14:31", "seal 14:31 lockstep 1", "seal 14:32 lockstep 0"]


def test_what_the_stream_did_not_bring_is_named_so_that_it_can_be_fetched(lockstep: Recording) -> None:
    lockstep.hear(Counted(utc("14:31"), 1), Counted(utc("14:32"), 1), Counted(utc("14:33"), 1), Streamed((bar("A", "14:32"),)))
    assert missing(lockstep.tape) == (utc("14:31"), utc("14:33"))
    lockstep.hear(Fetched((bar("A", "14:31"), bar("A", "14:32"), bar("A", "14:33"))))
    assert missing(lockstep.tape) is None
    assert [seal.minute for seal in lockstep.seals] == [utc("14:31"), utc("14:32"), utc("14:33")]


def test_the_same_bars_by_other_roads_give_the_same_events() -> None:
    streamed, fetched = Recording(lockstep=True), Recording(lockstep=True)
    bars = (bar("B", "14:31"), bar("A", "14:31"), bar("A", "14:33"))
    streamed.hear(Streamed(bars[:2]), Counted(utc("14:31"), 2), Counted(utc("14:33"), 1), Streamed(bars[2:]))
    fetched.hear(Counted(utc("14:31"), 2), Counted(utc("14:33"), 1), Fetched(bars[::-1]))
    assert streamed.log == fetched.log


# live ────────────────────────────────────────────────────────────────────────


def test_live_bars_are_written_as_they_come_and_sealed_after_the_grace(live: Recording) -> None:
    live.hear(Streamed((bar("A", "14:31"),)))
    assert live.story == ["opened 11", "A 14:31"]
    live.hear(Ticked(utc("14:31") + timedelta(seconds=1)))
    assert live.seals == []
    live.hear(Ticked(utc("14:31") + timedelta(seconds=1.5)))
    assert live.story[2:] == ["seal 14:31 grace 1"]


def test_a_bar_of_a_later_minute_seals_the_ones_before_it_at_once(live: Recording) -> None:
    live.hear(Streamed((bar("A", "14:31"), bar("B", "14:31"), bar("A", "14:33"))))
    assert live.story == ["opened 11", "A 14:31", "B 14:31", "seal 14:31 grace 2", "seal 14:32 grace 0", "A 14:33"]


def test_the_session_opens_and_closes_by_the_clock_without_any_bar(live: Recording) -> None:
    live.hear(Ticked(utc("14:30") + timedelta(seconds=2)))
    assert live.story == ["opened 11"]
    live.hear(Ticked(utc("21:00") + timedelta(seconds=2)))
    assert live.story[-2:] == ["seal 21:00 grace 0", "closed 11 390 0"]
    assert len(live.seals) == 390


def test_nothing_is_sealed_while_the_stream_may_have_lost_bars(live: Recording) -> None:
    live.hear(Streamed((bar("A", "14:31"),)), Interrupted())
    live.hear(Ticked(utc("14:35")), Streamed((bar("A", "14:36"),)))
    assert live.seals == []
    live.hear(Fetched((bar("A", "14:31"), bar("B", "14:31"), bar("B", "14:34"))), Caught(utc("14:35")))
    assert live.story[2:] == ["B 14:31", "seal 14:31 backfill 2", "seal 14:32 backfill 0", "seal 14:33 backfill 0", "B 14:34",
                              "seal 14:34 backfill 1", "seal 14:35 backfill 0", "A 14:36"]
    live.hear(Ticked(utc("14:37")))
    assert live.story[-1] == "seal 14:36 grace 1"


def test_an_outage_over_the_close_is_made_up_for_in_order(live: Recording) -> None:
    live.hear(Ticked(utc("20:59") + timedelta(seconds=2)), Interrupted())
    live.hear(Fetched((bar("A", "21:00"), bar("A", "14:31", day=12))), Caught(utc("14:31", 12)))
    assert live.story[-6:] == ["A 21:00", "seal 21:00 backfill 1", "closed 11 390 1", "opened 12", "A 14:31", "seal 14:31 backfill 1"]


def test_a_bar_from_the_future_is_refused_before_it_seals_the_day() -> None:
    live = Recording(ahead=timedelta(minutes=5))
    live.hear(Caught(utc("14:30")), Ticked(utc("14:31")), Streamed((bar("A", "20:00"),)))
    assert live.seals == []
    assert live.tape.tally.refused == 1


# late and corrected ──────────────────────────────────────────────────────────


def test_a_bar_after_its_seal_is_late_and_counts_for_no_minute(live: Recording) -> None:
    live.hear(Ticked(utc("14:32")))
    (late,) = live.hear(Streamed((bar("A", "14:31"),)))
    assert isinstance(late, BarLate)
    assert late.end == utc("14:31")
    (seal,) = live.hear(Ticked(utc("14:33")))
    assert isinstance(seal, MinuteSealed)
    assert (seal.bars, sum(it.end_offset for it in seal.partitions)) == (0, 1)


def test_other_figures_for_a_bar_on_the_log_are_a_correction_and_the_revisions_count(live: Recording) -> None:
    live.hear(Streamed((bar("A", "14:31"),)))
    revisions = live.hear(Streamed((bar("A", "14:31", close="10.5"),)), Ticked(utc("14:32")), Streamed((bar("A", "14:31", close="10.75"),)))
    corrected = [event for event in revisions if isinstance(event, BarCorrected)]
    assert [(it.revision, it.close) for it in corrected] == [(1, Decimal("10.5")), (2, Decimal("10.75"))]
    assert live.seals[0].bars == 1


def test_a_late_bar_can_be_corrected_too(live: Recording) -> None:
    live.hear(Ticked(utc("14:32")))
    live.hear(Streamed((bar("A", "14:31"), bar("A", "14:31"), bar("A", "14:31", close="10.5"))))
    assert live.story[-2:] == ["late A 14:31", "corrected A 14:31"]


def test_a_repetition_after_the_seal_is_dropped_even_in_another_spelling(live: Recording) -> None:
    live.hear(Streamed((bar("A", "14:31", close="10.5"),)), Ticked(utc("14:32")))
    assert live.hear(Streamed((bar("A", "14:31", close="10.50"),))) == []
    assert live.tape.tally.duplicates == 1


def test_other_figures_before_the_bar_is_written_replace_it(lockstep: Recording) -> None:
    lockstep.hear(Streamed((bar("A", "14:31"), bar("A", "14:31", close="10.5"))), Counted(utc("14:31"), 1))
    written = [event for event in lockstep.log if isinstance(event, BarClosed)]
    assert [it.close for it in written] == [Decimal("10.5")]


def test_a_bar_of_closed_hours_is_late_once_a_later_minute_is_being_written(live: Recording) -> None:
    live.hear(Streamed((bar("A", "14:31"),)), Streamed((bar("A", "22:05"),)))
    live.hear(Streamed((bar("A", "22:03"),)))
    assert live.story[-1] == "late A 22:03"


def test_memory_is_bounded_and_what_is_too_old_to_be_told_apart_is_left_out(live: Recording) -> None:
    live.hear(Streamed((bar("A", "14:31"),)), Ticked(utc("18:00")))
    assert len(live.tape.known) == RECALL
    assert live.hear(Streamed((bar("A", "14:31", close="10.5"), bar("B", "14:32")))) == []
    assert live.tape.tally.forgotten == 2


# crashes ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("survived", range(7))
def test_after_a_crash_at_any_point_the_log_ends_up_the_same(survived: int) -> None:
    bars = (bar("A", "14:31"), bar("B", "14:31"), bar("A", "14:32"))
    minutes = (Counted(utc("14:31"), 2), Counted(utc("14:32"), 1))
    whole, broken = Recording(lockstep=True), Recording(lockstep=True)
    whole.hear(Streamed(bars), *minutes)
    broken.append(whole.log[:survived])
    revived = broken.again()
    revived.hear(*minutes, Fetched(bars))
    assert revived.log == whole.log
    assert revived.hear(*minutes, Streamed(bars)) == []


def test_after_a_crash_the_session_still_counts_what_was_sealed_before_it(live: Recording) -> None:
    live.hear(Streamed((bar("A", "20:59"),)), Ticked(utc("20:59") + timedelta(seconds=2)))
    revived = live.again()
    revived.hear(Fetched((bar("A", "20:59"), bar("A", "21:00"))), Caught(utc("21:00")))
    assert revived.story[-1] == "closed 11 390 2"


def test_after_a_crash_late_bars_are_still_told_from_repetitions(live: Recording) -> None:
    live.hear(Streamed((bar("A", "14:31"),)), Ticked(utc("14:32")))
    revived = live.again()
    revived.hear(Caught(utc("14:31")))
    revived.hear(Streamed((bar("A", "14:31"), bar("B", "14:31"), bar("A", "14:31", close="10.5"))))
    assert revived.story[-2:] == ["late B 14:31", "corrected A 14:31"]


def test_a_record_that_is_on_the_log_twice_counts_once(lockstep: Recording) -> None:
    lockstep.tape = hear(lockstep.tape, Streamed((bar("A", "14:31"),)))
    lockstep.tape = hear(lockstep.tape, Counted(utc("14:31"), 1))
    lockstep.append(decide(lockstep.tape))
    (event,) = decide(lockstep.tape)
    assert isinstance(event, BarClosed)
    lockstep.tape = placed(lockstep.tape, [Placed(event, 0, 0), Placed(event, 0, 1)])
    (seal,) = decide(lockstep.tape)
    assert isinstance(seal, MinuteSealed)
    assert (seal.bars, seal.partitions[0].end_offset) == (1, 2)


def test_what_the_log_has_otherwise_than_the_feed_said_becomes_a_correction(live: Recording) -> None:
    live.tape = hear(live.tape, Streamed((bar("A", "14:31"),)))
    (event,) = decide(live.tape)
    live.tape = hear(live.tape, Streamed((bar("A", "14:31", close="10.5"),)))
    assert isinstance(event, BarClosed)
    live.tape = placed(live.tape, [Placed(event, 0, 0)])
    assert [told(it) for it in decide(live.tape)] == ["corrected A 14:31"]


def test_a_log_that_takes_nothing_is_asked_for_the_same_events_again(lockstep: Recording) -> None:
    lockstep.tape = hear(hear(lockstep.tape, Streamed((bar("A", "14:31"),))), Counted(utc("14:31"), 1))
    assert decide(lockstep.tape) == decide(lockstep.tape) != []
