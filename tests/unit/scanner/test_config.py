"""The file that people edit: what is wrong in it is named, and what ships is what the code says."""

import pytest

from streams.scanner.config import BadConfig, ScannerConfig, ensure, load, render
from streams.scanner.publish import stale


def test_the_file_that_ships_says_what_the_code_has(tmp_path):
    assert load(ensure(tmp_path)) == ScannerConfig()


def test_a_file_that_is_there_is_never_touched(tmp_path):
    path = ensure(tmp_path)
    path.write_text("universe: {size: 60}\n", encoding="utf-8")
    assert load(ensure(tmp_path)).universe.size == 60


def test_the_file_as_it_ships_has_the_digest_of_the_figures_as_they_ship(tmp_path):
    assert load(ensure(tmp_path)).digest == ScannerConfig().digest == ScannerConfig.model_validate({}).digest


def test_what_a_file_leaves_out_is_as_it_ships(tmp_path):
    (tmp_path / "scanner.yaml").write_text("catalyst: {strength: 0.9}\n", encoding="utf-8")
    config = load(tmp_path / "scanner.yaml")
    assert (config.catalyst.strength, config.catalyst.sentiment) == (0.9, 0.5)
    assert config.digest != ScannerConfig().digest


@pytest.mark.parametrize(("said", "named"), [
    ("universe: {size: 20}", "universe.size"), ("universe: {news_hours_without_news: 120}", "less than or equal to 96"),
    ("universe: {sice: 60}", "universe.sice"), ("technical: {rsi_least: 80}", "rsi_least 80 must be below"),
    ("ranking: {weights: {catalyst: -1}}", "ranking.weights.catalyst"), ("universe: [", "cannot be read"), ("- 1", "the file"),
    ("ranking: {weights: {catalyst: 0, technical: 0, pattern: 0, liquidity: 0, reward: 0}}", "one weight at least"),
])
def test_a_mistake_is_named_with_its_place(tmp_path, said, named):
    path = tmp_path / "scanner.yaml"
    path.write_text(said, encoding="utf-8")
    with pytest.raises(BadConfig, match=named):
        load(path)


def test_pages_and_file_are_as_the_tables_say():
    assert stale() == []


def test_a_rendered_file_is_read_back_as_it_was(tmp_path):
    changed = ScannerConfig.model_validate({"universe": {"average_volume": 2_500_000, "size": 150}, "ranking": {"weights": {"pattern": 0.5}}})
    (tmp_path / "scanner.yaml").write_text(render(changed), encoding="utf-8")
    assert load(tmp_path / "scanner.yaml") == changed
