"""Another git ref of this code, set up beside ours, that replays the account's log: what would that release have decided on the recorded inputs?

The ref is unpacked into a directory of its own and runs as a process of its own, with its own `evolve` and `decide`, against the same log. Where its locks
are ours it runs in our environment; otherwise one is made from its own locks and kept under CATALYST_HOME/shadow. It never writes to the log.
"""

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parents[2]          # where this code stands: the checkout its refs are looked for in
LOCKS = ("installer.lock", "requirements.lock")     # equal ones: equal packages, whatever else pyproject.toml says
ROOMS = ("schemas", "streams")                      # of these the ref must be, not of an installed copy
# Runs in the ref's environment. That it really is the ref's code is looked at, because a shadow of oneself would always agree.
PROGRAM = """
import sys
from pathlib import Path
import schemas, streams
import streams.trading.audit as audit
strangers = [room.__file__ for room in (schemas, streams, audit) if not Path(room.__file__).resolve().is_relative_to(Path(sys.argv[1]).resolve())]
if strangers:
    sys.exit(f"loaded {strangers[0]}, which is not the ref's")
audit.audit.main(sys.argv[2:], prog_name="audit")
"""


class NotComparable(RuntimeError):
    """The ref could not be set up, or cannot say what it would have decided. The message says which, and what to do."""


def commit_of(ref: str, repository: Path = HERE) -> str:
    """The commit a ref names. Raises NotComparable."""
    try:
        return _git(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}").decode().strip()
    except subprocess.CalledProcessError:
        raise NotComparable(f"{ref!r} is neither a commit in {repository}, nor a parameters file, nor NAME=VALUE") from None
    except OSError as error:
        raise NotComparable(f"git cannot be run in {repository}: {error.strerror}") from None


def unpack(commit: str, into: Path, repository: Path = HERE) -> Path:
    """The commit's files, without touching the checkout. Raises NotComparable."""
    try:
        packed = _git(repository, "archive", "--format=tar", commit)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotComparable(f"{commit}: git archive failed: {error}") from None
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(into, filter="data")
    if not all((into / room).is_dir() for room in ROOMS):
        raise NotComparable(f"{commit} holds no {' and '.join(ROOMS)}: it is not a release of this code")
    return into


def _git(repository: Path, *words: str) -> bytes:
    return subprocess.run(("git", "-C", str(repository), *words), check=True, capture_output=True).stdout


def environment_for(tree: Path, home: Path, say: Callable[[str], None], ours: Path = HERE) -> str:
    """The interpreter to run the ref with: ours where the locks are equal, else one of its own, made once per set of locks. Raises NotComparable."""
    if _contents(tree, LOCKS) == _contents(ours, LOCKS):
        return sys.executable
    place = home / "shadow" / hashlib.sha256(repr(_contents(tree, (*LOCKS, "pyproject.toml"))).encode()).hexdigest()[:16]
    python = place / "bin" / "python"
    if not (place / ".ready").exists():
        say(f"its packages are not ours: setting up {place} (once; a minute on a slow line) ...")
        place.parent.mkdir(parents=True, exist_ok=True)
        into = {**os.environ, "VIRTUAL_ENV": str(place)}
        for command in ([sys.executable, "-m", "venv", str(place)],
                        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", "installer.lock"],
                        [str(place / "bin" / "uv"), "pip", "install", "--quiet", "--require-hashes", "-c", "requirements.lock", "-r", "pyproject.toml"]):
            done = subprocess.run(command, cwd=tree, env=into, capture_output=True, text=True)
            if done.returncode:
                raise NotComparable(f"its environment cannot be set up: {' '.join(command)}: {_last_line(done.stderr)}")
        (place / ".ready").touch()
    return str(python)


def _contents(tree: Path, names: Sequence[str]) -> Sequence[bytes | None]:
    return [(tree / name).read_bytes() if (tree / name).exists() else None for name in names]


def replayed(python: str, tree: Path, words: Sequence[str], settings: Mapping[str, str]) -> dict[str, Any]:
    """What `catalyst audit replay --json` of the ref says, its differences against what is recorded. `settings` are environment variables that name the
    log. Raises NotComparable."""
    environ = {**os.environ, **settings, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run((python, "-c", PROGRAM, str(tree), "replay", "--json", *words), cwd=tree, env=environ, capture_output=True, text=True)
    try:
        said: dict[str, Any] = json.loads(done.stdout)
        said["differences"] = list(said["differences"])
    except (ValueError, KeyError, TypeError):
        raise NotComparable(_why(done)) from None
    return said


def _why(done: subprocess.CompletedProcess[str]) -> str:
    """In words what kept the ref from answering."""
    said = _last_line(done.stderr)
    if "No such option" in said or "No such command" in said:
        return f"its own audit cannot do this ({said}): leave the option out, or compare with a newer ref"
    if "No module named" in said:
        return f"it has no audit yet ({said}): compare with a newer ref"
    if "UNKNOWN_TYPE" in said or "UNDECODABLE" in said:
        return f"it cannot read this log, which holds events newer than it knows ({said}). End before them with --to, or compare with a newer ref"
    return f"it ended with {done.returncode}: {said}"


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
