"""JSON over HTTP/1.1 on 127.0.0.1, for the supervisor's health questions: a dozen lines instead of a client library's memory."""

import asyncio
import json
from typing import Any


async def get_json(port: int, path: str, timeout: float = 5.0) -> dict[str, Any]:
    """The JSON object at this path, whatever the status code. Raises OSError, TimeoutError, ValueError (not JSON)."""
    async with asyncio.timeout(timeout):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
            head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
        finally:
            writer.close()
    if b"chunked" in head.lower():
        raise ValueError("a chunked answer")
    answer = json.loads(body)
    if isinstance(answer, dict):
        return answer
    raise ValueError("not a JSON object")
