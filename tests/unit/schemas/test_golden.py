"""Golden files: what was ever written can be read for ever, and is the same fact with the same id."""

import json
from pathlib import Path

import pytest

from schemas import codec
from schemas.registry import BY_TYPE, UPCASTERS
from tests.unit.schemas.story import GOLDEN, story

FILES = sorted(GOLDEN.glob("*.json"))
CURRENT = [path for path in FILES if path.stem in BY_TYPE]


def test_every_type_and_every_older_version_has_a_golden_file_and_no_file_is_of_an_unknown_type():
    missing = {*BY_TYPE, *UPCASTERS} - {path.stem for path in FILES}
    assert not missing, f"{sorted(missing)}: add an example to tests/unit/schemas/story.py and run `python -m tests.unit.schemas.story`"
    assert {path.stem for path in FILES} <= {*BY_TYPE, *UPCASTERS}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_golden_file_is_decoded(path: Path):
    event = codec.decode(path.read_bytes())
    assert event.type in BY_TYPE
    assert json.loads(path.read_bytes())["type"] == path.stem


@pytest.mark.parametrize("path", CURRENT, ids=lambda path: path.stem)
def test_a_golden_file_is_what_is_written_today_to_the_byte(path: Path):
    assert codec.encode(codec.decode(path.read_bytes())) == path.read_bytes()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_id_in_a_golden_file_is_still_the_id_of_that_fact(path: Path):
    event = codec.decode(path.read_bytes())
    assert str(event.own_id()) == json.loads(path.read_bytes())["id"]


@pytest.mark.parametrize("path", CURRENT, ids=lambda path: path.stem)
def test_a_golden_file_still_says_what_the_story_says(path: Path):
    told = story()[path.stem]
    assert codec.canonical(codec.decode(path.read_bytes())) == codec.canonical(codec.decode(told)), (
        f"{path.name} and the story differ. Was the type changed after a release? Then it needs a new version and an upcaster. "
        "Before one: delete the file and run `python -m tests.unit.schemas.story`")
