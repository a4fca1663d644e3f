"""What a card of the acceptance deck is, and the deck itself; the cards put themselves into it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.integration.trading.table import Play, Table


@dataclass(frozen=True, slots=True)
class Card:
    """One promise."""

    id: str
    title: str
    play: Play


CARDS: list[Card] = []


def card(id: str, title: str) -> Callable[[Play], Play]:
    def add(play: Play) -> Play:
        CARDS.append(Card(id, title, play))
        return play

    return add


async def bracket(table: Table, target: float = 5, stop: float = -5, **form: object) -> dict[str, dict[str, object]]:
    """Parent, target and stop of a bracket."""
    placed = await table.submit(order_class="bracket", take_profit=await table.near(target), stop_loss=await table.near(stop), **form)
    legs = {"target" if leg["type"] == "limit" else "stop": leg for leg in placed["legs"]}
    return {"parent": placed, **legs}
