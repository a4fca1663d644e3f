"""Who may come in: whoever shows the gateway's token. Compared by digest, in constant time; never logged.

What a caller without the right token is told is decided here too, for it is the first thing a new user meets.
"""

import hashlib
import hmac
import json

from fastmcp.server.auth import AccessToken, TokenVerifier
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

OPERATOR = "operator"      # the actor on the commands of whoever holds the token


class FileToken(TokenVerifier):
    """Takes exactly one token; whoever holds it is the operator."""

    def __init__(self, token: str) -> None:
        super().__init__()
        self._digest = hashlib.sha256(token.encode()).digest()

    async def verify_token(self, token: str) -> AccessToken | None:
        given = hashlib.sha256(token.encode()).digest()
        if not hmac.compare_digest(given, self._digest):
            return None
        return AccessToken(token=token, client_id=OPERATOR, subject=OPERATOR, scopes=[])

    def get_middleware(self) -> list[Middleware]:
        return [*super().get_middleware(), Middleware(Doorkeeper)]


class Doorkeeper:
    """Answers 401 in our own words: the framework's speak of re-registering clients, which cannot help with a token from a file."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or isinstance(scope.get("user"), AuthenticatedUser):
            await self.app(scope, receive, send)
            return
        given = any(name == b"authorization" for name, _ in scope["headers"])
        code, what = ("WRONG_TOKEN", "the bearer token is not the gateway's") if given else ("NO_TOKEN", "the request carries no bearer token")
        text = (f"{code}: {what}. Send `Authorization: Bearer TOKEN` with the content of the token file "
                "(`catalyst status --json` names it as token_file).")
        body = json.dumps({"error": "invalid_token", "error_description": text}).encode()
        challenge = b'Bearer error="invalid_token"' if given else b"Bearer"
        await send({"type": "http.response.start", "status": 401, "headers": [
            (b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), (b"www-authenticate", challenge)]})
        await send({"type": "http.response.body", "body": body})
