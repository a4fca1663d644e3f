"""What a home runs: addresses, worlds, and what the user's own settings change about it."""

import json
import socket
import stat
from pathlib import Path

import pytest

from deploy.embedded import CannotStart
from deploy.embedded.stack import Plan, Stack
from schemas import settings

GIVEN = ("CATALYST_KAFKA", "DATABASE_URL", "CATALYST_BROKER_URL", "CATALYST_GATEWAY_PORT", "CATALYST_TOKEN_FILE")


@pytest.fixture(autouse=True)
def nothing_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in GIVEN:
        monkeypatch.delenv(name, raising=False)


def names(stack: Stack) -> set[str]:
    return {part.name for part in stack.table()}


def test_every_part_of_the_stack_is_in_the_table_and_comes_after_parts_that_are(tmp_path: Path):
    table = Stack(tmp_path, Plan(speed=None)).table()
    known = {part.name for part in table}
    assert known == {"kafka", "postgres", "exchange", "topics", "migrate", "market", "analysis", "trading", "projector", "gateway", "driver"}
    assert all(set(part.after) <= known for part in table)


def test_the_addresses_written_down_are_what_the_settings_then_say(tmp_path: Path):
    stack = Stack(tmp_path, Plan())
    found = settings.load({"CATALYST_HOME": str(tmp_path)})
    assert found.kafka == stack.endpoints["kafka"]
    assert found.gateway_port == stack.ports["gateway"]
    assert found.database_url.get_secret_value() == stack.endpoints["database_url"]
    assert (found.pace, found.speed) == ("live", 60.0)
    assert found.token_path.read_text() != ""


def test_secrets_are_readable_by_their_owner_alone_and_stay_the_same(tmp_path: Path):
    first = Stack(tmp_path, Plan())
    token = (tmp_path / "run" / "token").read_text()
    second = Stack(tmp_path, Plan())
    assert (first.endpoints, token) == (second.endpoints, (tmp_path / "run" / "token").read_text())
    for name in ("endpoints.json", "token", "broker.json", "postgres.password", "plan.json"):
        Plan().save(tmp_path)
        assert stat.S_IMODE((tmp_path / "run" / name).stat().st_mode) == 0o600


def test_the_status_shows_no_password(tmp_path: Path):
    stack = Stack(tmp_path, Plan())
    password = (tmp_path / "run" / "postgres.password").read_text()
    assert password not in json.dumps(stack.about())
    assert password in str(stack.endpoints["database_url"])


def test_a_broker_and_a_database_of_the_users_own_are_used_not_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CATALYST_KAFKA", "log.example:9092")
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:secret@db.example/c")
    stack = Stack(tmp_path, Plan())
    assert names(stack).isdisjoint({"kafka", "postgres"})
    assert stack.endpoints["kafka"] == "log.example:9092"
    assert stack.about()["endpoints"]["postgres"] == "postgresql://me@db.example/c"


def test_what_an_earlier_start_wrote_does_not_count_as_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CATALYST_KAFKA", "log.example:9092")
    Stack(tmp_path, Plan())
    monkeypatch.delenv("CATALYST_KAFKA")
    assert "kafka" in names(Stack(tmp_path, Plan()))


def test_with_a_real_broker_there_is_no_paper_exchange_and_no_full_speed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CATALYST_BROKER_URL", "https://broker.example")
    stack = Stack(tmp_path, Plan())
    assert "exchange" not in names(stack)
    assert "sim_url" not in stack.endpoints
    with pytest.raises(CannotStart, match="full speed needs the paper exchange"):
        Stack(tmp_path, Plan(speed=None))


def test_a_gateway_port_of_the_users_choice_that_is_taken_is_an_error_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        taken = stranger.getsockname()[1]
        monkeypatch.setenv("CATALYST_GATEWAY_PORT", str(taken))
        with pytest.raises(CannotStart, match=f"port {taken} for the gateway is taken"):
            Stack(tmp_path, Plan())


def test_two_feeds_in_one_home_never_share_topics_database_or_journal_and_are_found_again(tmp_path: Path):
    generator, folder = Plan(), Plan(feed="/data/bars1m_Week 7")
    first, second = Stack(tmp_path, generator).world, Stack(tmp_path, folder).world
    assert (first.namespace, first.database) == ("", "catalyst")
    assert not {first.namespace, first.database, first.journal} & {second.namespace, second.database, second.journal}
    assert settings.load({"CATALYST_HOME": str(tmp_path)}).namespace == second.namespace
    assert Stack(tmp_path, generator).world == first
    assert Stack(tmp_path, folder).world == second


def test_a_simulated_account_has_an_exchange_of_its_own_that_the_driver_advances_or_that_follows_the_first(tmp_path: Path):
    assert "exchange-sim" not in names(Stack(tmp_path, Plan()))
    for plan, words in ((Plan(simulation=True), "--follow"), (Plan(speed=None, simulation=True), "lockstep")):
        stack = Stack(tmp_path, plan)
        parts = {part.name: part for part in stack.table()}
        assert "exchange-sim" in parts["trading"].after
        first, second = parts["exchange"].launch().argv, parts["exchange-sim"].launch().argv
        assert words in second
        assert first[first.index("--journal") + 1] != second[second.index("--journal") + 1]
        assert settings.load({"CATALYST_HOME": str(tmp_path)}).simulation_url == f"http://127.0.0.1:{stack.ports['exchange-sim']}"
    Stack(tmp_path, Plan())
    assert settings.load({"CATALYST_HOME": str(tmp_path)}).simulation_url == ""


def test_nothing_can_be_simulated_from_the_feed_of_a_real_broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CATALYST_BROKER_URL", "https://broker.example")
    with pytest.raises(CannotStart, match="needs the paper exchange's feed"):
        Stack(tmp_path, Plan(simulation=True))


def test_the_exchanges_secret_is_not_on_a_command_line(tmp_path: Path):
    stack = Stack(tmp_path, Plan())
    for part in stack.table():
        if part.name not in ("kafka", "postgres"):
            assert str(stack.endpoints["broker_secret"]) not in part.launch().argv
