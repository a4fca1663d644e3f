"""Who may use the exchange: everybody, or only the holder of one key, as it was started."""

from __future__ import annotations

from dataclasses import dataclass
from hmac import compare_digest


@dataclass(frozen=True, slots=True)
class Access:
    """A fixed key pair, or none: then every pair, and no pair, is welcome."""

    key: str = ""
    secret: str = ""

    def allows(self, key: object, secret: object) -> bool:
        if not self.key:
            return True
        if not isinstance(key, str) or not isinstance(secret, str):
            return False
        return compare_digest(key.encode(), self.key.encode()) and compare_digest(secret.encode(), self.secret.encode())
