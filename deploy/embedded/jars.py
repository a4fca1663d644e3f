"""The broker's jars: a pinned list with SHA-256, fetched by jgo from Maven Central into a cache that all homes share.

A fetch goes into a directory beside and is moved into place when every jar has its pinned hash; a half fetch is never seen and two at once do not collide.
Later starts compare size and time with what was verified, and hash again only what differs. The user's own jgo.conf (mirrors) is honoured.
"""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

from deploy.embedded import CannotStart

KAFKA = "4.3.1"     # 4.4.0 cannot be resolved: its kafka-tools-api is not in the repository
_ATTEMPTS = 3


def cache_dir() -> Path:
    """CATALYST_CACHE, or ~/.cache/catalyst."""
    return Path(os.environ.get("CATALYST_CACHE") or "~/.cache/catalyst").expanduser().absolute()


def pinned() -> Mapping[str, str]:
    """Maven coordinate (group:artifact:version) -> SHA-256, in class path order."""
    lines = files("deploy.embedded").joinpath("kafka.sha256").read_text().splitlines()
    return {coordinate: digest for digest, coordinate in (line.split() for line in lines)}


def kafka_jars(cache: Path | None = None, say: Callable[[str], None] = print, list_of_jars: Mapping[str, str] | None = None) -> list[Path]:
    """Every jar of the broker, verified; fetched first where they are not there yet. Raises CannotStart."""
    wanted = pinned() if list_of_jars is None else list_of_jars
    cache = cache or cache_dir()
    edition = hashlib.sha256("\n".join(f"{digest} {name}" for name, digest in wanted.items()).encode()).hexdigest()[:12]
    home = cache / f"kafka-{KAFKA}-{edition}"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / "fetch.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not home.exists():
                _fetch(wanted, home, say)
        return _verified(wanted, home)
    except OSError as error:
        raise CannotStart(f"the cache {cache} cannot be used: {error.strerror}. Set CATALYST_CACHE to a directory with 60 MB of space.") from None


def _file(coordinate: str) -> str:
    _, artifact, version = coordinate.split(":")
    return f"{artifact}-{version}.jar"


def _fetch(wanted: Mapping[str, str], home: Path, say: Callable[[str], None]) -> None:
    say(f"fetching Apache Kafka {KAFKA} ({len(wanted)} jars, 44 MB) from Maven Central, once for all homes")
    draft = Path(tempfile.mkdtemp(prefix="fetching-", dir=home.parent))
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda coordinate: _download(coordinate, wanted[coordinate], draft), wanted))
        shutil.rmtree(draft / "repository", ignore_errors=True)
        _mark(wanted, draft)
        draft.chmod(0o755)
        draft.rename(home)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _download(coordinate: str, digest: str, draft: Path) -> None:
    """One jar through jgo, checked. Raises CannotStart."""
    try:
        from jgo.config import GlobalSettings
        from jgo.constants import MAVEN_CENTRAL_URL
        from jgo.maven import MavenContext
    except ImportError:
        raise CannotStart("jgo, which fetches the broker's jars, is not installed: install catalyst-trading[embedded], "
                          "or use an existing broker: CATALYST_KAFKA=host:port") from None
    import requests

    group, artifact, version = coordinate.split(":")
    problem = ""
    for _ in range(_ATTEMPTS):
        context = MavenContext(repo_cache=draft / "repository", timeout=30,
                               remote_repos={**GlobalSettings.load().repositories, "central": MAVEN_CENTRAL_URL})
        jar = context.project(group, artifact).at_version(version).artifact()
        try:
            path = jar.resolve()
        except (requests.RequestException, RuntimeError) as error:
            problem = str(error)
        else:
            got = _sha256(path)
            if got == digest:
                path.rename(draft / _file(coordinate))
                return
            problem = f"its SHA-256 is {got}, pinned is {digest}"
        if jar.cached_path is not None:
            with suppress(FileNotFoundError):
                jar.cached_path.unlink()        # half of a broken download
    raise CannotStart(f"the jar {coordinate} cannot be fetched: {problem}\n"
                      "Without Maven Central use an existing broker: CATALYST_KAFKA=host:port catalyst up (a mirror is set in jgo.conf, [repositories]).")


def _verified(wanted: Mapping[str, str], home: Path) -> list[Path]:
    marker = home / "verified.json"
    try:
        seen = json.loads(marker.read_text())
    except (FileNotFoundError, ValueError):
        seen = {}
    for coordinate, digest in wanted.items():
        jar = home / _file(coordinate)
        if not jar.exists():
            raise CannotStart(f"{jar} is missing. Delete {home} and run again: it is fetched anew.")
        if seen.get(jar.name) != _look(jar) and _sha256(jar) != digest:
            raise CannotStart(f"{jar} does not have its pinned SHA-256 {digest}: it was changed or damaged and is not run.\n"
                              f"Delete {home} and run again: it is fetched anew.")
    return [home / _file(coordinate) for coordinate in wanted]


def _mark(wanted: Mapping[str, str], home: Path) -> None:
    (home / "verified.json").write_text(json.dumps({_file(name): _look(home / _file(name)) for name in wanted}))


def _look(path: Path) -> list[int]:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
