"""`catalyst exchange`: the exchange for anybody's bot, and what it tells them about it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

from alpaca.trading.client import TradingClient

from tests.integration.exchange.conftest import ROOT

RUN = "from deploy.exchange.command import exchange; exchange()"


def test_it_says_how_to_point_a_bot_at_it_and_the_manual_says_the_same(tmp_path: Path) -> None:
    command = [sys.executable, "-c", RUN, "--port", "0", "--journal", str(tmp_path), "--", "--symbols", "AAPL", "--key", "key", "--secret", "secret"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        port = process.stdout.readline().strip().rsplit(":", 1)[1]
        said = [process.stdout.readline() for _ in range(8)]
        assert f'TradingClient(key, secret, url_override="http://127.0.0.1:{port}")' in "".join(said)
        assert f'StockDataStream(key, secret, url_override="ws://127.0.0.1:{port}/v2/iex")' in "".join(said)
        (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "deploy/exchange/README.md").read_text(), re.DOTALL)
        names = dict[str, object]()
        exec(example.replace("5050", port), names)
        trading = names["trading"]
        assert isinstance(trading, TradingClient)
        assert float(trading.get_account().equity) == 100_000
        limit = trading._session.get(f"http://127.0.0.1:{port}/v2/clock", headers=trading._get_auth_headers()).headers["X-RateLimit-Limit"]
        assert limit == "200"
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        process.stdout.close()
