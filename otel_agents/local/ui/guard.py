"""What stands before every page: who may read, and what the browser may do with it.

On the loopback interface there is no login, as for any development server. That alone would leave a
hole: a web page open in the same browser can point a host name of its own at 127.0.0.1 (DNS rebinding)
and read every trace. So without login only requests that name a loopback host are answered. Bound to
anything else, the project's secret key is asked for by HTTP basic authentication.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from otel_agents.local.api.http import is_loopback

#: No inline script or style, nothing from another host, no framing, no forms to elsewhere.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


def host_of(header: str) -> str:
    """The host in a ``Host`` header, without its port."""
    if header.startswith("["):
        return header.partition("]")[0] + "]"
    return header.rpartition(":")[0] if header.count(":") == 1 else header


class Guard:
    """ASGI middleware around every route of the UI.

    Args:
        bound_to: host that the server listens on; "" counts as every interface.
        keys: accepted (public key, secret key) pairs. The user name may be left empty.
    """

    def __init__(self, app: ASGIApp, bound_to: str, keys: Iterable[tuple[str, str]]) -> None:
        self._app = app
        self._open = is_loopback(bound_to)
        self._keys = [(public.encode(), secret.encode()) for public, secret in keys if secret]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal: PlainTextResponse | None = None
        if self._open:
            if not is_loopback(host_of(headers.get("host", ""))):
                refusal = PlainTextResponse(
                    "This server answers on the loopback interface only: open it as http://localhost or "
                    "http://127.0.0.1 with its port.\n",
                    status_code=421,
                )
        elif not self._allowed(headers.get("authorization", "")):
            refusal = PlainTextResponse(
                "Sign in with the project's public key as user name and its secret key as password.\n",
                status_code=401,
                headers={"www-authenticate": 'Basic realm="otel-agents", charset="UTF-8"'},
            )

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    answer.setdefault(name, value)
                answer.setdefault("cache-control", "no-store")
            await send(message)

        await (refusal or self._app)(scope, receive, send_with_headers)

    def _allowed(self, authorization: str) -> bool:
        scheme, _, encoded = authorization.partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            user, _, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        except (binascii.Error, ValueError):
            return False
        allowed = False
        for public, secret in self._keys:  # all of them, so that the time says nothing
            right = hmac.compare_digest(password, secret)
            right &= hmac.compare_digest(user, public) or user == b""
            allowed |= right
        return allowed
