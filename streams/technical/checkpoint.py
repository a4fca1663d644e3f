"""The state of the technical room as parts of less than 1 MB, and back, equal to the bit. Called by `technical`; the role makes analysis.sealed of them.

Carried: for 1 and 5 minutes the recursive states behind the newest bar and behind the ring, the kept bars themselves (a thinly traded symbol's last 200
may be spread over weeks of the log), the figures; volumes by time of day; minute and session. Refilled from the log: the days (days.published and
daily.published of catalyst.reference, in order). Prices are written as differences in ticks, columns of whole numbers as integers, and all of them byte by
byte, the first bytes of all numbers together: 6 kB a symbol with full rings, where zstd of the plain numbers needs 14.
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import cramjam
import numpy as np
from numpy.typing import NDArray

from streams.log.keys import partition_for
from streams.technical.series import Floats, Ints

if TYPE_CHECKING:
    from streams.technical.technical import Technical

LAYOUT = "technical-1"
PARTITIONS = 12
SYMBOLS = 96            # of a part, 0.57 MB of columns with full rings
LARGEST = 900_000       # bytes of columns; the log takes 1 MB
LEVEL = 1
TICKS = (100.0, 10_000.0)       # prices in cents where a symbol's all are, else in 1/100 of a cent, else as they are
WHOLE = 2.0 ** 52


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
    packed = [one for symbols in partitions for at in range(0, max(len(symbols), 1), SYMBOLS) for one in _pack(room, tuple(symbols[at:at + SYMBOLS]))]
    return [Part(nth, len(packed), LAYOUT, *one) for nth, one in enumerate(packed)]


def _pack(room: "Technical", symbols: tuple[str, ...]) -> list[tuple[tuple[str, ...], str, str]]:
    """Symbols, columns and digest of a part, or of its halves where it would be too large for the log."""
    matrix = np.zeros((0, 0)) if not symbols else np.vstack(list(_columns(room, room.rows(symbols))))
    columns = base64.b64encode(bytes(cramjam.zstd.compress(_planes(matrix), level=LEVEL))).decode()
    if len(columns) <= LARGEST or len(symbols) == 1:
        return [(symbols, columns, _digest(matrix))]
    middle = len(symbols) // 2
    return _pack(room, symbols[:middle]) + _pack(room, symbols[middle:])


def _columns(room: "Technical", rows: Ints) -> Iterator[Floats]:
    """Each of them some columns with a value a symbol; `_take_up` reads them in this order."""
    opens, closes = room.hours.on(room.day)
    for one in (room.minute, room.day, room.followed, opens, closes):
        yield np.full((1, len(rows)), float(one))
    yield room.profile.sessions[rows][None].astype(float)
    yield room.profile.today[:, rows]
    yield from room.profile.past[:, :, rows]
    for figures in room.figures.values():
        yield figures[:, rows]
    for frame in room.frames.values():
        yield frame.count[rows][None].astype(float)
        yield frame.head[:, rows]
        yield frame.base[:, rows]
        back = np.arange(frame.size)[:, None]                                   # newest first
        order, there = frame.place(rows, back), frame.count[rows] > back
        end, *bars = (np.where(there, column.ravel()[order], 0) for column in (frame.end, *frame.columns))
        yield from _small(end.astype(float), bars)


def _small(end: Floats, bars: list[Floats]) -> Iterator[Floats]:
    scale: Floats = np.zeros(end.shape[1])
    for unit in reversed(TICKS):
        exact = [((np.rint(price * unit) / unit == price) & (price < WHOLE / unit)).all(axis=0) for price in bars[:4]]
        scale = np.where(np.logical_and.reduce(exact), unit, scale)
    yield scale[None]
    yield np.vstack([end[:1], np.diff(end, axis=0)])
    ticks = [np.rint(price * scale) for price in bars[:4]]
    yield np.where(scale > 0, np.vstack([ticks[3][:1], np.diff(ticks[3], axis=0)]), bars[3])
    for tick, price in zip(ticks[:3], bars[:3], strict=True):
        yield np.where(scale > 0, tick - ticks[3], price)
    yield bars[4]


def _planes(matrix: Floats) -> bytes:
    """Which columns are whole numbers, those as integers with the sign in the last bit, then the others; each byte by byte."""
    whole: NDArray[np.bool_] = ((np.rint(matrix) == matrix) & (np.abs(matrix) < WHOLE) & ~((matrix == 0) & np.signbit(matrix))).all(axis=1)
    integers = matrix[whole].astype("<i8")
    return whole.tobytes() + b"".join(
        np.ascontiguousarray(np.frombuffer(some.tobytes(), np.uint8).reshape(-1, 8).T).tobytes()
        for some in ((integers << 1) ^ (integers >> 63), matrix[~whole].astype("<f8")))


def _matrix(packed: bytes, symbols: int) -> Floats:
    count = len(packed) // (1 + 8 * symbols)
    whole = np.frombuffer(packed[:count], bool)
    border = count + 8 * symbols * int(whole.sum())
    integers, others = (np.ascontiguousarray(np.frombuffer(some, np.uint8).reshape(8, -1).T) for some in (packed[count:border], packed[border:]))
    matrix = np.empty((count, symbols))
    folded = np.frombuffer(integers.tobytes(), "<i8").reshape(-1, symbols)
    matrix[whole] = (folded >> 1) ^ -(folded & 1)
    matrix[~whole] = np.frombuffer(others.tobytes(), "<f8").reshape(-1, symbols)
    return matrix


def _digest(matrix: Floats) -> str:
    return hashlib.sha256(np.ascontiguousarray(matrix, "<f8").tobytes()).hexdigest()


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
        packed = bytes(cramjam.zstd.decompress(base64.b64decode(part.columns, validate=True)))
        matrix = _matrix(packed, len(part.symbols)) if part.symbols else np.zeros((0, 0))
    except (ValueError, cramjam.DecompressionError) as error:
        raise CheckpointUnreadable(f"part {part.part}: {error}") from error
    if _digest(matrix) != part.digest:
        raise CheckpointUnreadable(f"part {part.part} is not what was sealed: its digest differs")
    return matrix


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
        scale = take(1)[0]
        end = np.cumsum(take(frame.size), axis=0).astype(np.int64)
        close, small, unit = take(frame.size), scale > 0, np.where(scale > 0, scale, 1.0)
        ticks = np.cumsum(np.where(small, close, 0.0), axis=0)      # whole numbers: exact
        prices = [np.where(small, (one + ticks) / unit, one) for one in (take(frame.size) for _ in range(3))]
        bars = [*prices, np.where(small, ticks / unit, close), take(frame.size)]
        order = frame.place(rows, np.arange(frame.size)[:, None])
        for column, one in zip((frame.end, *frame.columns), (end, *bars), strict=True):
            column.ravel()[order] = one
    room.daily.refresh()
