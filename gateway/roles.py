"""Which roles of this machine answer: their health pages over loopback, with a short deadline. A process can be alive and frozen; only asking tells.

Called by reads.py for get_system_status. Where this home has no embedded stack (containers, other machines) nothing is asked and nothing is claimed.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from gateway.answers import RoleStatus
from streams.role import PORTS

ANSWER_S = 0.5      # a healthy page takes 2 ms; what takes this long is frozen or starved
OURS = "gateway"


async def roles(run_dir: Path) -> Sequence[RoleStatus]:
    """How each role of this home's embedded stack is; [] where there is none."""
    ports = health_ports(run_dir)
    async with httpx.AsyncClient(timeout=ANSWER_S, trust_env=False) as http:
        return await asyncio.gather(*(_ask(http, role, port) for role, port in ports.items()))


def health_ports(run_dir: Path) -> Mapping[str, int]:
    """Of the other roles: where the embedded stack wrote them down."""
    try:
        written = json.loads((run_dir / "ports.json").read_text(encoding="utf-8"))
        return {role: int(written[f"{role} health"]) for role in PORTS if role != OURS and f"{role} health" in written}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


async def _ask(http: httpx.AsyncClient, role: str, port: int) -> RoleStatus:
    try:
        said = (await http.get(f"http://127.0.0.1:{port}/health")).json()
        return RoleStatus(role=role, state=str(said["state"]), reason=str(said.get("reason") or "") or None)
    except httpx.TimeoutException:
        return RoleStatus(role=role, state="frozen", reason=f"its health page does not answer within {ANSWER_S} s")
    except httpx.TransportError:
        return RoleStatus(role=role, state="dead", reason=f"nothing answers on its port {port}")
    except (ValueError, KeyError, TypeError):
        return RoleStatus(role=role, state="unknown", reason=f"something else answers on its port {port}")
