"""The same ways to lose an event, on guarded agents. Run by the tests: bootstrap, namespace, health port, which agents, and which life of the process.

Each agent reads `in.<name>` and answers on `done.<name>`; the event with key 3 is the difficult one.
"""

import asyncio
import os
import sys
from collections import Counter
from dataclasses import replace

from schemas.commands import SecuritiesRequested
from schemas.settings import load
from schemas.topics import DLQ, Topic
from streams.agent import Agent, Halt, Out, Retry
from streams.app import host
from streams.log import Message
from streams.log.kafka import KafkaLog
from streams.role import Role, run

bootstrap, namespace, port, which, life = sys.argv[1:6]
tries: Counter[str] = Counter()


def topic(name: str) -> Topic:
    return Topic(name, "any", 1, (), doc="")


def done(name: str, asked: SecuritiesRequested, what: str) -> list[Out]:
    return [(topic(f"done.{name}"), SecuritiesRequested.caused_by(asked, symbols=(), idempotency_key=what, actor=life, reason=""))]


async def raises(asked: SecuritiesRequested) -> list[Out]:
    if asked.idempotency_key == "3":
        raise ValueError("the handler cannot take this one")
    return done("raises", asked, asked.idempotency_key)


async def flaky(asked: SecuritiesRequested) -> list[Out]:
    tries[asked.idempotency_key] += 1
    if asked.idempotency_key == "3" and tries["3"] < 3:
        raise Retry("not yet")
    return done("flaky", asked, f"{asked.idempotency_key} at try {tries[asked.idempotency_key]}")


async def garbled(asked: SecuritiesRequested) -> list[Out]:
    return done("garbled", asked, asked.idempotency_key)


async def market(asked: SecuritiesRequested) -> list[Out]:
    return done("market", asked, asked.idempotency_key)


async def refused(asked: SecuritiesRequested) -> list[Out]:
    answers = done("refused", asked, asked.idempotency_key)
    if asked.idempotency_key == "3":
        answers = [(where, event.model_copy(update={"reason": "x" * 2_000_000})) for where, event in answers]
    return answers


async def ends(asked: SecuritiesRequested) -> list[Out]:
    await LOGS[0].append("did.ends", [Message("system", f"began {asked.idempotency_key} in life {life}".encode())])
    if asked.idempotency_key == "3" and life != "last":
        await asyncio.sleep(3600)           # in flight when SIGTERM or SIGKILL comes
    return done("ends", asked, asked.idempotency_key)


async def dies(asked: SecuritiesRequested) -> list[Out]:
    if asked.idempotency_key == "3" and life == "1":
        os._exit(17)
    return done("dies", asked, asked.idempotency_key)


async def halts(asked: SecuritiesRequested) -> list[Out]:
    if asked.idempotency_key == "3" and life == "1":
        raise Halt("two truths about one thing")
    return done("halts", asked, asked.idempotency_key)


NAMES = {"in.market": "catalyst.market.test"}
AGENTS = {fun.__name__: Agent(fun.__name__, topic(NAMES.get(f"in.{fun.__name__}", f"in.{fun.__name__}")), fun, (SecuritiesRequested,), {"system"})
          for fun in (raises, flaky, garbled, market, refused, ends, dies, halts)}
LOGS: list[KafkaLog] = []


async def work(role: Role) -> None:
    chosen = [AGENTS[name] for name in which.split(",")]
    topics = [agent.topic for agent in chosen] + [topic(f"done.{agent.name}") for agent in chosen] + [topic("did.ends"), replace(DLQ, partitions=1)]
    LOGS.append(KafkaLog(bootstrap, namespace, topics={each.name: each for each in topics}))
    try:
        await host(role, LOGS[0], chosen)
    finally:
        await LOGS[0].stop()


if __name__ == "__main__":
    sys.exit(run("guarded", load({}, kafka=bootstrap, namespace=namespace, health_port=int(port)), work))
