"""What a morning's reference data costs, against the real exchange and a real broker: `python -m tests.bench.analysis_reference [--symbols 11500]`.

Measured are the first refresh (a year of days of every symbol), a second one of the same morning, that of the next morning, and a start from the log.
The exchange runs beside it on the same machine and answers at once: with a real broker the request budget (150 a minute by default) sets the pace of the
first one, so the requests are counted too. Nothing is asserted: a figure is only worth what else ran.
"""

import argparse
import asyncio
import json
import random
import resource
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil

from deploy.embedded.kafka import EmbeddedKafka
from deploy.exchange.sessions import session_on
from schemas.settings import load
from schemas.topics import REFERENCE
from streams.log.kafka import KafkaLog
from streams.log.topics import apply
from streams.market.reference_feed import ReferenceRest
from streams.market.securities import Securities
from streams.role import Role

MONDAY, DAYS = date(2022, 3, 14), 260


def write_market(folder: Path, symbols: int) -> None:
    """Two sessions with a minute each, and the days before them."""
    chance, names = random.Random(1), [f"S{number:05d}" for number in range(symbols)]
    sessions = [day for back in range(400, 0, -1) if session_on(day := MONDAY - timedelta(days=back))][-DAYS:]
    (folder / "daily").mkdir(parents=True)
    with (folder / "daily" / "prices.csv").open("w") as file:
        file.write("symbol,date,open,high,low,close,volume\n")
        for name in names:
            price, lines = chance.uniform(5, 300), []
            for day in sessions:
                opened, price = price, price * (1 + chance.gauss(0, 0.02))
                high, low = max(opened, price) * 1.01, min(opened, price) * 0.99
                lines.append(f"{name},{day},{opened:.2f},{high:.2f},{low:.2f},{price:.2f},{chance.randrange(10**6)}\n")
            file.writelines(lines)
            minutes = [f"{MONDAY + timedelta(days=n)}T13:30:00Z,{price:.2f},{price:.2f},{price:.2f},{price:.2f},100\n" for n in range(2)]
            (folder / f"{name}_1m.csv").write_text("ts_utc,open,high,low,close,volume\n" + "".join(minutes))


async def measure(symbols: int) -> dict[str, Any]:
    """The figures, by name; seconds of the wall and of the processor, megabytes as they were appended."""
    found: dict[str, Any] = {"symbols": symbols, "days": DAYS}
    with tempfile.TemporaryDirectory() as home:
        write_market(Path(home) / "feed", symbols)
        kafka = EmbeddedKafka(Path(home))
        await kafka.start()
        begun = time.monotonic()
        exchange = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "deploy.exchange", "--port", "0", "--journal", f"{home}/journal", "--bars", f"{home}/feed", "--mode", "lockstep",
            stdout=asyncio.subprocess.PIPE)
        try:
            assert exchange.stdout
            url = (await exchange.stdout.readline()).decode().split()[-1]
            found["exchange_start_s"] = round(time.monotonic() - begun, 1)
            await apply(kafka.bootstrap)
            log = KafkaLog(kafka.bootstrap, client_id="bench")
            await log.start()
            await _mornings(found, url, log, home, exchange.pid)
            await log.stop()
        finally:
            exchange.kill()
            await exchange.wait()
            found["kafka_disk_mb"] = round(sum(file.stat().st_size for file in Path(home).rglob(f"{REFERENCE.name}-*/*.log")) / 1e6, 1)
            await kafka.kill()
    found["memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return found


def _processor(pid: int) -> float:
    used = psutil.Process(pid).cpu_times()
    return float(used.user + used.system)


async def _mornings(found: dict[str, Any], url: str, log: KafkaLog, home: str, exchange: int) -> None:
    role = Role("market", load({"CATALYST_HOME": home, "CATALYST_BROKER_URL": url, "CATALYST_DATA_URL": url, "CATALYST_SIM_URL": url,
                                "CATALYST_LOG_LEVEL": "ERROR"}))
    first = datetime(2022, 3, 14, 12, tzinfo=UTC)

    async def now() -> datetime:
        return first

    def new() -> tuple[Securities, ReferenceRest]:
        rest = ReferenceRest(role.settings)
        return Securities(role, log, rest, None, now, now, lambda: datetime.now(UTC)), rest

    async with httpx.AsyncClient(base_url=url, timeout=60) as control:
        keeper, rest = new()
        requests = 0
        asked = rest._budget.take

        async def counted() -> None:
            nonlocal requests
            requests += 1
            await asked()

        rest._budget.take = counted     # type: ignore[method-assign]
        after = None
        for name, step, who in (("first", 1, keeper), ("again", 0, keeper), ("next", 1, keeper), ("from_the_log", 0, new()[0])):
            if step:
                after = (await control.post("/_sim/advance", json={"after": after})).raise_for_status().json()["minute"]
            before, requests, begun, ours, theirs = await _size(log), 0, time.monotonic(), time.process_time(), _processor(exchange)
            events = await who.refresh(first + timedelta(days=1 if name in ("next", "from_the_log") else 0))
            found[name] = {"seconds": round(time.monotonic() - begun, 1), "cpu_s": round(time.process_time() - ours, 1),
                           "exchange_cpu_s": round(_processor(exchange) - theirs, 1), "events": events, "requests": requests,
                           "mb": round((await _size(log) - before) / 1e6, 1)}


async def _size(log: KafkaLog) -> int:
    size = 0
    async for batch in log.read(await log.begins([REFERENCE.name]), until=await log.ends([REFERENCE.name])):
        size += sum(len(record.value) for record in batch)
    return size


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--symbols", type=int, default=11_500)
    print(json.dumps(asyncio.run(measure(parser.parse_args().symbols)), indent=1))
