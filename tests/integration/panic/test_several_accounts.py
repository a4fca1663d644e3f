"""`catalyst panic` on every account of the installation: each by itself, so that whoever cannot be reached holds up nobody."""

from pathlib import Path

import pytest

from streams.trading.panic_import import import_journals

from .conftest import what_is_left

GONE = "http://127.0.0.1:9"     # nothing listens there


@pytest.fixture
def three(environment: dict[str, str]) -> Path:
    """One account at the exchange, one whose exchange is away, one whose key is not there."""
    path = Path(environment["CATALYST_HOME"]) / "config" / "accounts.toml"
    path.parent.mkdir(parents=True)
    path.write_text(f'[gone]\nbroker_url = "{GONE}"\n\n[keyless]\nbroker_url = "http://127.0.0.1:10"\nkey_env = "NOT_SET"\n\n'
                    f'[paper]\nbroker_url = "{environment["CATALYST_BROKER_URL"]}"\nkey_env = "PAPER_KEY"\nsecret_env = "PAPER_SECRET"\n')
    environment |= {"CATALYST_BROKER_URL": "http://127.0.0.1:11", "PAPER_KEY": "of-paper", "PAPER_SECRET": "s3cret-of-paper"}
    return path


def test_every_account_is_asked_and_one_that_cannot_be_reached_holds_up_no_other(held, three, run, journals):
    result = run("--wait", "0.5")
    assert result.exit_code == 3, result.output
    assert what_is_left(held) == ([], [])
    told = {line.split()[0]: line for line in result.stdout.splitlines() if not line.startswith("LEFT: ")}
    assert list(told) == ["paper", "gone", "keyless"]
    assert " flat: " in told["paper"] and "NOT FLAT" in told["gone"]
    assert "NOT_SET (key_env) is not set" in told["keyless"]
    assert {lines[0]["account"]: lines[-1]["flat"] for lines in journals()} == {"paper": True, "gone": False}
    assert "s3cret" not in str(journals()) + result.output


def test_one_account_is_flattened_alone(held, three, run, journals):
    assert run("--account", "gone", "--wait", "0").exit_code == 3
    assert len(what_is_left(held)[1]) == 2
    result = run("--account", "paper")
    assert result.exit_code == 0, result.output
    assert what_is_left(held) == ([], [])
    assert [lines[0]["account"] for lines in journals()] == ["gone", "paper"]


def test_an_account_that_does_not_exist_is_refused_with_those_that_do(held, three, run):
    result = run("--account", "papre")
    assert result.exit_code == 2
    assert "no account 'papre'; there are: paper, gone, keyless" in result.output
    assert len(what_is_left(held)[1]) == 2


def test_a_file_that_cannot_be_read_leaves_the_account_of_the_settings(held, three, run, environment):
    three.write_text("[paper\n")
    environment["CATALYST_BROKER_URL"] = held.url
    result = run()
    assert result.exit_code == 3, result.output
    assert what_is_left(held) == ([], [])
    assert "paper   flat" in result.stdout and "others  NOT ASKED" in result.stdout


def test_a_proxy_of_the_environment_does_not_stand_between_it_and_this_machine(held, run, environment):
    environment |= {"HTTP_PROXY": GONE, "http_proxy": GONE, "ALL_PROXY": GONE}
    result = run()
    assert result.exit_code == 0, result.output
    assert what_is_left(held) == ([], [])


async def test_each_account_imports_its_own_journal_also_one_that_a_crash_left_empty(held, three, run, environment):
    run("--wait", "0")
    home, offered = Path(environment["CATALYST_HOME"]), []
    for path in (home / "panic").glob("*.gone.jsonl"):
        path.write_text("")

    async def publish(stop) -> bool:
        offered.append(stop.subject)
        return True

    assert len(await import_journals(home, "paper", publish)) == 1
    assert len(await import_journals(home, "gone", publish)) == 1
    assert offered == ["paper", "gone"]
