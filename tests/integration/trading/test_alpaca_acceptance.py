"""The acceptance deck on the paper exchange: one process for all cards, each from flat."""

from collections.abc import AsyncIterator, Iterator

import pytest

from schemas.settings import load
from tests.integration.exchange.conftest import LOCKSTEP, ExchangeProcess
from tests.integration.trading.acceptance import main
from tests.integration.trading.deck import CARDS, Card
from tests.integration.trading.table import Table


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExchangeProcess]:
    process = ExchangeProcess(tmp_path_factory.mktemp("deck") / "journal", *LOCKSTEP, "--seed", "7", "--symbols", "AAPL", "--days", "5",
                              "--key", "key", "--secret", "secret")
    yield process
    process.end()


@pytest.fixture
async def table(exchange: ExchangeProcess) -> AsyncIterator[Table]:
    settings = load({}, broker_url=exchange.url, stream_url=f"{exchange.ws}/stream", data_url=exchange.url, sim_url=exchange.url, broker_key="key",
                    broker_secret="secret", max_order_value=10**9, max_orders_a_minute=10**4)
    table = Table(settings, "AAPL", exchange, timeouts=(30, 60))      # a busy machine is no fault
    await table.fresh()
    yield table
    await table.broker.close()


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.id)
async def test_card(table: Table, card: Card) -> None:
    await card.play(table)


async def test_the_deck_can_be_pointed_at_any_account_by_the_environment(
        exchange: ExchangeProcess, table: Table, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    given = {"KEY": "key", "SECRET": "secret", "URL": exchange.url, "DATA_URL": exchange.url, "SYMBOL": "AAPL"}
    for name, value in given.items():
        monkeypatch.setenv(f"CATALYST_ACCEPTANCE_{name}", value)
    assert await main() == 0, capsys.readouterr().out
    said = capsys.readouterr().out.splitlines()
    assert len(said) == len(CARDS) + 1 and said[-1].startswith(f"{len(CARDS)} cards: ") and ", 0 lost, " in said[-1]
    assert sum("skipped: takes faults" in line for line in said) > 10


async def test_without_an_account_it_says_plainly_that_nothing_was_played(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("CATALYST_ACCEPTANCE_KEY", raising=False)
    assert await main() == 0
    assert f"{len(CARDS)} cards skipped" in capsys.readouterr().out


def test_every_card_has_a_number_of_its_own() -> None:
    assert len({card.id for card in CARDS}) == len(CARDS) == len({card.title for card in CARDS})
