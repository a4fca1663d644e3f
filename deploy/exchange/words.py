"""What a client says: a JSON or a MessagePack object in a frame of a websocket, a JSON object in the body of a request."""

from __future__ import annotations

import json
from typing import Any

import msgpack  # type: ignore[import-untyped]
from starlette.requests import Request

from .refusals import Refusal


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


async def read_object(request: Request) -> dict[str, Any]:
    """The JSON object of a request's body; raises Refusal("malformed_body") when it is none."""
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise Refusal("malformed_body") from None
    if not isinstance(body, dict):
        raise Refusal("malformed_body")
    return body
