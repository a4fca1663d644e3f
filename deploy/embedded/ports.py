"""TCP ports of one home: free ones on 127.0.0.1, chosen once and remembered in HOME/run/ports.json, so that addresses survive a restart.

They lie below the range from which the kernel takes ports for outgoing connections, or a stranger's connection could sit on ours between two starts.
"""

import hashlib
import json
import os
import socket
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from deploy.embedded import CannotStart

FIRST, COUNT = 20_000, 12_000
_ONE_AT_A_TIME = threading.Lock()      # Kafka and PostgreSQL claim theirs side by side, from threads of one process


def ports(home: Path, names: Iterable[str], say: Callable[[str], None] = print) -> dict[str, int]:
    """A port for each name. A remembered port that a stranger has taken meanwhile is chosen anew, with a message.

    Call it only while none of this home's processes holds its port. Raises CannotStart when no port is free.
    """
    with _ONE_AT_A_TIME:
        return _ports(home / "run" / "ports.json", home, tuple(names), say)


def _ports(book: Path, home: Path, names: tuple[str, ...], say: Callable[[str], None]) -> dict[str, int]:
    known: dict[str, int] = json.loads(book.read_text()) if book.exists() else {}
    for name in names:
        if name in known and is_free(known[name]):
            continue
        chosen = _choose(f"{home}:{name}", set(known.values()))
        if name in known:
            say(f"port {known[name]} of {name} was taken by another program; using {chosen} from now on")
        known[name] = chosen
    book.parent.mkdir(parents=True, exist_ok=True)
    draft = book.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps(known, indent=1))
    draft.replace(book)
    return {name: known[name] for name in names}


def is_free(port: int) -> bool:
    """Whether a server could bind this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)     # connections in TIME_WAIT do not count, as for the servers themselves
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _choose(seed: str, taken: set[int]) -> int:
    """The first free port behind a place that depends on home and name: two homes look in different places."""
    start = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4])
    for step in range(COUNT):
        port = FIRST + (start + step) % COUNT
        if port not in taken and is_free(port):
            return port
    raise CannotStart(f"no free TCP port on 127.0.0.1 between {FIRST} and {FIRST + COUNT}")
