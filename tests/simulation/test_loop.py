"""The loop under the simulation: time that jumps, chance from a seed, processes that are killed and frozen."""

import asyncio
import itertools

import pytest

from tests.simulation.loop import Deadlock, Livelock, Process, SimulatedLoop


def run(loop: SimulatedLoop, work: object) -> object:
    try:
        return loop.run_until_complete(work)      # type: ignore[arg-type]
    finally:
        loop.close()


def interleaving(seed: int) -> list[str]:
    trace: list[str] = []

    async def worker(name: str) -> None:
        for turn in range(5):
            await asyncio.sleep(0)
            trace.append(f"{name}{turn}")

    async def together() -> None:
        async with asyncio.TaskGroup() as group:
            for name in "abc":
                group.create_task(worker(name))

    run(SimulatedLoop(seed), together())
    return trace


def test_a_year_passes_in_no_time() -> None:
    loop = SimulatedLoop(1)
    run(loop, asyncio.sleep(365 * 86_400))
    assert loop.moment == 365 * 86_400


def test_the_same_seed_interleaves_the_same_way_and_others_differ() -> None:
    assert interleaving(1) == interleaving(1)
    assert len({tuple(interleaving(seed)) for seed in range(10)}) > 5


def test_waiting_for_nothing_is_a_deadlock_with_names() -> None:
    async def forever() -> None:
        asyncio.current_task().set_name("the one who waits")      # type: ignore[union-attr]
        await asyncio.Event().wait()

    with pytest.raises(Deadlock, match="the one who waits"):
        run(SimulatedLoop(1), forever())


def test_running_for_ever_without_end_is_a_livelock() -> None:
    async def spin() -> None:
        while True:     # noqa: ASYNC110
            await asyncio.sleep(0)

    with pytest.raises(Livelock):
        run(SimulatedLoop(1), spin())


def test_a_killed_process_does_not_make_another_step_not_even_to_clean_up() -> None:
    loop, trace = SimulatedLoop(1), list[str]()
    process = Process("victim", loop)

    async def work() -> None:
        try:
            await asyncio.sleep(2)
            trace.append("went on")
        finally:
            trace.append("cleaned up")

    async def kill() -> None:
        process.start(work())
        await asyncio.sleep(1)
        process.kill()
        await asyncio.sleep(5)
        assert trace == []

    run(loop, kill())


def test_a_process_dies_at_the_step_it_was_told() -> None:
    loop = SimulatedLoop(1)
    process, count = Process("victim", loop), itertools.count(1)
    steps: list[int] = []

    async def work() -> None:
        while True:
            steps.append(next(count))
            await asyncio.sleep(0)

    async def doom() -> None:
        process.doom = 4
        process.start(work())
        await asyncio.sleep(1)

    run(loop, doom())
    assert steps == [1, 2, 3] and not process.alive


def test_a_frozen_process_wakes_to_a_time_that_went_on() -> None:
    loop = SimulatedLoop(1)
    process, woke = Process("sleeper", loop), list[float]()

    async def work() -> None:
        await asyncio.sleep(1)
        woke.append(loop.time())

    async def freeze() -> None:
        process.start(work())
        await asyncio.sleep(0.5)
        process.freeze()
        await asyncio.sleep(10)
        assert not woke
        process.thaw()
        await asyncio.sleep(0.1)

    run(loop, freeze())
    assert woke == [10.5]


def test_what_the_world_has_under_way_arrives_although_its_sender_died() -> None:
    loop, arrived = SimulatedLoop(1), list[float]()
    process = Process("sender", loop)

    async def send(context: object) -> None:
        loop.call_later(2, lambda: arrived.append(loop.time()), context=context)       # type: ignore[arg-type]

    async def kill() -> None:
        import contextvars
        process.start(send(contextvars.copy_context()))
        await asyncio.sleep(1)
        process.kill()
        await asyncio.sleep(2)

    run(loop, kill())
    assert arrived == [2.0]
