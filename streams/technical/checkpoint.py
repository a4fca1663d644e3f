"""The state of the technical room as parts of less than 1 MB, and back, equal to the bit. Called by `technical`; the role makes analysis.sealed of them.

Carried: for 1 and 5 minutes the recursive states behind the newest bar and behind the ring, the kept bars themselves (a thinly traded symbol's last 200
may be spread over weeks of the log), the figures; volumes by time of day; minute and session. Refilled from the log: the days (days.published and
daily.published of catalyst.reference, in order). Prices with at most four decimals are written as differences in 1/10,000 USD, which zstd makes small.
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import cramjam
import numpy as np

from streams.log.keys import partition_for
from streams.technical.series import Floats, Ints

if TYPE_CHECKING:
    from streams.technical.technical import Technical

LAYOUT = "technical-1"
PARTITIONS = 12
SYMBOLS = 64            # of a part: 0.3 MB as measured, 0.8 MB with prices that do not compress
TICK = 10_000.0


class CheckpointUnreadable(ValueError):
    """A seal that cannot be started from. Take an older one, or begin at the first bar; nothing was changed."""


class Sealed(Protocol):
    """What is read of a part; analysis.sealed has all of it."""

    @property
    def part(self) -> int: ...
    @property
    def parts(self) -> int: ...
    @property
    def layout(self) -> str: ...
    @property
    def symbols(self) -> tuple[str, ...]: ...
    @property
    def columns(self) -> str: ...
    @property
    def digest(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Part:
    """Some symbols of one bar partition; every partition has at least one part. The fields are those of analysis.sealed."""

    part: int
    parts: int
    layout: str
    symbols: tuple[str, ...]
    columns: str
    digest: str


def seal(room: "Technical") -> list[Part]:
    """The parts, in the order of partitions and symbols."""
    partitions: list[list[str]] = [[] for _ in range(PARTITIONS)]
    for symbol in sorted(room.symbols):
        partitions[partition_for(symbol, PARTITIONS)].append(symbol)
    chunks = [tuple(symbols[at:at + SYMBOLS]) for symbols in partitions for at in range(0, max(len(symbols), 1), SYMBOLS)]
    return [_part(room, nth, len(chunks), symbols) for nth, symbols in enumerate(chunks)]


def _part(room: "Technical", nth: int, parts: int, symbols: tuple[str, ...]) -> Part:
    rows = room.rows(symbols)
    raw = np.ascontiguousarray(np.vstack(list(_columns(room, rows))), "<f8").tobytes()
    packed = base64.b64encode(bytes(cramjam.zstd.compress(raw, level=3))).decode()
    return Part(nth, parts, LAYOUT, symbols, packed, hashlib.sha256(raw).hexdigest())


def _columns(room: "Technical", rows: Ints) -> Iterator[Floats]:
    """Each of them some columns with a value a symbol; `_take_up` reads them in this order."""
    opens, closes = room.hours.on(room.day)
    for one in (room.minute, room.day, room.followed, opens, closes):
        yield np.full((1, len(rows)), float(one))
    yield room.profile.sessions[rows][None].astype(float)
    yield room.profile.today[:, rows]
    yield room.profile.past[:, :, rows].reshape(-1, len(rows))
    for figures in room.figures.values():
        yield figures[:, rows]
    for frame in room.frames.values():
        yield frame.count[rows][None].astype(float)
        yield frame.head[:, rows]
        yield frame.base[:, rows]
        order = [frame.place(rows, back) for back in range(frame.size)]         # newest first
        there = np.array([frame.count[rows] > back for back in range(frame.size)])
        end, *bars = (np.where(there, column.ravel()[np.array(order)], 0) for column in (frame.end, *frame.columns))
        yield from _small(end.astype(float), bars)


def _small(end: Floats, bars: list[Floats]) -> Iterator[Floats]:
    ticks = [np.rint(price * TICK) for price in bars[:4]]
    exact = np.logical_and.reduce([(tick / TICK == price).all(axis=0) & (tick < 2.0 ** 50).all(axis=0) for tick, price in zip(ticks, bars[:4], strict=True)])
    yield exact[None].astype(float)
    yield np.vstack([end[:1], np.diff(end, axis=0)])
    yield np.where(exact, np.vstack([ticks[3][:1], np.diff(ticks[3], axis=0)]), bars[3])
    for tick, price in zip(ticks[:3], bars[:3], strict=True):
        yield np.where(exact, tick - ticks[3], price)
    yield bars[4]


def restore(room: "Technical", parts: "Iterable[Sealed]") -> None:
    """The room as it was sealed. Raises CheckpointUnreadable."""
    found = sorted(parts, key=lambda part: part.part)
    if not found or [part.part for part in found] != list(range(found[0].parts)):
        raise CheckpointUnreadable(f"of {found[0].parts if found else 'all'} parts there are {[part.part for part in found]}")
    matrices = [_read(part) for part in found]
    if len({tuple(matrix[:5, 0]) for matrix in matrices if matrix.size}) > 1:
        raise CheckpointUnreadable("the parts are of different minutes")
    for part, matrix in zip(found, matrices, strict=True):
        if part.symbols:
            _take_up(room, room.rows(part.symbols), matrix)
    room.profile.renew()


def _read(part: "Sealed") -> Floats:
    if part.layout != LAYOUT:
        raise CheckpointUnreadable(f"part {part.part} has layout {part.layout!r}; this release reads {LAYOUT!r}")
    try:
        raw = bytes(cramjam.zstd.decompress(base64.b64decode(part.columns, validate=True)))
    except (ValueError, cramjam.DecompressionError) as error:
        raise CheckpointUnreadable(f"part {part.part}: {error}") from error
    if hashlib.sha256(raw).hexdigest() != part.digest:
        raise CheckpointUnreadable(f"part {part.part} is not what was sealed: its digest differs")
    return np.frombuffer(raw, "<f8").reshape(-1, max(len(part.symbols), 1)).copy()


def _take_up(room: "Technical", rows: Ints, matrix: Floats) -> None:
    at = 0

    def take(count: int) -> Floats:
        nonlocal at
        at += count
        return matrix[at - count:at]

    minute, day, followed, opens, closes = (int(one[0]) for one in take(5))
    room.minute, room.day, room.followed = minute, day, bool(followed)
    room.hours.opened(day, opens, closes)
    room.profile.sessions[rows] = take(1)[0].astype(np.int64)
    room.profile.today[:, rows] = take(len(room.profile.today))
    sessions, slots = room.profile.past.shape[:2]
    room.profile.past[:, :, rows] = take(sessions * slots).reshape(sessions, slots, -1)
    for figures in room.figures.values():
        figures[:, rows] = take(len(figures))
    for frame in room.frames.values():
        frame.count[rows] = take(1)[0].astype(np.int64)
        frame.head[:, rows], frame.base[:, rows] = take(len(frame.head)), take(len(frame.base))
        exact = take(1)[0] > 0
        end = np.cumsum(take(frame.size), axis=0).astype(np.int64)
        close = take(frame.size)
        ticks = np.cumsum(np.where(exact, close, 0.0), axis=0)
        prices = [np.where(exact, (one + ticks) / TICK, one) for one in (take(frame.size) for _ in range(3))]
        bars = [*prices, np.where(exact, ticks / TICK, close), take(frame.size)]
        order = np.array([frame.place(rows, back) for back in range(frame.size)])
        for column, one in zip((frame.end, *frame.columns), (end, *bars), strict=True):
            column.ravel()[order] = one
    room.daily.refresh()
