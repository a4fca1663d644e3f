"""A room that starts from a checkpoint says the same as one that saw every bar, to the bit; what is damaged is refused before anything changes."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pytest

from schemas.analysis import AnalysisSealed
from schemas.codec import decode, encode
from streams.log.keys import partition_for
from streams.technical import checkpoint
from streams.technical.checkpoint import CheckpointUnreadable
from streams.technical.series import moment
from streams.technical.technical import Technical
from tests.unit.technical.conftest import OPEN, bars, bits, told, walk
from tests.unit.technical.test_technical import days, split

MINUTES = walk(90, days=2, symbols=("SPY", "AAPL", "AMC", "THIN", "ODD"))
BEFORE = (days("SPY", 60, price="400"), days("AAPL", 260, price="150.25"), days("AMC", 12), split("AMC", 2))


def learnt() -> Technical:
    room = Technical()
    for event in BEFORE:
        room.learn(event)
    return room


@pytest.mark.parametrize("at", [1, 93, 161])
def test_a_start_from_a_checkpoint_is_a_start_from_the_first_bar(at):
    whole, restored = told(learnt(), MINUTES[:at]), learnt()
    restored.restore(whole.seal())
    assert bits(restored) == bits(whole)
    assert bits(told(restored, MINUTES[at:at + 8])) == bits(told(whole, MINUTES[at:at + 8]))
    assert [part.columns for part in restored.seal()] == [part.columns for part in whole.seal()]


def test_prices_with_more_than_four_decimals_come_back_as_they_were():
    odd = bars(["ODD", "AAPL"], OPEN + 1, [(1 / 3, 0.4, 0.3, 1 / 3, 5), (10.0001, 10.1, 10, 10.00005, 5)])
    whole, restored = told(Technical(), [(OPEN + 1, odd)]), Technical()
    restored.restore(whole.seal())
    assert bits(restored) == bits(whole)


def test_parts_go_through_the_log_as_events_and_each_is_of_one_bar_partition():
    whole, restored = told(learnt(), MINUTES[:100]), learnt()
    events = [AnalysisSealed.new(source="/test", subject="2022-03-15", time=moment(whole.minute), minute=datetime(2022, 3, 15, tzinfo=UTC),
                                 offsets={"catalyst.market.bars/0": 1}, part=part.part, parts=part.parts, layout=part.layout, symbols=part.symbols,
                                 columns=part.columns, digest=part.digest) for part in whole.seal()]
    restored.restore(decode(encode(event)) for event in reversed(events))
    assert bits(restored) == bits(whole)
    assert all(len({partition_for(symbol, 12) for symbol in event.symbols}) <= 1 for event in events) and len(events) == 12


def test_a_part_of_full_rings_with_prices_that_do_not_compress_is_below_a_megabyte(monkeypatch):
    chance, room = np.random.default_rng(3), Technical()
    monkeypatch.setattr(checkpoint, "partition_for", lambda symbol, partitions: 0)
    rows = room.rows([f"S{at}" for at in range(checkpoint.SYMBOLS)])
    for frame in room.frames.values():
        frame.count[rows] = frame.size
        frame.end[:] = np.arange(frame.size)[:, None]
        for column in frame.columns[:4]:
            column[:] = chance.uniform(1, 500, column.shape)
        frame.columns[4][:] = chance.integers(0, 1_000_000, frame.columns[4].shape)
        frame.head[:], frame.base[:] = chance.random(frame.head.shape), chance.random(frame.base.shape)
    room.profile.past[:] = chance.integers(0, 10**8, room.profile.past.shape)
    parts = checkpoint.seal(room)
    assert max(len(part.columns) for part in parts) < 950_000 and sum(len(part.symbols) for part in parts) == checkpoint.SYMBOLS


@pytest.mark.parametrize("spoil, said", [
    (lambda parts: parts[:-1], "of 12 parts there are"),
    (lambda parts: [], "parts there are"),
    (lambda parts: [replace(parts[0], layout="technical-0"), *parts[1:]], "has layout 'technical-0'"),
    (lambda parts: [*parts[:-1], replace(parts[-1], digest="0" * 64)], "its digest differs"),
    (lambda parts: [replace(parts[0], columns="!"), *parts[1:]], "part 0"),
    (lambda parts: [replace(parts[0], columns="AAAA"), *parts[1:]], "part 0"),
], ids=["missing", "none", "layout", "digest", "not base64", "not zstd"])
def test_a_checkpoint_that_is_not_whole_is_refused_and_nothing_changes(spoil, said):
    room = told(learnt(), MINUTES[:20])
    parts, before = room.seal(), bits(room)
    told(room, MINUTES[20:21])
    before = bits(room)
    with pytest.raises(CheckpointUnreadable, match=said):
        room.restore(spoil(parts))
    assert bits(room) == before


def test_parts_of_different_minutes_are_refused():
    room = told(learnt(), MINUTES[:20])
    old = room.seal()
    new = told(room, MINUTES[20:21]).seal()
    used = [at for at, part in enumerate(new) if part.symbols]
    with pytest.raises(CheckpointUnreadable, match="different minutes"):
        room.restore([old[at] if at == used[0] else part for at, part in enumerate(new)])


def test_a_split_before_the_seal_is_in_it_once():
    whole = told(learnt(), MINUTES[:20])
    restored = learnt()
    restored.restore(whole.seal())
    assert restored.series("AMC", "1d").close[0] == float(Decimal(10) / 2) == whole.series("AMC", "1d").close[0]
