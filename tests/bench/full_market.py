"""A full market's minute, appended as the market writer would: `python -m tests.bench.full_market KAFKA COUNT` beside a running stack.

With every sealed minute 11,500 bars arrive. One line of JSON on standard output a minute: when it began, when all of it was acknowledged (Unix seconds).
"""

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from schemas import codec
from schemas.market import BarClosed, MinuteSealed
from schemas.topics import BARS, CLOCK
from streams.log import Appended, Message
from streams.log.kafka import KafkaLog

BARS_A_MINUTE = 11_500
PAUSE = 1.5         # seconds before the next minute's bars are made, which takes one: the signals that came with this minute's are through by then


def minute_of_bars(end: datetime) -> list[Message]:
    """Encoded, of symbols that nobody else has."""
    messages = []
    for number in range(BARS_A_MINUTE):
        close = Decimal(1000 + number % 500) / 8
        bar = BarClosed.new(source="/bench", subject=f"Z{number:05d}", time=end, start=end - timedelta(minutes=1), end=end,
                            open=close, high=close, low=close, close=close, volume=1000 + number)
        messages.append(Message(bar.subject, codec.encode(bar)))
    return messages


async def arrive(bootstrap: str, count: int) -> None:
    log = KafkaLog(bootstrap, client_id="full-market")
    await log.start()
    try:
        told = 0
        messages: Sequence[Message] = ()
        async for batch in log.read(await log.ends([CLOCK.name])):
            for sealed in (event for record in batch if isinstance(event := codec.decode(record.value), MinuteSealed)):
                if messages:
                    print(json.dumps({"begun": time.time()}), flush=True)
                    outcomes = await log.append_many(BARS.name, messages)
                    assert all(isinstance(outcome, Appended) for outcome in outcomes), outcomes
                    print(json.dumps({"ended": time.time()}), flush=True)
                    told += 1
                if told == count:
                    return
                await asyncio.sleep(PAUSE)
                messages = minute_of_bars(sealed.minute + timedelta(minutes=1))     # beforehand: what is measured is their arrival
    finally:
        await log.stop()


if __name__ == "__main__":
    asyncio.run(arrive(sys.argv[1], int(sys.argv[2])))
