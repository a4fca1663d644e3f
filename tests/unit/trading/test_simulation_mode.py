"""Simulation mode: offered when the broker is lost, entered when somebody asks, refused where nothing can be simulated, and never a way to the broker."""

from dataclasses import replace
from datetime import timedelta

import pytest

from schemas.broker import BreakerChanged
from schemas.commands import ModeChangeRequested
from schemas.cycle import IntentSimulated, ModeSet, SignalPassed, SimulationOffered
from schemas.risk import LimitsSet, RiskAlerted
from schemas.trading import CommandRejected, InputsAdmitted
from streams.trading.evolve import HANDED_OVER, evolve

from .conftest import NOON, Story, asks, only, request, signal


def simulation(story: Story, key: str = "m1") -> list[object]:
    return list(story.hear(asks(ModeChangeRequested, story, key=key, mode="simulation", reason="r")))


def lost(story: Story) -> list[object]:
    return list(story.hear(BreakerChanged.new(source="/test", subject="paper", time=NOON, api="trading", tenure=1, number=1, state="open", failures=5,
                                              cause="ConnectTimeout")))


def test_it_is_entered_where_a_simulated_account_stands_beside():
    assert only(simulation(Story()), ModeSet).mode == "simulation"


def test_it_is_refused_with_what_to_do_where_there_is_none():
    story = Story(simulated=None)
    told = only(simulation(story), CommandRejected)
    assert told.code == "SIMULATION_NOT_AVAILABLE"
    assert "`catalyst up --simulation`" in told.message
    assert story.state.cycle.mode == "advisory"
    assert simulation(story) == []                      # a redelivery


def test_a_redelivered_wish_that_was_granted_is_not_refused_later():
    story = Story()
    simulation(story)
    story.state = replace(story.state, simulated_account=None)
    assert simulation(story) == []


def test_without_the_simulated_account_an_entry_is_refused_never_sent_to_the_broker():
    story = Story(mode="simulation", simulated=None)
    assert only(story.hear(request()), CommandRejected).code == "SIMULATION_NOT_AVAILABLE"
    assert only(story.hear(signal(story)), SignalPassed).code == "SIMULATION_NOT_AVAILABLE"
    assert story.state.orders == {}


def test_changed_limits_do_not_forget_the_simulated_account():
    story = Story()
    story.say(LimitsSet, version=2, parameters=story.state.parameters, changed=(), origin="command", simulated_account=story.state.simulated_account)
    assert story.state.simulated_account == "paper-sim"


@pytest.mark.parametrize(("simulated", "words"), [("paper-sim", "`catalyst mode simulation --account paper`"), (None, "`catalyst up --simulation`")])
def test_a_lost_broker_offers_it_with_the_words_to_type_and_enters_nothing(simulated: str | None, words: str):
    story = Story(simulated=simulated)
    events = lost(story)
    assert words in only(events, SimulationOffered).reason
    assert words in only(events, RiskAlerted).message
    assert story.state.cycle.mode == "advisory"


def test_an_intent_waits_to_be_handed_over_as_long_as_a_crash_may_have_kept_it():
    story = Story(mode="simulation")
    told = only(story.hear(request()), IntentSimulated)
    assert [request for request, _ in story.state.handovers.values()] == [told.request]
    later = InputsAdmitted.new(source="/test", subject="paper", time=NOON + HANDED_OVER + timedelta(seconds=1), number=9, inputs=())
    assert evolve(story.state, later).handovers == {}
