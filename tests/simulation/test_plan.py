"""What the seeds are made of: the base of every history, and what some of them have besides."""

from collections import Counter

from tests.simulation.plan import FAULTS_DRAWN, MINUTES, SYMBOLS, WISHES, draw
from tests.simulation.tape import HOURS, hours

PLANS = [draw(seed) for seed in range(1, 1001)]


def test_every_history_has_two_symbols_thirty_market_minutes_six_intents_and_three_faults() -> None:
    for plan in PLANS:
        assert plan.minutes >= MINUTES == 30 and len(plan.faults) == FAULTS_DRAWN == 3 and len(SYMBOLS) == 2
        assert len([wish for wish in plan.wishes if wish.kind != "autonomous"]) == WISHES == 6
        assert all(0 <= item.at < plan.end for item in (*plan.wishes, *plan.faults))


def test_a_share_of_them_lies_around_the_flattening_or_goes_through_a_night_or_acts_on_signals_or_wakes_a_zombie() -> None:
    share = Counter(plan.hours for plan in PLANS)
    assert set(share) == set(HOURS) and share["afternoon"] > 150 and share["night"] > 70 and share["morning"] > 600
    assert sum(any(wish.kind == "signal" for wish in plan.wishes) for plan in PLANS) > 150
    assert sum(any(fault.kind == "freeze at point" for fault in plan.faults) for plan in PLANS) > 30


def test_the_minutes_of_a_night_go_on_with_the_next_days_open() -> None:
    minutes = hours("night", 54)
    assert [f"{minute:%d %H:%M}" for minute in (minutes[0], minutes[41], minutes[42], minutes[-1])] == ["02 20:22", "02 21:03", "03 14:30", "03 14:41"]
