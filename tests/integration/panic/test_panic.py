"""`catalyst panic` against a real exchange: flat whatever the broker answers, everything in the journal first, and safe to run again."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from streams.trading.panic_import import import_journals
from tests.integration.exchange.conftest import ROOT

from .conftest import fail, what_is_left

DIES_AT_THE_FIRST_DELETE = """
import os, signal
from streams.trading import cli, panic

class Wire(panic.Wire):
    def __call__(self, method, path, body=None):
        if method == "DELETE":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(method, path, body)

cli.Wire = Wire
cli.panic(["--yes", "--reason", "smoke"])
"""


def test_everything_is_cancelled_and_closed_with_the_log_and_the_database_down(held, run, journals):
    result = run("--reason", "smoke in the room")
    assert result.exit_code == 0, result.output
    assert what_is_left(held) == ([], [])
    (lines,) = journals()
    assert (lines[0]["what"], lines[0]["reason"], lines[0]["account"]) == ("begun", "smoke in the room", "paper")
    assert (lines[-1]["what"], lines[-1]["flat"]) == ("ended", True)
    steps = [(line["what"], line["number"]) for line in lines[1:-1]]
    assert steps == [(what, number) for number in range(1, len(steps) // 2 + 1) for what in ("request", "answer")], "each request is written before its answer"
    assert "s3cret" not in str(lines) + result.output


def test_running_it_again_on_a_flat_account_changes_nothing(held, run, journals):
    run()
    orders = len(held.call("GET", "/v2/orders", status="all")[1])
    assert run().exit_code == 0
    assert len(held.call("GET", "/v2/orders", status="all")[1]) == orders
    assert len(journals()) == 2


def test_a_broker_that_answers_500_at_first_is_asked_until_it_is_flat(held, run, journals):
    fail(held, "error", status=500, target={"path": "/v2/*"}, skip=3, count=5)     # 3: what is shown before it begins
    result = run()
    assert result.exit_code == 0, result.output
    assert what_is_left(held) == ([], [])
    assert [line["status"] for line in journals()[0] if line["what"] == "answer"].count(500) == 5


def test_answers_that_are_lost_do_not_turn_a_position_round(held, run, journals):
    fail(held, "answer_lost", target={"method": "DELETE", "path": "/v2/*"}, count=2)
    result = run()
    assert result.exit_code == 0, result.output
    assert what_is_left(held) == ([], [])
    sold = [order["symbol"] for order in held.call("GET", "/v2/orders", status="all")[1] if order["side"] == "sell" and order["status"] == "filled"]
    assert sorted(sold) == ["AAPL", "MSFT"]
    assert "2 without an answer" in result.output


def test_a_broker_that_does_not_close_positions_by_itself_gets_orders_that_do(held, run):
    fail(held, "error", status=404, target={"method": "DELETE", "path": "/v2/positions*"}, count=3)
    result = run()
    assert result.exit_code == 0, result.output
    assert what_is_left(held) == ([], [])
    orders = held.call("GET", "/v2/orders", status="all")[1]
    assert sum(order["client_order_id"].startswith("panic-") for order in orders) == 2


def test_killed_between_the_journal_and_the_request_the_next_run_finishes_and_both_come_onto_the_log(held, run, environment, journals):
    killed = subprocess.run([sys.executable, "-c", DIES_AT_THE_FIRST_DELETE], cwd=ROOT, env={**os.environ, **environment}, capture_output=True, timeout=60)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (lines,) = journals()
    assert [line["what"] for line in lines] == ["begun", "request"]
    assert len(what_is_left(held)[1]) == 2
    assert run().exit_code == 0
    assert what_is_left(held) == ([], [])


async def test_journals_are_imported_once_and_only_when_the_log_has_them(held, run, environment):
    run("--reason", "smoke")
    run()
    home, offered, there = Path(environment["CATALYST_HOME"]), [], [True, False]

    async def publish(stop) -> bool:
        offered.append(stop)
        return there.pop(0) if there else True

    assert len(await import_journals(home, "paper", publish)) == 1, "the second append was not acknowledged"
    assert len(await import_journals(home, "paper", publish)) == 1
    assert await import_journals(home, "paper", publish) == []
    first, second, again = offered
    assert second == again and second.id == again.id != first.id
    assert (first.actor, first.subject) == ("panic", "paper")
    assert "smoke" in first.reason and "ended flat" in first.reason
    assert await import_journals(home, "other", publish) == []


def test_a_broker_that_is_away_is_said_and_the_attempt_is_in_the_journal(held, run, journals):
    held.kill()
    result = run("--wait", "0")
    assert result.exit_code == 3
    assert "NOT FLAT" in result.output and "does not show" in result.output
    assert [line["status"] for line in journals()[0] if line["what"] == "answer"] == [None] * 4


def test_a_disk_that_takes_no_journal_does_not_stop_it(held, run, environment):
    home = Path(environment["CATALYST_HOME"])
    home.mkdir()
    (home / "panic").write_text("in the way")
    result = run()
    assert result.exit_code == 0, result.output
    assert "cannot be written" in result.output
    assert what_is_left(held) == ([], [])


@pytest.mark.parametrize(("answer", "code", "left"), [("n\n", 2, 2), ("y\n", 0, 0), ("\n\x04", 2, 2)], ids=["no", "yes", "nobody there"])
def test_it_asks_first_and_shows_what_it_would_close(held, run, answer, code, left):
    result = run(answer=answer)
    assert result.exit_code == code and ("`catalyst panic --yes`" in result.output) == (code == 2)
    assert "1 open orders, 2 positions" in result.output
    assert len(what_is_left(held)[1]) == left


def test_it_needs_neither_the_log_s_nor_the_database_s_client():
    look = "import sys, streams.trading.cli; print([name for name in ('aiokafka', 'asyncpg', 'alpaca', 'faust') if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert loaded.stdout.strip() == "[]", loaded.stderr
