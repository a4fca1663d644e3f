"""The acceptance deck of a broker adapter: numbered cards, each a promise that is played against a real account.

`make test` plays them on the paper exchange (test_alpaca_acceptance). Against a real paper account:

    CATALYST_ACCEPTANCE_KEY=... CATALYST_ACCEPTANCE_SECRET=... .venv/bin/python -m tests.integration.trading.acceptance

It trades two shares of CATALYST_ACCEPTANCE_SYMBOL (F) at a time, and begins each card by cancelling every order and closing every position of that
account. A card that takes faults or a clock that can be moved says so and is skipped there. CATALYST_ACCEPTANCE_URL and _DATA_URL name another broker
that speaks Alpaca's API; a live account is refused.
"""

from __future__ import annotations

import asyncio
import os
import sys

from schemas.settings import Settings, load
from tests.integration.trading import cards_failures, cards_lists, cards_orders  # noqa: F401    # they fill the deck
from tests.integration.trading.deck import CARDS
from tests.integration.trading.table import Skipped, Table


async def main() -> int:
    """Play the deck against a real paper account; the exit code is 1 when a card is lost."""
    key, secret = (os.environ.get(f"CATALYST_ACCEPTANCE_{name}", "") for name in ("KEY", "SECRET"))
    if not key or not secret:
        print(f"{len(CARDS)} cards skipped: CATALYST_ACCEPTANCE_KEY and CATALYST_ACCEPTANCE_SECRET of a paper account are not set")
        return 0
    url = os.environ.get("CATALYST_ACCEPTANCE_URL", "https://paper-api.alpaca.markets")
    table = Table(real(url, key, secret), os.environ.get("CATALYST_ACCEPTANCE_SYMBOL", "F"))
    won = lost = 0
    for one in sorted(CARDS, key=lambda card: "PRCBAXLSG".index(card.id[0])):
        try:
            await table.fresh()
            await one.play(table)
            verdict, won = "won", won + 1
        except Skipped as skipped:
            verdict = f"skipped: {skipped}"
        except Exception as error:      # noqa: BLE001    # a lost card does not end the game
            verdict, lost = f"LOST: {type(error).__name__}: {error}", lost + 1
        print(f"{one.id:4} {one.title}: {verdict}", flush=True)
    await table.broker.close()
    print(f"{len(CARDS)} cards: {won} won, {lost} lost, {len(CARDS) - won - lost} skipped")
    return 1 if lost else 0


def real(url: str, key: str, secret: str) -> Settings:
    socket, data = url.replace("http", "ws", 1) + "/stream", os.environ.get("CATALYST_ACCEPTANCE_DATA_URL", "https://data.alpaca.markets")
    return load({}, broker_url=url, stream_url=socket, data_url=data, broker_key=key, broker_secret=secret, max_order_value=10**9, max_orders_a_minute=10**4)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
