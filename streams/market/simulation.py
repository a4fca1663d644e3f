"""The paper exchange's control plane: what a real broker does not have. Its clock, and how many bars each minute had.

Asked by the market role where CATALYST_SIM_URL is set; in lockstep it is how a minute is known to be complete.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from streams.market.feed import FeedUnavailable
from streams.market.tape import Counted

TIMEOUT = 5.0       # s for an answer, on top of what a long poll may take
PAGE = 1_000        # minutes in one answer


@dataclass(frozen=True, slots=True)
class SimulatedTime:
    """Where the simulation stands; `minute` is the last finished one."""

    now: datetime
    finished: bool
    minute: datetime | None


@dataclass(frozen=True, slots=True)
class FeedSpan:
    """The first and the last minute of the feed (ENDs)."""

    name: str
    first: datetime
    last: datetime


class NoSuchMinute(LookupError):
    """The feed has no minute with this END."""


class Simulation:
    """One paper exchange. All calls raise FeedUnavailable."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._http = httpx.AsyncClient(base_url=self._url, timeout=TIMEOUT, trust_env=False)

    async def time(self) -> SimulatedTime:
        answer = await self._get("/_sim/clock", {})
        minute = answer["minute"]
        return SimulatedTime(_moment(answer["now"]), answer["state"] == "finished", None if minute is None else _moment(minute))

    async def span(self) -> FeedSpan:
        answer = await self._get("/_sim/feed", {})
        return FeedSpan(answer["name"], _moment(answer["first"]), _moment(answer["last"]))

    async def minutes(self, after: datetime | None, wait: float) -> tuple[list[Counted], bool]:
        """The finished minutes behind `after`, oldest first, at most PAGE; waits up to `wait` seconds for one. And whether the feed has ended with them.

        Raises NoSuchMinute when the feed has no minute `after`.
        """
        asked = {"wait": f"{wait:g}", "limit": str(PAGE)}
        if after is not None:
            asked["after"] = after.isoformat().replace("+00:00", "Z")
        answer = await self._get("/_sim/minutes", asked, TIMEOUT + wait)
        return [Counted(_moment(row["minute"]), int(row["bars"])) for row in answer["minutes"]], bool(answer["finished"])

    async def close(self) -> None:
        await self._http.aclose()

    async def _get(self, path: str, asked: Mapping[str, str], timeout: float = TIMEOUT) -> Any:
        try:
            answer = await self._http.get(path, params=asked, timeout=timeout)
            if answer.status_code == httpx.codes.CONFLICT:
                raise NoSuchMinute(answer.text)
            answer.raise_for_status()
            return answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise FeedUnavailable(f"exchange {self._url}{path}: {type(error).__name__}: {error}") from error


def beginning(span: FeedSpan) -> datetime:
    """The simulated moment before anything happened."""
    return span.first - timedelta(minutes=1)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
