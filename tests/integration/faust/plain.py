"""A Faust worker as its manual shows one: an agent for each way to lose an event. Run by the tests; each topic gets the values 0, 1, 2, 3, 4 …

What a handler did is appended to the topic `done` of its name, through a producer that Faust knows nothing of.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import faust
from aiokafka import AIOKafkaProducer

bootstrap, namespace, which = sys.argv[1:4]
app = faust.App(
    f"{namespace}-plain-{which}", broker=f"kafka://{bootstrap}", value_serializer="raw", web_enabled=False, topic_allow_declare=False,
    topic_disable_leader=True, broker_commit_interval=0.2, stream_wait_empty=False)
producers: list[AIOKafkaProducer] = []


async def did(name: str, what: str) -> None:
    if not producers:
        producers.append(AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True))
        await producers[0].start()
    await producers[0].send_and_wait(f"{namespace}.done.{name}", what.encode(), partition=0)


def topic(name: str, **options: Any) -> faust.Topic:
    return app.topic(f"{namespace}.in.{name}", **options)


async def raises(stream: AsyncIterator[bytes]) -> None:
    async for value in stream:
        if value == b"3":
            raise ValueError("the handler cannot take this one")
        await did("raises", value.decode())


async def codec(stream: AsyncIterator[Any]) -> None:
    async for value in stream:
        await did("codec", str(value))


async def produces(stream: AsyncIterator[bytes]) -> None:
    async for value in stream:
        answer = value if value != b"3" else b"x" * 2_000_000       # the broker's limit is one
        await topic("answers").send(value=answer)
        await did("produces", value.decode())


async def takes(stream: Any) -> None:
    async for batch in stream.take(5, within=60):       # all five, or none
        if b"3" in batch:
            raise ValueError("the handler cannot take this batch")
        await did("takes", " ".join(value.decode() for value in batch))


async def ends(stream: AsyncIterator[bytes]) -> None:
    async for value in stream:
        await did("ends", f"began {value.decode()}")
        if value == b"3":
            await asyncio.sleep(3600)       # in flight when SIGTERM comes
        await did("ends", value.decode())


async def parallel(stream: AsyncIterator[bytes]) -> None:
    async for value in stream:
        await did("parallel", f"began {value.decode()}")
        if value == b"3":
            await asyncio.sleep(3600)       # in flight when SIGKILL comes, while its neighbour goes on
        await did("parallel", value.decode())


async def dies(stream: AsyncIterator[bytes]) -> None:
    async for value in stream:
        await did("dies", f"began {value.decode()}")
        if value == b"3":
            await asyncio.sleep(3600)
        await did("dies", value.decode())


AGENTS: dict[str, list[Any]] = {"ended": [raises, codec, produces, takes, ends], "killed": [parallel, dies]}
for fun in AGENTS[which]:
    app.agent(topic(fun.__name__, value_serializer="json" if fun is codec else "raw"), concurrency=2 if fun is parallel else 1)(fun)

if __name__ == "__main__":
    sys.argv[1:] = ["worker", "--without-web", "-l", "info"]
    app.main()
