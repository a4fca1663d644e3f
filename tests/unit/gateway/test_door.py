"""The token, the text of others, and what the bridge puts into headers."""

import stat
from pathlib import Path

import pytest
from mcp.shared.inbound import decode_header_value

from gateway.bridge import header_value
from gateway.door import FileToken
from gateway.role import PortTaken, listen
from gateway.token import TokenProblem, ensure_token, read_token
from gateway.untrusted import clean


def test_a_token_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "run" / "token"
    token = ensure_token(path)
    assert ensure_token(path) == read_token(path) == token and len(token) >= 43
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["token"]


def test_an_empty_token_file_is_refused_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.touch()
    with pytest.raises(TokenProblem, match="is empty; delete the file"):
        ensure_token(path)


async def test_only_the_very_token_opens() -> None:
    door = FileToken("right")
    assert await door.verify_token("right")
    assert not await door.verify_token("righ") and not await door.verify_token("") and not await door.verify_token("right ")


def test_a_taken_port_is_named_with_the_way_out() -> None:
    with listen("127.0.0.1", 0) as taken, pytest.raises(PortTaken, match=r"cannot be served on .*CATALYST_GATEWAY_PORT"):
        listen(*taken.getsockname())


@pytest.mark.parametrize(("given", "shown"), [
    ("plain", "plain"), ("two\nlines\tand a tab", "two lines and a tab"), ("a\u202eb\u200bc\ufeffd\u2066e", "abcde"), ("\x1b[31mred", "[31mred"),
    ("tag\U000e0041s\ufe0f", "tags"), ("Crédit Agricole 株", "Crédit Agricole 株"), ("  ", ""),
])
def test_text_of_others_keeps_what_can_be_seen(given: str, shown: str) -> None:
    assert clean(given) == shown


def test_text_of_others_ends_somewhere() -> None:
    assert clean("x" * 1000, 10) == "x" * 9 + "…"


@pytest.mark.parametrize("value", ["execute_trade", "catalyst://positions/current", " edge ", "größe", "=?base64?eA==?=", "a\nb", ""])
def test_header_values_arrive_as_they_were(value: str) -> None:
    assert decode_header_value(header_value(value)) == value
    assert header_value(value).isascii() and header_value(value).isprintable()
