"""The parts of README.md that are read off the code: endpoints, settings, rules, faults, ticks. `python -m deploy.exchange.manual`
writes them anew between their marks; a test holds the page against them."""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

from starlette.routing import BaseRoute, Route, WebSocketRoute

from .__main__ import parser
from .access import Access
from .book import Rules
from .exchange import Exchange, Pace
from .faults import KINDS, TARGETS
from .generator import generate
from .journal import Journal
from .profiles import PROFILES
from .push import OPTIONAL, PUSHES
from .server import Connections, application

PAGE = Path(__file__).with_name("README.md")
PART = re.compile(r"(<!-- (?P<name>\w+): from the code -->\n).*?(<!-- end -->)", re.DOTALL)


def written(page: str) -> str:
    """The page with every part between marks as the code has it now."""
    return PART.sub(lambda found: found[1] + PARTS[found["name"]]() + "\n" + found[3], page)


def endpoints() -> str:
    """Method and path of all that is served, by path."""
    feed = generate(0, ["AAPL"], 1)
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder), {}, lambda text: None)
        exchange = Exchange(feed, journal, Rules(), 0, Pace())
        routes = application(exchange, Access(), Connections()).routes
        journal.close()
    rows = sorted({(path, method) for route in routes for path, method in _doors(route)})
    methods: dict[str, list[str]] = {}
    for path, method in rows:
        methods.setdefault(path, []).append(method)
    return _table(("path", "methods"), [(f"`{path}`", ", ".join(found)) for path, found in methods.items()])


def _doors(route: BaseRoute) -> list[tuple[str, str]]:
    if isinstance(route, WebSocketRoute):
        return [(route.path, "WebSocket")]
    assert isinstance(route, Route)
    return [(route.path, method) for method in sorted(route.methods or ()) if method != "HEAD"]


def settings() -> str:
    actions = [it for it in parser()._actions if not isinstance(it, argparse._HelpAction)]
    return _table(("option", "meaning"), [(f"`{it.option_strings[0]}`", (it.help or "").replace("%%", "%")) for it in actions])


def rules() -> str:
    meanings = {name: kind.__metadata__[0] for name, kind in get_type_hints(Rules, include_extras=True).items()}
    return _table(("rule", "default", "meaning"), [(f"`{it.name}`", f"`{str(it.default).lower()}`", meanings[it.name]) for it in fields(Rules)])


def profiles() -> str:
    rows = [(f"`{name}`", ", ".join(f"`{rule}={str(value).lower()}`" for rule, value in it.items()) or "nothing") for name, it in PROFILES.items()]
    return _table(("profile", "changes"), rows)


def faults() -> str:
    rows = [(f"`{name}`", ", ".join(kind.places), ", ".join(f"`{it}` ({str(value).lower()})" for it, value in kind.parameters.items()), kind.doc)
            for name, kind in KINDS.items()]
    return _table(("kind", "acts on", "parameters (default)", "what happens"), rows)


def targets() -> str:
    return _table(("target", "meaning"), [(f"`{name}`", doc) for name, doc in TARGETS.items()])


def pushes() -> str:
    rows = [(f"`POST /_sim/{name}`", said.doc, ", ".join(f"**{it}**" if value is None and it not in OPTIONAL else it for it, value in said.fields.items()))
            for name, said in PUSHES.items()]
    return _table(("request", "what it says", "fields beside `symbol` and `t` (bold: needed)"), rows)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


PARTS = {it.__name__: it for it in (endpoints, settings, rules, profiles, faults, targets, pushes)}

if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
