"""How soon an account takes new entries again after its process was killed, from a log of one day and of a year."""

from pathlib import Path

from tests.bench.foundation import Figure


async def recoveries(home: Path) -> list[Figure]:
    return []
