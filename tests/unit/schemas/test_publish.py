"""What others read of our language is what the language says."""

import json
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

from schemas import publish
from schemas.registry import BY_TYPE
from schemas.topics import TOPICS
from tests.unit.schemas.story import GOLDEN


def test_nothing_published_is_stale():
    assert publish.stale() == [], "run `python -m schemas.publish` and commit what it writes"


@pytest.mark.parametrize("kind", sorted(BY_TYPE))
def test_the_published_schema_describes_what_is_written(kind: str):
    schema = json.loads((publish.SCHEMAS / f"{kind}.json").read_bytes())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads((GOLDEN / f"{kind}.json").read_bytes()), schema)


def test_the_published_schema_refuses_what_is_not_written():
    schema = json.loads((publish.SCHEMAS / "trade.requested.v1.json").read_bytes())
    good = json.loads((GOLDEN / "trade.requested.v1.json").read_bytes())
    for wrong in ({**good, "type": "trade.requested.v2"}, {**good, "data": {**good["data"], "quantity": 5}},
                  {**good, "data": {}}, {name: value for name, value in good.items() if name != "time"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


def test_the_published_schema_carries_units_and_meanings():
    data = publish.json_schema(BY_TYPE["fill.recorded.v1"])["properties"]["data"]["properties"]
    assert data["average_price"]["description"] == "USD, over all fills of the order so far"


@pytest.mark.parametrize("name", sorted(TOPICS))
def test_a_topic_page_tells_how_it_is_kept_and_shows_every_event_on_it(name: str):
    text = (publish.PAGES / f"{name}.md").read_text()
    for event in TOPICS[name].carries:
        assert f"### {event.kind()}\n" in text
        assert json.loads((GOLDEN / f"{event.kind()}.json").read_bytes())["id"] in text
    assert f"| key | {TOPICS[name].key} |" in text
    assert f"| partitions | {TOPICS[name].partitions}," in text


def test_check_names_what_is_stale_and_writing_mends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(publish, "ROOT", tmp_path)
    monkeypatch.setattr(publish, "SCHEMAS", tmp_path / "published")
    monkeypatch.setattr(publish, "PAGES", tmp_path / "pages")
    runner = CliRunner()
    missing = runner.invoke(publish.main, ["--check"])
    assert (missing.exit_code, missing.output.count("stale: ")) == (1, len(BY_TYPE) + len(TOPICS))
    assert not (tmp_path / "pages").exists()
    runner.invoke(publish.main)
    (tmp_path / "published" / "gone.v1.json").write_text("{}")
    assert runner.invoke(publish.main, ["--check"]).output == "stale: published/gone.v1.json\n"
    assert runner.invoke(publish.main).output == "removed: published/gone.v1.json\n"
    assert runner.invoke(publish.main, ["--check"]).exit_code == 0
