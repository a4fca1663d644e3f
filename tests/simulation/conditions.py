"""Conditions under which histories are played, many in one process: no log lines, no collector in the middle of one, and each record decoded once.

Events are frozen, so every reader may get the same one; the first decode of a record is the real one. Finalizers of the dead run between histories.
"""

import functools
import gc
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import streams.lease
from schemas import codec
from schemas.envelope import Event

REMEMBERED = 20_000     # decoded records; a history has about 200 of its own, the tapes a few thousand that all share


class _Silent:
    """Every method of a logger, without a word."""

    def __getattr__(self, name: str) -> object:
        return _say_nothing


def _say_nothing(*_: object, **__: object) -> None: ...


SILENT = _Silent()


@contextmanager
def laboratory() -> Iterator[None]:
    """Play histories inside; `sweep()` now and then."""
    decode, digest, log, hook, collecting = codec.decode, codec.digest, streams.lease.log, sys.unraisablehook, gc.isenabled()
    known: dict[bytes, Event] = {}

    def once(value: bytes) -> Event:
        event = known.get(value)
        if event is None:
            if len(known) > REMEMBERED:
                known.clear()
            event = known[value] = decode(value)
        return event

    codec.decode, streams.lease.log, sys.unraisablehook = once, SILENT, _say_nothing        # type: ignore[assignment]
    codec.digest = functools.lru_cache(REMEMBERED)(digest)
    gc.collect()
    gc.freeze()         # what is there now stays: no sweep need look at it again
    gc.disable()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)     # "never awaited": of coroutines whose process was killed before their first step
            yield
            gc.collect()        # coroutines that were cut off in mid-air complain when they are closed; nobody needs to hear it
    finally:
        codec.decode, codec.digest, streams.lease.log, sys.unraisablehook = decode, digest, log, hook
        gc.unfreeze()
        if collecting:
            gc.enable()


def sweep() -> None:
    """Collect what the last histories left."""
    gc.collect()
