"""What others read of the indicators is what the table says, and the table is what is computed."""

import numpy as np
from click.testing import CliRunner

from streams.technical import publish
from streams.technical.definitions import DEFINITIONS
from tests.unit.technical.conftest import frame_history


def test_the_page_is_not_stale():
    assert not publish.stale(), "run `python -m streams.technical.publish` and commit what it writes"
    assert CliRunner().invoke(publish.main, ["--check"]).exit_code == 0


def test_every_indicator_is_on_the_page():
    assert all(f"| `{one.name}` |" in publish.page() for one in DEFINITIONS)


def test_an_indicator_is_given_from_the_bar_that_the_table_says():
    close = 50 + np.sin(np.arange(210.0))
    found = frame_history(np.stack([close, close + 1, close - 1, close, np.full(210, 5.0)], axis=1))
    for one in DEFINITIONS:
        if one.name not in ("volume_ratio", "relative_strength"):       # they need days, and SPY
            assert int(np.flatnonzero(~np.isnan(found[one.name]))[0]) + 1 == one.bars, one.name
