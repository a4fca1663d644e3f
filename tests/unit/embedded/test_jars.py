"""The broker's jars: pinned, verified, whole or not there."""

import hashlib
import threading
from pathlib import Path

import pytest

from deploy.embedded import CannotStart, jars


@pytest.fixture
def central(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """What the repository serves: coordinate -> content. jgo stands behind `_download`, its place is taken here."""
    served: dict[str, bytes] = {"org.one:one:1.0": b"first jar", "org.two:two:2.0": b"second jar"}

    def download(coordinate: str, digest: str, draft: Path) -> None:
        content = served[coordinate]
        if hashlib.sha256(content).hexdigest() != digest:
            raise CannotStart(f"the jar {coordinate} cannot be fetched")
        (draft / jars._file(coordinate)).write_bytes(content)

    monkeypatch.setattr(jars, "_download", download)
    return served


def pins(served: dict[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in served.items()}


def test_every_pinned_jar_is_there_after_a_fetch_in_class_path_order(central: dict[str, bytes], tmp_path: Path):
    said: list[str] = []
    found = jars.kafka_jars(tmp_path, said.append, pins(central))
    assert [jar.read_bytes() for jar in found] == [b"first jar", b"second jar"]
    assert jars.kafka_jars(tmp_path, said.append, pins(central)) == found
    assert len(said) == 1


def test_a_tampered_jar_is_refused_with_the_way_out(central: dict[str, bytes], tmp_path: Path):
    first, _ = jars.kafka_jars(tmp_path, print, pins(central))
    first.write_bytes(b"evil  jar")
    with pytest.raises(CannotStart, match=r"does not have its pinned SHA-256[\s\S]*Delete"):
        jars.kafka_jars(tmp_path, print, pins(central))


def test_a_jar_whose_time_changed_but_not_its_content_is_fine(central: dict[str, bytes], tmp_path: Path):
    first, _ = jars.kafka_jars(tmp_path, print, pins(central))
    first.write_bytes(first.read_bytes())
    assert jars.kafka_jars(tmp_path, print, pins(central))


def test_a_missing_jar_is_named(central: dict[str, bytes], tmp_path: Path):
    jars.kafka_jars(tmp_path, print, pins(central))[1].unlink()
    with pytest.raises(CannotStart, match=r"two-2\.0\.jar is missing"):
        jars.kafka_jars(tmp_path, print, pins(central))


def test_a_half_fetch_is_never_used_and_leaves_nothing(central: dict[str, bytes], tmp_path: Path):
    wanted = pins(central)
    central["org.two:two:2.0"] = b"not what was pinned"
    with pytest.raises(CannotStart):
        jars.kafka_jars(tmp_path, print, wanted)
    assert [path.name for path in tmp_path.iterdir()] == ["fetch.lock"]
    central["org.two:two:2.0"] = b"second jar"
    assert len(jars.kafka_jars(tmp_path, print, wanted)) == 2


def test_two_at_once_fetch_once(central: dict[str, bytes], tmp_path: Path):
    said: list[str] = []
    threads = [threading.Thread(target=jars.kafka_jars, args=(tmp_path, said.append, pins(central))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(said) == 1


def test_without_the_repository_the_message_tells_of_an_existing_broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(jars, "_ATTEMPTS", 1)
    monkeypatch.setattr("jgo.constants.MAVEN_CENTRAL_URL", "http://127.0.0.1:1")
    with pytest.raises(CannotStart, match="CATALYST_KAFKA=host:port"):
        jars.kafka_jars(tmp_path, print, {"org.one:one:1.0": "0" * 64})


def test_the_committed_list_names_every_jar_once_and_no_address():
    wanted = jars.pinned()
    assert len(wanted) == 46
    assert all(len(digest) == 64 and coordinate.count(":") == 2 for coordinate, digest in wanted.items())
    assert "org.apache.kafka:kafka_2.13:4.3.1" in wanted
