"""Settings: the strongest source wins, what is wrong is named with where it came from, and no secret is shown."""

import json
from pathlib import Path

import pytest

from schemas import settings
from schemas.settings import BadSettings, Settings


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    (tmp_path / "run").mkdir()
    return tmp_path


def write_toml(home: Path, text: str) -> None:
    (home / "config" / "catalyst.toml").write_text(text)


def write_endpoints(home: Path, **endpoints: str) -> None:
    (home / "run" / "endpoints.json").write_text(json.dumps(endpoints))


def load(home: Path, **environ: str) -> Settings:
    return settings.load({"CATALYST_HOME": str(home), **environ})


def source_of(home: Path, name: str, **environ: str) -> str:
    return next(row.source for row in settings.explain({"CATALYST_HOME": str(home), **environ}) if row.name == name)


def test_without_any_source_the_defaults_hold(home: Path):
    assert (load(home).kafka, load(home).gateway_port) == ("127.0.0.1:9092", 5000)
    assert source_of(home, "kafka") == "default"


def test_what_the_running_stack_wrote_beats_the_default(home: Path):
    write_endpoints(home, kafka="127.0.0.1:1001")
    assert load(home).kafka == "127.0.0.1:1001"
    assert source_of(home, "kafka") == str(home / "run" / "endpoints.json")


def test_the_file_beats_the_running_stack_and_the_environment_beats_the_file(home: Path):
    write_endpoints(home, kafka="127.0.0.1:1001", account="one")
    write_toml(home, 'kafka = "127.0.0.1:1002"\naccount = "two"')
    assert load(home).kafka == "127.0.0.1:1002"
    assert load(home, CATALYST_KAFKA="127.0.0.1:1003").kafka == "127.0.0.1:1003"
    assert load(home, CATALYST_KAFKA="127.0.0.1:1003").account == "two"
    assert source_of(home, "kafka", CATALYST_KAFKA="127.0.0.1:1003") == "environment"


def test_what_is_given_in_code_beats_everything(home: Path):
    assert settings.load({"CATALYST_HOME": str(home), "CATALYST_ACCOUNT": "two"}, account="three").account == "three"


def test_an_empty_variable_is_no_setting(home: Path):
    assert load(home, CATALYST_ACCOUNT="").account == "paper"


@pytest.mark.parametrize(("environ", "complaint"), [
    ({"CATALYST_GATEWAY_PORT": "70000"}, r"CATALYST_GATEWAY_PORT: .*65535 \(got '70000' from environment\)"),
    ({"CATALYST_PACE": "fast"}, r"CATALYST_PACE: .*'live' or 'lockstep' \(got 'fast' from environment\)"),
    ({"CATALYST_ACCOUNT": "My Account"}, r"CATALYST_ACCOUNT: .*\(got 'My Account' from environment\)"),
])
def test_a_value_that_cannot_be_used_is_named_with_its_source_and_what_is_allowed(home: Path, environ: dict[str, str], complaint: str):
    with pytest.raises(BadSettings, match=complaint):
        load(home, **environ)


def test_every_wrong_value_is_named_at_once(home: Path):
    with pytest.raises(BadSettings) as caught:
        load(home, CATALYST_PACE="fast", CATALYST_SPEED="0")
    assert len(str(caught.value).splitlines()) == 2


def test_a_setting_that_does_not_exist_is_named_with_the_file_and_where_to_find_the_list(home: Path):
    write_toml(home, 'acount = "two"')
    with pytest.raises(BadSettings, match=r"acount: no such setting \(from .*catalyst\.toml\); `catalyst config` lists them all"):
        load(home)


def test_a_file_that_cannot_be_parsed_is_named_with_the_place(home: Path):
    write_toml(home, "account = two\n")
    with pytest.raises(BadSettings, match=r"catalyst\.toml: .*line 1"):
        load(home)
    write_toml(home, "")
    (home / "run" / "endpoints.json").write_text("[1]")
    with pytest.raises(BadSettings, match=r"endpoints\.json: expected a table"):
        load(home)


def test_no_secret_is_shown(home: Path):
    secrets = {"CATALYST_BROKER_SECRET": "hunter2", "CATALYST_BROKER_KEY": "AKFZ", "DATABASE_URL": "postgresql://me:hunter2@127.0.0.1/db"}
    shown = "\n".join(map(str, settings.explain({"CATALYST_HOME": str(home), **secrets})))
    assert "hunter2" not in shown
    assert "AKFZ" not in shown
    assert "hunter2" not in repr(load(home, **secrets))
    assert load(home, **secrets).broker_secret.get_secret_value() == "hunter2"


def test_every_setting_has_a_meaning_and_an_environment_name_of_its_own(home: Path):
    rows = settings.explain({"CATALYST_HOME": str(home)})
    assert [row.name for row in rows] == list(Settings.model_fields)
    assert all(row.doc for row in rows)
    assert len({row.env for row in rows}) == len(rows)
