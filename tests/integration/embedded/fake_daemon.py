"""A supervisor over programs from the command line: `fake_daemon.py HOME {"name": {"code": python, "after": [...]}}`.

A program whose code has the word `task` in a comment is a task; any other is ready once it has written its first line.
"""

import asyncio
import json
import sys
from pathlib import Path

from deploy.embedded.control import Ledger
from deploy.embedded.keeper import Health, Part
from deploy.embedded.process import Launch
from deploy.embedded.supervisor import Supervisor


def part(home: Path, name: str, code: str, after: list[str]) -> Part:
    log = home / "logs" / f"{name}.log"

    async def probe() -> Health:
        return Health("ready") if log.exists() and log.stat().st_size else Health("starting", "nothing written yet")

    def launch() -> Launch:
        log.unlink(missing_ok=True)
        return Launch(name, (sys.executable, "-c", code), log, patience=2.0, explain={"no oil": "It needs oil."})

    return Part(name, launch, None if "# task" in code else probe, tuple(after))


def main() -> int:
    home, rows = Path(sys.argv[1]), json.loads(sys.argv[2])
    ledger = Ledger(home)
    with ledger.lock() as ours:
        if not ours:
            print("running", flush=True)
            return 0
        remains = ledger.end_remains()
        supervisor = Supervisor(home, [part(home, name, **row) for name, row in rows.items()])
        sys.stdout.write("")
        asyncio.run(supervisor.run(lambda: print("listening", *remains, flush=True)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
