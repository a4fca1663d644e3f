"""Another release decides the account's recorded inputs again: a real git ref, in a process of its own, on a real broker's log."""

import asyncio
import json
import shutil
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from schemas.topics import BARS, BROKER, COMMANDS, TRADING
from streams.log import Message
from streams.log.kafka import KafkaLog
from streams.log.topics import apply
from streams.trading import elsewhere
from streams.trading.audit import audit
from tests.unit.trading.recorded import Recorded

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="a ref needs git")
TOPICS = {topic.name: topic for topic in (BARS, BROKER, COMMANDS, TRADING)}
LIMIT = '_set("max_order_value")'
TREE = ("schemas", "streams", *elsewhere.LOCKS, "pyproject.toml")


FUTURE = json.dumps({"type": "order.teleported.v1"}).encode()


@pytest.fixture(scope="module")
def environment(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Where the log is: one recorded and sealed session of `paper`, and of `future` an event that nobody knows yet."""
    namespace = f"shadow-{uuid.uuid4().hex[:8]}"

    async def write() -> None:
        await apply(kafka_bootstrap, namespace, TOPICS)
        log = KafkaLog(kafka_bootstrap, namespace)
        await log.start()
        await Recorded(log).days(1)
        await log.append(TRADING.name, [Message("future", FUTURE)])
        await log.stop()

    asyncio.run(write())
    return {"CATALYST_KAFKA": kafka_bootstrap, "CATALYST_NAMESPACE": namespace, "CATALYST_HOME": str(tmp_path_factory.mktemp("home"))}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This code as it is, on `main` of a checkout of its own. On `strict` an order may be worth a hundredth; on `early` there is no audit yet."""
    place = tmp_path_factory.mktemp("checkout")
    for name in TREE:
        source = elsewhere.HERE / name
        if source.is_dir():
            shutil.copytree(source, place / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, place / name)
    git(place, "init", "--quiet", "--initial-branch", "main")
    commit(place, "as it is")
    limits = place / "streams" / "risk" / "limits.py"
    text = limits.read_text(encoding="utf-8")
    assert text.count(LIMIT) == 1
    git(place, "checkout", "--quiet", "-b", "strict")
    limits.write_text(text.replace(LIMIT, "lambda intent, book, parameters: parameters.max_order_value / 100"), encoding="utf-8")
    commit(place, "stricter")
    git(place, "checkout", "--quiet", "-b", "early", "main")
    (place / "streams" / "trading" / "audit.py").unlink()
    commit(place, "before there was an audit")
    return place


def git(place: Path, *words: str) -> None:
    who = ("-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false")
    subprocess.run(("git", "-C", str(place), *who, *words), check=True, capture_output=True)


def commit(place: Path, message: str) -> None:
    git(place, "add", "--all")
    git(place, "commit", "--quiet", "--message", message)


def shadow(environment: dict[str, str], *words: str) -> Result:
    return CliRunner(env=environment).invoke(audit, ["shadow", *words])


def differences(result: Result) -> Sequence[dict[str, str]]:
    return json.loads(result.stdout)["differences"]


def test_a_ref_that_decides_the_same_agrees_and_one_with_a_stricter_limit_is_told_order_by_order(environment, repository):
    same = shadow(environment, "--against", "main", "--repository", str(repository), "--json")
    assert (same.exit_code, differences(same)) == (0, [])
    assert json.loads(same.stdout)["turns"] == 15
    strict = shadow(environment, "--against", "strict", "--repository", str(repository), "--from", "2026-03-02", "--to", "2026-03-02")
    assert strict.exit_code == 1
    assert [line.strip() for line in strict.stdout.splitlines() if "entry buy" in line] == [
        "recorded approved: entry buy 10 AAPL oto market, stop loss 98.00",
        "replayed denied: entry buy 10 AAPL oto market, stop loss 98.00: ORDER_VALUE 1000, limit 500"]


def test_what_cannot_be_compared_says_why_and_what_to_do(environment, repository):
    nowhere = shadow(environment, "--against", "nowhere", "--repository", str(repository))
    assert nowhere.exit_code == 3 and "'nowhere' is neither a commit" in nowhere.stderr
    without = shadow(environment, "--against", "early", "--repository", str(repository))
    assert without.exit_code == 3 and "compare with a newer ref" in without.stderr


def test_events_newer_than_the_ref_are_said_plainly(environment, repository):
    result = shadow(environment, "--against", "main", "--repository", str(repository), "--account", "future")
    assert result.exit_code == 3 and "newer than it knows" in result.stderr


def test_parameters_from_a_file_and_the_seals_are_looked_at_on_the_same_log(environment, tmp_path):
    (tmp_path / "strict.yaml").write_text("max_order_value: 500\n", encoding="utf-8")
    told = shadow(environment, "--against", str(tmp_path / "strict.yaml"))
    assert told.exit_code == 1 and "1 x approved -> denied ORDER_VALUE" in told.stdout
    assert shadow(environment, "--against", "max_positions=2", "--against", "daily_loss=900").exit_code == 0
    assert shadow(environment, "--against", "max_positionz=2").exit_code == 3
    proven = CliRunner(env=environment).invoke(audit, ["seals", "--json"])
    assert (proven.exit_code, json.loads(proven.stdout)["proven"]) == (0, 1)


@pytest.mark.parametrize("command", ["replay", "seals", "shadow"])
def test_an_account_that_never_traded_here_is_not_proven(environment, command):
    words = [command, "--account", "nobody", *(["--against", "daily_loss=900"] if command == "shadow" else [])]
    result = CliRunner(env=environment).invoke(audit, words)
    assert result.exit_code == 3 and "no event of account 'nobody'" in result.stderr and "those that trade here: paper" in result.stderr


def test_days_on_which_nothing_happened_prove_nothing(environment):
    result = CliRunner(env=environment).invoke(audit, ["replay", "--from", "2031-01-02"])
    assert result.exit_code == 3 and "no turns on the log from 2031-01-02: nothing was proven" in result.stderr
