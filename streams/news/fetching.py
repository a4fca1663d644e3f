"""Asking an outside interface over HTTP without trusting it: bounded in time and size, within a budget, and never led to another host.

Used by every source that is asked over HTTP. What goes wrong is one exception, `Unavailable`, whose words hold neither a key nor an address with one.
"""

import asyncio
import json
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree
import httpx
from defusedxml import DefusedXmlException

from streams.news.budget import Budget
from streams.news.cleaning import clean
from streams.news.port import Unavailable

CONNECT, SILENCE, WHOLE = 3.0, 10.0, 20.0       # s to connect, between two pieces, for the whole answer
MOST = 8 * 1024 * 1024                          # bytes of an answer, unpacked; a page of any source is under 1 MB
REDIRECTS = 3                                   # within the host
PATIENCE = 2.0                                  # s that a request waits for its budget; then it is not made
LONGEST_PAUSE = 3600.0                          # s that a source may make us wait
SHOWN = 120                                     # characters of an error's body


class Web:
    """One host, asked with one set of headers within one budget."""

    def __init__(self, name: str, base_url: str, budget: Budget, headers: Mapping[str, str] | None = None) -> None:
        self.name, self._budget = name, budget
        self._base = httpx.URL(base_url)
        timeout = httpx.Timeout(SILENCE, connect=CONNECT)
        self._http = httpx.AsyncClient(base_url=base_url.rstrip("/"), headers=dict(headers or {}), timeout=timeout, follow_redirects=False, trust_env=False)

    async def get_json(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """The answer's JSON. Raises Unavailable."""
        body = await self.get(path, params)
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise Unavailable(f"{self.name}: the answer is not JSON: {clean(str(error), SHOWN)}") from None

    async def get_xml(self, path: str, params: Mapping[str, str] | None = None) -> Element:
        """The answer's XML, without entities, external ones least of all. Raises Unavailable."""
        body = await self.get(path, params)
        try:
            root: Element = defusedxml.ElementTree.fromstring(body)
            return root
        except (ParseError, DefusedXmlException, ValueError, LookupError) as error:       # LookupError: an encoding that does not exist
            raise Unavailable(f"{self.name}: the answer is not XML: {clean(str(error), SHOWN)}") from None

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> bytes:
        """The body of a 200. Raises Unavailable for anything else."""
        try:
            async with asyncio.timeout(WHOLE):
                return await self._get(path, params)
        except TimeoutError:
            raise Unavailable(f"{self.name}: no answer within {WHOLE:g} s", silent=True) from None
        except httpx.HTTPError as error:        # its text may hold the address, and that a key
            raise Unavailable(f"{self.name}: {type(error).__name__}", silent=isinstance(error, httpx.TransportError)) from None

    async def close(self) -> None:
        await self._http.aclose()

    async def _get(self, path: str, params: Mapping[str, str] | None) -> bytes:
        url = self._base.copy_with(raw_path=(self._base.path.rstrip("/") + path).encode())
        request = self._http.build_request("GET", url, params=params)
        for _ in range(REDIRECTS + 1):
            await self._spend()
            answer = await self._http.send(request, stream=True)
            try:
                if answer.next_request is None or not answer.is_redirect:
                    return await self._body(answer)
                if _origin(answer.next_request.url) != _origin(self._base):
                    elsewhere = clean(answer.next_request.url.host, SHOWN)
                    raise Unavailable(f"{self.name}: HTTP {answer.status_code} leads to another host, {elsewhere}: not followed")
                request = answer.next_request
            finally:
                await answer.aclose()
        raise Unavailable(f"{self.name}: more than {REDIRECTS} redirects")

    async def _body(self, answer: httpx.Response) -> bytes:
        body = bytearray()
        if answer.status_code != httpx.codes.OK:
            async for piece in answer.aiter_bytes(SHOWN):
                body += piece
                if len(body) >= SHOWN:
                    break
            said = clean(body.decode("utf-8", "replace"), SHOWN)
            raise Unavailable(f"{self.name}: HTTP {answer.status_code}{': ' + said if said else ''}", _pause(answer.headers))
        async for piece in answer.aiter_bytes():
            body += piece
            if len(body) > MOST:
                raise Unavailable(f"{self.name}: the answer is longer than {MOST:,} bytes")
        return bytes(body)

    async def _spend(self) -> None:
        loop = asyncio.get_running_loop()
        wait = self._budget.wait(loop.time())
        if wait > PATIENCE:
            raise Unspent(f"{self.name}: its budget of requests is spent; the next is due in {wait:.0f} s", wait)
        await asyncio.sleep(wait)
        self._budget.note(loop.time())


class Unspent(Unavailable):
    """Nothing was asked, because our own budget is spent. No failure of the source."""


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _pause(headers: Mapping[str, str]) -> float | None:
    """Seconds of a Retry-After, given as such or as a moment (then by the server's own clock); None where there is none that can be read."""
    said = headers.get("retry-after", "").strip()
    if said.isdecimal() and said.isascii():
        return min(float(said), LONGEST_PAUSE)
    try:
        pause = (parsedate_to_datetime(said) - parsedate_to_datetime(headers.get("date", ""))).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(pause, 0.0), LONGEST_PAUSE)
