"""The gateway's bearer token: one line in a file that only its owner can read. The gateway creates it, clients on this machine read it."""

import os
import secrets
from pathlib import Path


class TokenProblem(RuntimeError):
    """The token file cannot be used; the message says why and what to do."""


def ensure_token(path: Path) -> str:
    """The token in `path`; a new one, readable by its owner alone, where there is none. Raises TokenProblem."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            with os.fdopen(os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w", encoding="ascii") as file:
                file.write(secrets.token_urlsafe(32) + "\n")
            os.link(draft, path)        # all or nothing: nobody ever reads a half-written token, and the first writer wins
    except FileExistsError:
        pass
    except OSError as error:
        raise TokenProblem(f"{path}: the gateway's token cannot be written: {error.strerror}; set CATALYST_TOKEN_FILE to a place that can") from None
    finally:
        draft.unlink(missing_ok=True)
    return read_token(path)


def read_token(path: Path) -> str:
    """The token in `path`. Raises TokenProblem."""
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise TokenProblem(f"{path}: the gateway's token cannot be read: {error}") from None
    if not token:
        raise TokenProblem(f"{path}: the gateway's token is empty; delete the file and start again to get a new one")
    return token
