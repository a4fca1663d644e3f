"""`/_sim/faults`: arm what goes wrong, see what has, and put everything right again."""

from __future__ import annotations

import json
from functools import partial

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .faults import KINDS, Faults, Place
from .refusals import Refusal
from .stream import Streams


class FaultControl:
    """The endpoints of one exchange."""

    def __init__(self, faults: Faults, streams: Streams) -> None:
        self._faults, self._streams = faults, streams

    def routes(self) -> list[Route]:
        table = [("POST", self.arm), ("GET", self.show), ("DELETE", self.clear)]
        return [Route("/_sim/faults", endpoint, methods=[method]) for method, endpoint in table]

    async def arm(self, request: Request) -> Response:
        """Arm one fault, or a list of them in order; the answer is what was armed. A drop that is not to wait has happened by then."""
        try:
            body = json.loads(await request.body())
        except (ValueError, RecursionError):
            raise Refusal("malformed_body") from None
        asked = body if isinstance(body, list) else [body]
        if not asked or not all(isinstance(it, dict) for it in asked):
            raise Refusal("malformed_body")
        armed = [self._faults.arm(it) for it in asked]
        for fault in armed:
            if fault.kind == "drop" and fault["now"]:
                fault.hits, fault.left = self._streams.break_off(partial(fault.meets, Place.FRAME)), 0
        shown = [fault.describe() for fault in armed]
        return JSONResponse(shown if isinstance(body, list) else shown[0], status_code=201)

    async def show(self, request: Request) -> Response:
        """What is armed or spent, and every kind there is."""
        kinds = {name: {"acts_on": list(kind.places), "parameters": kind.parameters, "doc": kind.doc} for name, kind in KINDS.items()}
        return JSONResponse({"faults": [fault.describe() for fault in self._faults.armed], "kinds": kinds})

    async def clear(self, request: Request) -> Response:
        return JSONResponse({"cleared": self._faults.clear()})
