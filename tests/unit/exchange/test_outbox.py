"""A client that does not read costs a bounded amount of memory."""

from __future__ import annotations

from deploy.exchange.outbox import Outbox


async def test_frames_come_out_as_they_went_in() -> None:
    outbox = Outbox()
    for number in range(3):
        assert outbox.put(b"%d" % number)
    assert [await outbox.get() for _ in range(3)] == [b"0", b"1", b"2"]


async def test_what_is_read_makes_room_and_what_is_not_read_ends_it() -> None:
    outbox = Outbox(limit=10)
    for _ in range(100):
        assert outbox.put(b"12345")
        await outbox.get()
    assert outbox.put(b"12345") and outbox.put(b"12345")
    assert not outbox.put(b"1")
    outbox.end(b"bye")
    assert (outbox.waiting, outbox.last_word, outbox.ended.is_set()) == (0, b"bye", True)
    assert outbox.put(b"12345"), "an ended outbox swallows what still comes"
    assert outbox.waiting == 0
