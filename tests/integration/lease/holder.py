"""A process that holds the lease of one key and reports what it believes: run by the tests, which freeze it.

Reports on `reports` are made only when the belief changes: "epoch N", "held", "not held", "lost: …".
"""

import asyncio
import sys
from datetime import UTC, datetime

from schemas.topics import TRADING, Topic
from streams import lease as leases
from streams.lease import Lease
from streams.log import Message
from streams.log.kafka import KafkaLog

bootstrap, namespace, database_url, idle = sys.argv[1:5]
leases.IDLE = float(idle)       # the real proportions, in less time
leases.VALID, leases.PING, leases.ANSWER = 0.8 * leases.IDLE, 0.2 * leases.IDLE, 0.3 * leases.IDLE


async def main() -> None:
    log = KafkaLog(bootstrap, namespace, topics={TRADING.name: TRADING, "reports": Topic("reports", "any", 1, (), doc="")})
    lease = await Lease.acquire(log, TRADING.name, "paper", holder="frozen", database_url=database_url or None, clock=lambda: datetime.now(UTC))

    async def report(what: str) -> None:
        await log.append("reports", [Message("frozen", what.encode())])

    await report(f"epoch {lease.epoch}")
    believed = None
    while not lease.lost:
        held = lease.held()
        if held is not believed:
            believed = held
            await report("held" if held else "not held")
        await asyncio.sleep(0.01)
    await report("lost")
    await lease.release()
    await log.stop()


asyncio.run(main())
