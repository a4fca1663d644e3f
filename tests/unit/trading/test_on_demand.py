import subprocess
import sys

SEEN = "import sys, streams.trading.agent; print('pandas' in sys.modules, 'numpy' in sys.modules)"
USED = ("import streams.trading.agent, alpaca.trading.requests as requests; print(requests.pd.Timestamp('2026-03-02').year); "
        "import pandas; print(pandas.Timestamp is requests.pd.Timestamp)")


def run(code: str) -> list[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120).stdout.split()


def test_the_trading_role_starts_without_the_half_second_that_pandas_takes():
    assert run(SEEN) == ["False", "False"]


def test_what_alpaca_needs_pandas_for_still_finds_it():
    assert run(USED) == ["2026", "True"]
