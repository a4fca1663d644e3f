"""The trading role on real parts: what it promises when all is well, when a process is killed at the worst moment, and when a twin wakes up."""

import asyncio
import signal

from schemas.codec import canonical
from schemas.topics import BROKER
from schemas.trading import FillRecorded
from streams.log import Message
from streams.trading.audit import replay

from .conftest import SYMBOLS, Stack


def kinds(events):
    return [event.type.removesuffix(".v1") for event in events]


async def test_a_request_becomes_a_fill_and_every_decision_replays_equal(stack: Stack):
    await stack.role()
    await stack.advance()
    await stack.until("account.ready")
    await stack.ask("k1")
    story = await stack.until("fill.recorded")
    told = [kind for kind in kinds(story) if kind.startswith(("order", "fill"))]
    assert told[:5] == ["order.approved", "order.submitting", "order.accepted", "order.legs_attached", "fill.recorded"]
    (order,) = await stack.broker_orders()
    (fill,) = [event for event in story if isinstance(event, FillRecorded)]
    assert (order["filled_qty"], order["filled_avg_price"]) == (f"{fill.quantity:f}", f"{fill.price:f}")
    findings = await replay(stack.log, "paper")
    assert (findings.differences, findings.decisions >= 4) == ([], True)


async def test_what_the_broker_said_is_on_the_log_before_it_is_interpreted(stack: Stack):
    await stack.role()
    await stack.advance()
    await stack.until("account.ready")
    await stack.ask("k1")
    await stack.until("fill.recorded")
    said = kinds(await stack.until("broker.answered", "broker.streamed", topic=BROKER.name))
    assert set(said[:2]) == {"broker.snapshot", "calendar.read"}
    assert said.count("broker.answered") == 1


async def test_an_undecodable_command_is_rejected_and_the_next_one_works(stack: Stack):
    await stack.role()
    await stack.advance()
    await stack.put("catalyst.commands", Message("paper", b"{not json"))
    await stack.put("catalyst.commands", Message("paper", b'{"type":"trade.requested.v7"}'))
    await stack.ask("k1")
    story = await stack.until("fill.recorded", "command.rejected")
    assert [event.code for event in story if event.type == "command.rejected.v1"] == ["UNDECODABLE", "UNKNOWN_TYPE"]


async def test_killed_again_and_again_it_loses_no_fill_and_doubles_no_order(stack: Stack):
    role = await stack.role()
    await stack.advance()
    await stack.until("account.ready")
    for number in range(1, 6):
        await stack.ask(f"k{number}", symbol=SYMBOLS[number - 1])
        if number % 2:
            await stack.until("order.submitting", count=number)     # killed between the write-ahead and whatever comes back
        role.kill()
        await role.wait()
        role = await stack.role()
    story = await stack.until("fill.recorded", count=5)
    orders = await stack.broker_orders()
    assert len(orders) == 5
    assert len({order["client_order_id"] for order in orders}) == 5
    assert sum(event.quantity for event in story if isinstance(event, FillRecorded)) == 50
    assert (await replay(stack.log, "paper")).differences == []


async def test_a_broker_that_dies_between_order_and_answer_gets_the_order_once(stack: Stack):
    await stack.role()
    await stack.advance()
    await stack.until("account.ready")
    exchange = stack.processes[0]
    exchange.kill()
    await exchange.wait()
    await stack.ask("k1")
    await stack.until("order.unknown")
    await stack.exchange()
    await stack.until("fill.recorded")
    assert len(await stack.broker_orders()) == 1
    assert (await replay(stack.log, "paper")).differences == []


async def test_a_frozen_role_that_wakes_up_after_its_twin_took_over_changes_nothing(stack: Stack):
    frozen = await stack.role(CATALYST_INSTANCE="first")
    await stack.advance()
    await stack.until("account.ready")
    frozen.send_signal(signal.SIGSTOP)
    await stack.ask("k1")
    await stack.role(CATALYST_INSTANCE="second")
    await stack.until("fill.recorded")
    frozen.send_signal(signal.SIGCONT)
    await stack.ask("k2")
    story = await stack.until("fill.recorded", count=2)
    assert len(await stack.broker_orders()) == 2
    assert len({event.id for event in story if isinstance(event, FillRecorded)}) == 2
    assert (await replay(stack.log, "paper")).differences == []


async def test_two_runs_of_the_same_story_tell_the_same_events(stack: Stack, tmp_path, kafka_bootstrap):
    async def tell(stack: Stack) -> list[bytes]:
        await stack.advance()
        await stack.role()
        await stack.until("account.ready")
        await stack.settled()
        for number in (1, 2):
            await stack.ask(f"k{number}")
            await stack.settled()
            await stack.advance()
            story = await stack.settled()
        left_out = ("lease.taken.v1", "inputs.admitted.v1", "timer.set.v1", "timer.fired.v1")
        assert sum(isinstance(event, FillRecorded) for event in story) == 2
        return [canonical(event) for event in story if event.type not in left_out]

    (tmp_path / "again").mkdir()
    twin = Stack(tmp_path / "again", kafka_bootstrap, f"{stack.namespace}-twin", "postgresql://127.0.0.1:1/none")    # no Postgres: a lone instance goes on
    await twin.start()
    try:
        first, second = await asyncio.gather(tell(stack), tell(twin))
    finally:
        await twin.stop()
    assert first == second
