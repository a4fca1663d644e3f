"""What others read of the risk rules is what the rules say."""

from click.testing import CliRunner

from schemas.risk import RiskParameters
from streams.risk import publish
from streams.risk.limits import CHECKS


def test_nothing_published_is_stale():
    assert publish.stale() == [], "run `python -m streams.risk.publish` and commit what it writes"
    assert CliRunner().invoke(publish.main, ["--check"]).exit_code == 0


def test_every_code_and_every_parameter_is_on_the_page():
    said = publish.page()
    assert all(f"| `{check.code}` |" in said for check in CHECKS) and all(f"| `{name}` |" in said for name in RiskParameters.model_fields)
    assert "{" not in said


def test_every_parameter_that_limits_a_check_exists():
    assert {name for check in CHECKS for name in check.limited_by} <= RiskParameters.model_fields.keys()
