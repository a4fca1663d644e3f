"""A change of the limits: what is more cautious holds at once, the rest waits, and a mistake changes nothing and says where it is."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.risk import RiskParameters
from streams.risk.parameters import BadParameters, approval_id, change, problem_with, put, read, render, text, tight
from tests.unit.risk.conftest import D, limits

NAMES = tuple(RiskParameters.model_fields)


def test_a_tightening_holds_at_once_and_a_loosening_waits():
    done = change(limits(), [("daily_loss", "1500"), ("max_positions", "8"), ("kelly_trades", "20"), ("correlation_days", "30")])
    assert (done.tightened.daily_loss, done.tightened.correlation_days) == (D(1500), D(30))
    assert (done.tightened.max_positions, done.tightened.kelly_trades) == (D(5), D(30))
    assert done.loosened == (("max_positions", "8"), ("kelly_trades", "20")) and done.problems == ()


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_says_which_way_is_cautious(name: str):
    now = limits()
    value = getattr(now, name)
    smaller, larger = (name, text(value - value / 8)), (name, text(value + value / 8))
    cautious, bold = (smaller, larger) if tight(name) == "smaller" else (larger, smaller)
    for pair, waits in ((cautious, False), (bold, True)):
        if not problem_with(*pair):
            assert bool(change(now, [pair]).loosened) is waits
            assert (change(now, [pair]).tightened == now) is waits


def test_what_is_in_force_already_is_no_change():
    assert change(limits(), [(name, f"{getattr(limits(), name)}") for name in NAMES]) == change(limits(), [])
    assert change(limits(), [("position_share", "0.2000")]).loosened == ()


@pytest.mark.parametrize(("pair", "said"), [
    (("max_position", "3"), "max_position: no such risk parameter; did you mean max_positions?"),
    (("leverage", "3"), "leverage: no such risk parameter; `catalyst limits show` lists them"),
    (("max_positions", "0"), "max_positions: 0 is out of bounds; allowed is at least 1, at most 100 (positions open at once, entries on their way counted)"),
    (("position_share", "20%"), "position_share: '20%' is not a number; write it like 0.2"),
    (("kelly_trades", "10.5"), "kelly_trades: 10.5 is not a whole number; allowed is at least 10 "
                               "(closed trades from which on Kelly sizing is used; before it the fixed fraction)"),
    (("daily_loss", "NaN"), "daily_loss: 'NaN' is not a finite number; write it like 2000"),
    (("daily_loss", "-Infinity"), "daily_loss: '-Infinity' is not a finite number; write it like 2000"),
    (("daily_loss", "1E+999999"), "daily_loss: '1E+999999' has too many digits; at most 6 after and 12 before the point"),
    (("daily_loss", "0.0000001"), "daily_loss: '0.0000001' has too many digits; at most 6 after and 12 before the point"),
])
def test_a_mistake_is_told_with_what_is_allowed_and_nothing_of_the_change_is_done(pair: tuple[str, str], said: str):
    done = change(limits(), [("daily_loss" if pair[0] != "daily_loss" else "gross_share", "0.5"), pair])
    assert done.problems == (said,) and done.tightened == limits() and done.loosened == ()


def test_a_name_given_twice_is_a_mistake():
    assert change(limits(), [("daily_loss", "1"), ("daily_loss", "2")]).problems == ("daily_loss: given 2 times; give it once",)


def test_an_approval_has_eight_letters_that_depend_on_all_that_is_asked():
    asked = (("max_positions", "8"),)
    ids = {approval_id("paper", asked, 1), approval_id("paper", asked, 2), approval_id("live", asked, 1), approval_id("paper", (("max_positions", "9"),), 1)}
    assert len(ids) == 4 and approval_id("paper", asked, 1) in ids
    assert all(len(one) == 8 and one.isalnum() and one == one.upper() for one in ids)


def value_for(name: str) -> st.SearchStrategy[tuple[str, str]]:
    values = st.decimals("0.000001", "1000", places=6).map(text)
    return values.filter(lambda value: not problem_with(name, value)).map(lambda value: (name, value))


in_bounds = st.lists(st.sampled_from(NAMES), unique=True, max_size=6).flatmap(lambda names: st.tuples(*map(value_for, names)))


@settings(derandomize=True, max_examples=80, deadline=None)
@given(before=in_bounds, changes=in_bounds)
def test_to_tighten_and_then_approve_is_to_set(before: Any, changes: Any):
    now = put(limits(), before)
    done = change(now, changes)
    assert not done.problems and put(done.tightened, done.loosened) == put(now, changes)
    again = change(done.tightened, changes)
    assert (again.tightened, again.loosened) == (done.tightened, done.loosened)
    for name in NAMES:
        moved = Decimal(getattr(done.tightened, name)) - getattr(now, name)
        assert moved == 0 or (moved < 0) is (tight(name) == "smaller")


# ── the file ──


@settings(derandomize=True, max_examples=50, deadline=None)
@given(changes=in_bounds)
def test_the_file_gives_back_what_was_written(changes: Any):
    wanted = put(limits(), changes)
    assert put(limits(), read(render(wanted))) == wanted


def test_a_value_is_read_as_written():
    assert read("position_share: 0.30\ndaily_loss: '1_500' # less\n") == [("position_share", "0.30"), ("daily_loss", "1_500")]
    assert put(limits(), [("daily_loss", "1_500")]).daily_loss == 1500


def test_an_empty_file_says_nothing():
    assert read("") == read("# later\n") == []


@pytest.mark.parametrize(("content", "said"), [
    ("daily_loss: 1500\nmax_positions: none\n", "line 2: max_positions: 'none' is not a number; write it like 5"),
    ("daily_loss: 1500\n\ndaily_loss: 1\n", "line 3: daily_loss: was given in line 1 already; keep one"),
    ("daily_loss:\n", "line 1: daily_loss: '' is not a number; write it like 2000"),
    ("limits:\n  daily_loss: 5\n", "line 1: expected `name: value` with a single number"),
    ("- daily_loss\n", "line 1: expected `name: value`, one a line"),
    ("daily_loss 1500\n", "line 1: expected `name: value`, one a line"),
    ("a: 1\nb: [1\n", "line 3: expected ',' or ']', but got '<stream end>'; write one `name: value` a line"),
    ("daily_loss: 1\x00", "line 1: unacceptable character #x0000: special characters are not allowed; write one `name: value` a line"),
    ("#" * 70_000, "line 1: the file has 70,000 characters, more than 65,536; is it the right one?"),
])
def test_a_bad_file_is_told_by_line(content: str, said: str):
    with pytest.raises(BadParameters) as error:
        read(content)
    assert str(error.value) == said


def test_every_mistake_of_a_file_is_told_at_once():
    with pytest.raises(BadParameters, match=r"line 1: .*\nline 2: ") as error:
        read("max_positions: 0\nleverage: 2\ndaily_loss: 5\n")
    assert len(str(error.value).splitlines()) == 2
