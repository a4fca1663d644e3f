"""Ports of a home: free, its own, remembered."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deploy.embedded.ports import is_free, ports


def test_ports_are_remembered_and_two_names_never_share_one(tmp_path: Path):
    first = ports(tmp_path, ("kafka", "postgres"))
    assert len(set(first.values())) == 2
    assert ports(tmp_path, ("kafka", "postgres")) == first
    assert ports(tmp_path, ("kafka", "gateway"))["kafka"] == first["kafka"]


def test_two_homes_have_different_ports(tmp_path: Path):
    assert ports(tmp_path / "a", ("kafka",)) != ports(tmp_path / "b", ("kafka",))


def test_a_port_that_a_stranger_took_is_chosen_anew_with_a_message(tmp_path: Path):
    said: list[str] = []
    before = ports(tmp_path, ("kafka",), said.append)["kafka"]
    with socket.create_server(("127.0.0.1", before)):
        assert not is_free(before)
        after = ports(tmp_path, ("kafka",), said.append)["kafka"]
    assert after != before
    assert said == [f"port {before} of kafka was taken by another program; using {after} from now on"]


def test_parts_that_claim_side_by_side_get_ports_of_their_own(tmp_path: Path):
    with ThreadPoolExecutor(8) as threads:
        claimed = list(threads.map(lambda number: ports(tmp_path, (f"part {number}",))[f"part {number}"], range(40)))
    assert len(set(claimed)) == 40
    assert sorted(json.loads((tmp_path / "run" / "ports.json").read_text()).values()) == sorted(claimed)
