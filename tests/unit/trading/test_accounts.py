"""Which accounts are traded: told by settings and a file that a person writes, and every mistake in it by name, with the way out."""

import os
from pathlib import Path

import pytest

from schemas import settings as edge
from schemas.settings import Settings
from streams.trading.accounts import BadAccounts, accounts, simulated_beside
from streams.trading.guard import environment

KEYS = {"PAPER_KEY": "PK1", "PAPER_SECRET": "s1", "LIVE_KEY": "AK2", "LIVE_SECRET": "s2"}
PAPER = '[paper]\nkey_env = "PAPER_KEY"\nsecret_env = "PAPER_SECRET"\n'
LIVE = ('[live]\nbroker_url = "https://api.alpaca.markets"\n'
        'key_env = "LIVE_KEY"\nsecret_env = "LIVE_SECRET"\nbroker_env = "live"\nbroker_account = "123456789"\n')


def of(home: Path, text: str | None = None, **given: object) -> dict[str, Settings]:
    if text is not None:
        (home / "config").mkdir(exist_ok=True)
        (home / "config" / "accounts.toml").write_text(text)
    return dict(accounts(edge.load({}, home=home, **given), KEYS))


def refused(home: Path, text: str, **given: object) -> str:
    with pytest.raises(BadAccounts) as caught:
        of(home, text, **given)
    return str(caught.value).replace(str(home), "HOME")


def test_without_a_file_it_is_the_one_account_of_the_settings(tmp_path: Path):
    found = of(tmp_path, broker_url="http://127.0.0.1:5050", sim_url="http://127.0.0.1:5050")
    assert list(found) == ["paper"]
    assert found["paper"] == edge.load({}, home=tmp_path, broker_url="http://127.0.0.1:5050", sim_url="http://127.0.0.1:5050")


def test_each_account_of_the_file_has_an_address_a_key_and_a_guard_of_its_own(tmp_path: Path):
    found = of(tmp_path, LIVE + PAPER)
    assert list(found) == ["paper", "live"]             # that of the settings first
    assert [environment(one) for one in found.values()] == ["paper", "live"]
    assert [one.broker_key.get_secret_value() for one in found.values()] == ["PK1", "AK2"]
    assert found["live"].stream_url == "wss://api.alpaca.markets/stream"
    assert found["live"].account == "live"


def test_a_secret_may_stand_in_a_file_of_its_own_and_is_never_shown(tmp_path: Path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "paper.secret").write_text("very secret\n")
    found = of(tmp_path, '[paper]\nkey_env = "PAPER_KEY"\nsecret_file = "paper.secret"\n')
    assert found["paper"].broker_secret.get_secret_value() == "very secret"
    assert "very secret" not in repr(found)


def test_the_stack_can_put_a_simulated_account_beside_ours_on_an_exchange_of_its_own(tmp_path: Path):
    found = of(tmp_path, broker_url="http://127.0.0.1:1", sim_url="http://127.0.0.1:1", simulation_url="http://127.0.0.1:2")
    beside = found["paper-sim"]
    assert (beside.broker_url, beside.stream_url, beside.sim_url) == ("http://127.0.0.1:2", "ws://127.0.0.1:2/stream", "http://127.0.0.1:2")
    assert simulated_beside("paper", found) == "paper-sim"
    assert simulated_beside("paper-sim", found) is None


def test_a_real_account_may_be_simulated_on_the_brokers_paper_account(tmp_path: Path):
    beside = '[live-sim]\nbroker_url = "https://paper-api.alpaca.markets"\nkey_env = "PAPER_KEY"\nsecret_env = "PAPER_SECRET"\nsimulated = true\n'
    assert simulated_beside("live", of(tmp_path, LIVE + beside, account="live")) == "live-sim"


@pytest.mark.parametrize(("text", "words"), [
    ("[paper", "HOME/config/accounts.toml: Expected ']'"),
    (PAPER + PAPER, "Two accounts have one name: give each its own"),
    ('key_env = "PAPER_KEY"\n' + PAPER, "'key_env' stands outside of any account; begin with a table"),
    (PAPER + 'broker_ulr = "https://x"\n', "no field 'broker_ulr'; did you mean 'broker_url'?"),
    (PAPER + "colour = 1\n", "no field 'colour'; there are broker_url, stream_url"),
    ('[paper]\nsecret = "s"\n', "secret does not stand in this file: name the environment variable that holds it with secret_env"),
    ('[paper]\nkey_env = "NOWHERE"\nsecret_env = "PAPER_SECRET"\n', "the environment variable NOWHERE (key_env) is not set"),
    ('[paper]\nkey_env = "PAPER_KEY"\nkey_file = "k"\n', "key_env and key_file are both given; keep one"),
    ('[paper]\nkey_file = "nowhere"\n', "nowhere (key_file) cannot be read: No such file"),
    ('[paper]\nkey_env = "PAPER_KEY"\n', "takes a key: name where it is"),
    (PAPER + "broker_env = \"lvie\"\n", "broker_env: Input should be"),
    (PAPER + "simulated = true\n", "simulated = true does not go with the name: simulated accounts, and only they, are called NAME-sim"),
    (PAPER + LIVE.replace('broker_account = "123456789"\n', ""), "takes the number of the account that may trade in broker_account"),
    (PAPER + LIVE.replace('broker_env = "live"\n', ""), "trades real money, which takes broker_env=live"),
    (PAPER + LIVE.replace("[live]", "[paper-sim]"), "a simulated account cannot trade real money: https://api.alpaca.markets is live"),
    (PAPER + PAPER.replace("[paper]", "[other]"), "paper and other are one account at https://paper-api.alpaca.markets: each needs a key of its own"),
    (PAPER + PAPER.replace("[paper]", "[Not-This]"), "name: String should match pattern"),
    (LIVE, "CATALYST_ACCOUNT is 'paper', which the file does not have; it has live"),
    ("", "which the file does not have; it has none"),
])
def test_every_mistake_is_named_with_the_way_out(tmp_path: Path, text: str, words: str):
    assert words in refused(tmp_path, text)


def test_two_accounts_never_share_a_paper_exchange(tmp_path: Path):
    two = '[paper]\nbroker_url = "http://127.0.0.1:1"\n[other]\nbroker_url = "http://localhost:1"\n'
    assert list(of(tmp_path, two.replace("localhost:1", "localhost:2"), sim_url="http://127.0.0.1:1")) == ["paper", "other"]
    assert "start another on a port of its own" in refused(tmp_path, two, sim_url="http://127.0.0.1:1")


def test_where_the_market_is_simulated_no_account_trades_elsewhere(tmp_path: Path):
    words = refused(tmp_path, '[paper]\nbroker_url = "http://127.0.0.1:1"\n' + LIVE, sim_url="http://127.0.0.1:1")
    assert "the clock is simulated, but https://api.alpaca.markets is live" in words


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_no_reason_to_trade_without_it(tmp_path: Path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "accounts.toml").touch(0o000)
    with pytest.raises(BadAccounts, match="cannot be read: Permission denied"):
        of(tmp_path)
