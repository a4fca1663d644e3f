"""`catalyst log read|tail`: for looking, whatever stands in the log."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from click.testing import CliRunner, Result

from schemas import codec
from schemas.commands import TradeRequested
from schemas.topics import COMMANDS
from streams.log import Message
from streams.log.cli import log
from streams.log.kafka import KafkaLog
from streams.log.topics import apply

NOON = datetime(2019, 2, 11, 17, tzinfo=UTC)
TOPICS = {COMMANDS.name: COMMANDS}


def request(n: int, account: str = "paper") -> Message:
    event = TradeRequested.new(source="/gateway", subject=account, time=NOON, symbol="AAPL", side="buy", quantity=Decimal(n), idempotency_key=f"k-{n}",
                               actor="anna", reason="breakout over 170", expires=NOON)
    return Message(account, codec.encode(event), codec.headers(event))


@pytest.fixture
def environment(kafka_bootstrap: str, namespace: str) -> dict[str, str]:
    asyncio.run(apply(kafka_bootstrap, namespace, TOPICS))
    return {"CATALYST_KAFKA": kafka_bootstrap, "CATALYST_NAMESPACE": namespace}


def append(environment: dict[str, str], *messages: Message) -> None:
    async def write() -> None:
        kept = KafkaLog(environment["CATALYST_KAFKA"], environment["CATALYST_NAMESPACE"], topics=TOPICS)
        for message in messages:
            await kept.append(COMMANDS.name, [message])
        await kept.stop()

    asyncio.run(write())


def looked(environment: dict[str, str], *arguments: str) -> Result:
    return CliRunner(env=environment).invoke(log, ["read", *arguments])


def quantities(result: Result) -> list[str]:
    return [json.loads(line)["event"]["data"]["quantity"] for line in result.output.splitlines()]


def test_a_person_reads_time_type_key_and_data_on_one_line(environment: dict[str, str]):
    append(environment, request(7))
    assert looked(environment, "commands").output == (
        '2019-02-11 17:00:00.000Z  trade.requested.v1      paper     symbol=AAPL side=buy quantity=7 idempotency_key=k-7 actor=anna '
        'reason="breakout over 170" expires=2019-02-11T17:00:00Z\n')


def test_a_program_reads_json_lines_with_where_each_record_stands(environment: dict[str, str]):
    append(environment, request(7), request(8))
    first, second = map(json.loads, looked(environment, "catalyst.commands", "--json").output.splitlines())
    assert (first["topic"], first["offset"], second["offset"], first["key"]) == ("catalyst.commands", 0, 1, "paper")
    assert first["event"] == json.loads(request(7).value)


def test_a_key_an_offset_and_a_count_narrow_what_is_shown(environment: dict[str, str]):
    append(environment, *(request(n) for n in range(1, 6)), request(9, "live"))
    assert quantities(looked(environment, "commands", "--json", "--key", "live")) == ["9"]
    assert quantities(looked(environment, "commands", "--json", "--key", "paper", "--from", "1", "--to", "4")) == ["2", "3", "4"]
    assert quantities(looked(environment, "commands", "--json", "--key", "paper", "-n", "2")) == ["1", "2"]
    assert looked(environment, "commands", "--from", "99").output == ""


def test_a_time_cuts_at_the_append(environment: dict[str, str]):
    append(environment, request(1))
    later = datetime.fromisoformat(json.loads(looked(environment, "commands", "--json").output)["timestamp"]) + timedelta(milliseconds=1)
    assert datetime.now(UTC) > later        # the broker's clock is this machine's, and asking it took longer
    append(environment, request(2))
    assert quantities(looked(environment, "commands", "--json", "--from", later.isoformat())) == ["2"]
    assert quantities(looked(environment, "commands", "--json", "--to", later.isoformat())) == ["1"]
    assert looked(environment, "commands", "--from", "yesterday").exit_code == 2


def test_what_cannot_be_decoded_is_shown_as_such_and_the_rest_is_shown_too(environment: dict[str, str]):
    from_the_future = Message("paper", request(1).value.replace(b"trade.requested.v1", b"trade.requested.v9"))
    append(environment, Message("paper", b"\xff not json"), from_the_future, request(2))
    broken, future, good = looked(environment, "commands").output.splitlines()
    assert "UNDECODABLE  paper  catalyst.commands/" in broken
    assert "\\xff not json" in broken
    assert "'trade.requested.v9' is not known to this release" in future
    assert "quantity=2" in good
    in_json = [json.loads(line) for line in looked(environment, "commands", "--json").output.splitlines()]
    assert [("event" in line, "undecodable" in line) for line in in_json] == [(False, True), (False, True), (True, False)]


def test_an_unknown_topic_lists_the_known_ones(environment: dict[str, str]):
    result = looked(environment, "orders")
    assert result.exit_code == 2
    assert "no topic 'orders'; there are:" in result.output
    assert "catalyst.trading" in result.output


def test_without_a_broker_it_says_where_it_looked():
    result = looked({"CATALYST_KAFKA": "127.0.0.1:1"}, "commands")
    assert result.exit_code == 3
    assert "127.0.0.1:1" in result.output


@pytest.fixture
def tail(environment: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    append(environment, *(request(n) for n in range(1, 6)))
    process = subprocess.Popen([sys.executable, "-m", "gateway.cli", "log", "tail", "commands", "-n", "2", "--json"], env={**os.environ, **environment},
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.communicate()


def next_quantity(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return str(json.loads(process.stdout.readline())["event"]["data"]["quantity"])


def test_a_tail_shows_the_last_records_then_what_comes_and_ends_quietly_on_an_interrupt(tail: "subprocess.Popen[str]", environment: dict[str, str]):
    assert [next_quantity(tail) for _ in range(2)] == ["4", "5"]
    append(environment, request(6), request(7, "live"))
    assert {next_quantity(tail) for _ in range(2)} == {"6", "7"}
    tail.send_signal(signal.SIGINT)
    _, complaints = tail.communicate(timeout=30)
    assert (tail.returncode, complaints) == (130, "")


def test_a_tail_whose_reader_went_away_ends_quietly(tail: "subprocess.Popen[str]", environment: dict[str, str]):
    assert next_quantity(tail) == "4"
    assert tail.stdout is not None
    tail.stdout.close()
    append(environment, request(6), request(7))
    assert tail.wait(timeout=30) == 0
    assert tail.stderr is not None
    assert tail.stderr.read() == ""
