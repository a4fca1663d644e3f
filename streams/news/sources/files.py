"""News from a folder: `*.jsonl` or `*.jsonl.gz`, one article a line, for simulations and for wires that we do not speak.

`headline` and `published` (or `created_at`) are needed; `id`, `updated` (`updated_at`), `publisher` (`source`), `summary`, `author`, `url`, `symbols` and
`channels` are taken where they are there. An edit is a line with the id of its article and a later `updated`. A line that is no article is left out,
counted, and named in the log when it is first read.
"""

import asyncio
import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import structlog

from schemas.settings import Settings
from streams.news.port import NoArticle, RawArticle, Source, Unavailable
from streams.news.sources.reading import SKIPPED, kept, moment, text, texts

NAMED = 20                      # lines of a file that are named at once; the others are counted
LONGEST_LINE = 2_000_000        # bytes
MOST = 256 * 1024 * 1024        # bytes of one file, unpacked


class Files(Source):
    """The articles of one folder. A file is read again when it has changed."""

    feed = "file"
    simulated = True

    def __init__(self, settings: Settings) -> None:
        self._folder, self._log = settings.news_folder, structlog.get_logger("news")
        self._read: dict[Path, tuple[tuple[int, int], list[RawArticle]]] = {}
        self._named: dict[Path, dict[int, int]] = {}        # lines that were named, and what they said (its checksum)

    @property
    def off(self) -> str:
        return "" if self._folder else "no folder: CATALYST_NEWS_FOLDER is empty"

    async def latest(self, since: datetime) -> list[RawArticle]:
        return await asyncio.to_thread(self._latest, since)

    def _latest(self, since: datetime) -> list[RawArticle]:
        assert self._folder is not None
        try:
            paths = sorted(it for it in self._folder.iterdir() if it.name.endswith((".jsonl", ".jsonl.gz")))
            self._read = {path: self._articles(path) for path in paths}
        except (OSError, EOFError, zlib.error) as error:
            raise Unavailable(f"file: {self._folder} cannot be read: {error}") from None
        return [raw for _, articles in self._read.values() for raw in articles if raw.updated >= since]

    def _articles(self, path: Path) -> tuple[tuple[int, int], list[RawArticle]]:
        is_now = path.stat()
        version = is_now.st_mtime_ns, is_now.st_size
        known = self._read.get(path)
        return known if known is not None and known[0] == version else (version, self._anew(path))

    def _anew(self, path: Path) -> list[RawArticle]:
        found, wrong = list[RawArticle](), list[tuple[int, bytes, str]]()
        for number, line in _lines(path):
            try:
                found.append(kept(_json(line), read))
            except NoArticle as why:
                SKIPPED.labels("file").inc()
                wrong.append((number, line, str(why)))
        self._name(path, wrong)
        return found

    def _name(self, path: Path, wrong: list[tuple[int, bytes, str]]) -> None:
        """Each line once, though its file is read again when it grows: the first ones by name, the others as a count."""
        said = self._named.setdefault(path, {})
        fresh = [(number, why) for number, line, why in wrong if said.get(number) != zlib.crc32(line)]
        said.update((number, zlib.crc32(line)) for number, line, _ in wrong)
        for number, why in fresh[:NAMED]:
            self._log.warning("article left out", file=path.name, line=number, reason=why)
        if len(fresh) > NAMED:
            self._log.warning("more articles left out", file=path.name, count=len(fresh) - NAMED)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines that are not empty, by number."""
    total = 0
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
        for number in count(1):
            if not (line := lines.readline(LONGEST_LINE)):
                return
            total += len(line)
            if total > MOST:
                raise OSError(f"{path.name} is longer than {MOST:,} bytes")
            if line.strip():
                yield number, line


def _json(line: bytes) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:       # wrong encodings among them
        raise NoArticle(f"no JSON: {error}") from None


def read(row: Mapping[str, Any]) -> RawArticle:
    """One article. Raises NoArticle."""
    headline, published = text(row.get("headline")), moment(row.get("published") or row.get("created_at"))
    if not headline:
        raise NoArticle("no headline")
    given, made = row.get("id"), zlib.crc32(f"{headline}|{published.isoformat()}".encode("utf-8", "replace"))
    return RawArticle(
        feed="file", id=str(given) if isinstance(given, int | str) and given != "" else f"{made:08x}",
        published=published, updated=moment(row.get("updated") or row.get("updated_at"), published), headline=headline,
        publisher=text(row.get("publisher") or row.get("source")), summary=text(row.get("summary")), author=text(row.get("author")), url=text(row.get("url")),
        symbols=texts(row.get("symbols")), channels=texts(row.get("channels")))
