"""Bars off the wire: the fast road says what the codec says, and takes nothing that the codec refuses."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import encode
from schemas.market import BarClosed, BarCorrected, BarLate
from schemas.reference import SymbolResumed
from streams.technical import decode
from streams.technical.bars import Bars

END = datetime(2026, 3, 16, 14, 34, tzinfo=UTC)
WIRE = encode(BarClosed.new(source="/alpaca/iex", subject="AAPL", time=END, start=END - timedelta(minutes=1), end=END, open=Decimal("172.18"),
                            high=Decimal("172.45"), low=Decimal("172.11"), close=Decimal("172.41"), volume=18_204, trades=231, vwap=Decimal("172.3")))

prices = st.decimals(min_value="0.0001", max_value="99999", places=4, allow_nan=False)
symbols = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=1, max_size=6)


@st.composite
def events(draw):
    kind = draw(st.sampled_from([BarClosed, BarClosed, BarLate, BarCorrected]))
    end = END + timedelta(minutes=draw(st.integers(0, 3)))
    revision = {"revision": draw(st.integers(1, 3))} if kind is BarCorrected else {}
    return kind.new(source=draw(st.sampled_from(["/alpaca/iex", 'odd"source\\'])), subject=draw(symbols), time=end, start=end - timedelta(minutes=1), end=end,
                    **{name: draw(prices) for name in ("open", "high", "low", "close")}, volume=draw(st.integers(0, 10**12)),
                    trades=draw(st.none() | st.integers(0, 999)), vwap=draw(st.none() | prices), **revision)


def rows(bars: Bars) -> list[tuple[object, ...]]:
    columns = (getattr(bars, name).tolist() for name in ("end", "open", "high", "low", "close", "volume", "revision"))
    return sorted(zip(bars.symbols, *columns, strict=True))


@settings(max_examples=40, deadline=None)
@given(st.lists(events(), max_size=12))
def test_whatever_bars_there_are_they_are_read_as_the_codec_reads_them(some):
    found = decode.decode_bars([encode(event) for event in some])
    assert rows(found.bars) == rows(Bars.of(some)) and not found.faults


def test_a_plain_minute_is_read_without_the_codec(monkeypatch):
    monkeypatch.setattr(decode, "decode", lambda value: pytest.fail("the slow road was taken"))
    values = [WIRE.replace(b"AAPL", b"S%d" % at) for at in range(100)]
    values += [value.replace(b'"trades":231,"vwap":"172.3"', b'"trades":null,"vwap":null') for value in values]
    found = decode.decode_bars(values)
    assert len(found.bars) == 200 and set(found.bars.close.tolist()) == {172.41} and set(found.bars.end.tolist()) == {int(END.timestamp()) // 60}


@pytest.mark.parametrize("old, new", [
    (b'"172.18"', b'"NaN"'), (b'"172.18"', b'"1.7.2"'), (b'"172.18"', b'"-"'), (b'"172.18"', b'""'), (b':18204', b':1.5'), (b'"low"', b'"lo"'),
    (b"14:34:00Z", b"14:34:61Z"), (b"bar.closed.v1", b"bar.closed.v9"), (b"}}", b"}"), (b"{", b"["),
], ids=lambda part: part.decode())
def test_what_the_codec_refuses_is_a_fault_among_good_bars(old, new):
    good = [WIRE.replace(b"AAPL", b"S%d" % at) for at in range(40)]
    found = decode.decode_bars([*good[:20], WIRE.replace(old, new), *good[20:]])
    assert [at for at, _ in found.faults] == [20] and sorted(found.bars.symbols) == sorted(f"S{at}" for at in range(40))


def test_what_is_no_bar_and_what_is_no_event_are_faults():
    other = encode(SymbolResumed.new(source="/test", subject="AAPL", time=END, code="T1"))
    found = decode.decode_bars([other, b"\xff\xfe", b"", WIRE])
    assert len(found.bars) == 1 and sorted(at for at, _ in found.faults) == [0, 1, 2] and "symbol.resumed.v1 among the bars" in str(found.faults)


def test_an_end_that_is_written_otherwise_is_the_same_moment():
    found = decode.decode_bars([WIRE.replace(b"2026-03-16T14:34:00Z", b"2026-03-16T15:34:00+01:00"), WIRE])
    assert not found.faults or "timezone" in str(found.faults[0][1]).lower()
    assert len(set(found.bars.end.tolist())) == 1


def test_nothing_is_nothing():
    found = decode.decode_bars([])
    assert len(found.bars) == 0 and found.bars.end.dtype == np.int64
