"""The circuit breaker, on a clock that is a variable."""

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import REGISTRY

from streams.breaker import OPENS_AFTER, PROBE_AFTER, Circuit

NOON = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)


class Bench:
    """A circuit, the time, and what was told."""

    def __init__(self) -> None:
        self.now = NOON
        self.told: list[tuple[str, int, str]] = []
        self.circuit = Circuit("test", lambda: self.now)
        self.circuit.told(lambda *change: self.told.append(change))

    def fail(self, times: int = 1, kind: str = "write") -> None:
        for _ in range(times):
            self.circuit.failed(kind, "ReadTimeout")        # type: ignore[arg-type]

    def later(self, time: timedelta = PROBE_AFTER) -> "Bench":
        self.now += time
        return self

    @property
    def level(self) -> float | None:
        return REGISTRY.get_sample_value("catalyst_breaker_state", {"api": "test"})


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def open_bench(bench: Bench) -> Bench:
    bench.fail(OPENS_AFTER)
    return bench


def test_it_opens_after_five_failures_in_a_row_and_says_so_once(bench: Bench) -> None:
    bench.fail(4)
    assert bench.circuit.admits() and bench.level == 0
    bench.fail(2)
    assert not bench.circuit.admits()
    assert (bench.told, bench.level) == ([("open", 5, "ReadTimeout")], 2)


def test_one_answer_in_between_starts_the_count_anew(bench: Bench) -> None:
    bench.fail(4)
    bench.circuit.answered("write")
    bench.fail(4)
    assert bench.circuit.state == "closed"


def test_look_ups_that_are_answered_do_not_hide_that_orders_are_not(bench: Bench) -> None:
    for _ in range(OPENS_AFTER):
        bench.fail()
        bench.circuit.answered("read")
    assert bench.circuit.state == "open"


def test_a_minute_later_one_probe_passes_and_no_second(open_bench: Bench) -> None:
    assert not open_bench.later(PROBE_AFTER - timedelta(seconds=1)).circuit.admits()
    assert open_bench.later(timedelta(seconds=1)).circuit.admits()
    assert not open_bench.circuit.admits()
    assert (open_bench.circuit.state, open_bench.level) == ("probing", 1)


def test_the_probes_success_closes_it(open_bench: Bench) -> None:
    open_bench.later().circuit.admits()
    open_bench.circuit.answered("write")
    assert open_bench.circuit.admits() and open_bench.level == 0
    assert [state for state, _, _ in open_bench.told] == ["open", "probing", "closed"]
    assert open_bench.told[-1] == ("closed", 0, "")


def test_the_probes_failure_opens_it_for_another_minute(open_bench: Bench) -> None:
    open_bench.later().circuit.admits()
    open_bench.fail()
    assert not open_bench.later(PROBE_AFTER - timedelta(seconds=1)).circuit.admits()
    assert open_bench.later(timedelta(seconds=1)).circuit.admits()


def test_a_probe_that_never_comes_back_does_not_hold_the_next(open_bench: Bench) -> None:
    assert open_bench.later().circuit.admits()
    assert open_bench.later().circuit.admits()


def test_an_exit_that_gets_through_closes_it_before_any_probe(open_bench: Bench) -> None:
    open_bench.circuit.answered("write")
    assert open_bench.circuit.admits()


def test_a_look_up_closes_only_what_look_ups_opened(open_bench: Bench) -> None:
    open_bench.circuit.answered("read")
    assert open_bench.circuit.state == "open"
    mute = Bench()
    mute.fail(OPENS_AFTER, "read")
    mute.circuit.answered("write")
    assert mute.circuit.state == "open"
    mute.circuit.answered("read")
    assert mute.circuit.state == "closed"


def test_who_listens_later_is_told_at_once_that_it_is_open(open_bench: Bench) -> None:
    late: list[str] = []
    open_bench.circuit.told(lambda state, failures, cause: late.append(state))
    open_bench.circuit.answered("write")
    assert late == ["open", "closed"] and len(open_bench.told) == 1


def test_a_clock_that_goes_back_years_does_not_keep_it_open(open_bench: Bench) -> None:
    assert open_bench.later(-timedelta(days=2000)).circuit.admits()
