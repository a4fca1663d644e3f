"""What a websocket client says: a JSON or a MessagePack object, in a text or a binary frame."""

from __future__ import annotations

import json
from typing import Any

import msgpack  # type: ignore[import-untyped]


def read_words(content: bytes) -> dict[str, Any] | None:
    """The object; None when it is neither."""
    for decode in (json.loads, msgpack.unpackb):
        try:
            message = decode(content)
        except (ValueError, TypeError, RecursionError, msgpack.UnpackException):
            continue
        if isinstance(message, dict):
            return message
    return None
