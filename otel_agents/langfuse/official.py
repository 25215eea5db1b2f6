"""The official SDK's REST client for the settings in force, and its errors in one line each.

Only the REST part (``langfuse.api``): a ``Langfuse()`` object would also attach a span processor of its
own to the process.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from otel_agents.langfuse.unavailable import LangfuseUnavailable

if TYPE_CHECKING:
    from langfuse.api import LangfuseAPI

    from otel_agents.config import Settings

#: Seconds for one request; the SDK repeats those that a busy server refuses twice.
_TIMEOUT: Final = 20.0


def connect(settings: Settings, timeout: float = _TIMEOUT) -> LangfuseAPI:
    """A client of the Langfuse that ``settings`` name.

    Args:
        timeout: seconds for one request.

    Raises:
        LangfuseUnavailable: the keys are not set.
    """
    missing = [
        name
        for name, value in (
            ("LANGFUSE_PUBLIC_KEY", settings.langfuse_public_key),
            ("LANGFUSE_SECRET_KEY", settings.langfuse_secret_key),
        )
        if not value
    ]
    if missing:
        raise LangfuseUnavailable(
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set; set both keys, or "
            "start the local stack by `otel-agents up`"
        )
    from langfuse.api import LangfuseAPI

    return LangfuseAPI(
        base_url=settings.langfuse_base_url,
        username=settings.langfuse_public_key,
        password=settings.langfuse_secret_key,
        x_langfuse_public_key=settings.langfuse_public_key,
        timeout=timeout,
    )


@contextmanager
def explaining(settings: Settings) -> Iterator[None]:
    """Turns the errors of requests inside the block into :class:`LangfuseUnavailable`."""
    import httpx
    from langfuse.api.core import ApiError
    from pydantic import ValidationError

    base = settings.langfuse_base_url
    try:
        yield
    except ApiError as error:
        raise LangfuseUnavailable(_refusal(base, error.status_code, error.body), error.status_code) from None
    except httpx.TimeoutException:
        raise LangfuseUnavailable(
            f"Langfuse at {base} does not answer in time; try again, or later"
        ) from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        why = str(error) or type(error).__name__
        raise LangfuseUnavailable(
            f"Langfuse at {base} is unreachable ({why}); check LANGFUSE_BASE_URL"
        ) from None
    except ValidationError:
        raise LangfuseUnavailable(
            f"{base} answers something else than Langfuse would; check LANGFUSE_BASE_URL"
        ) from None


def said(body: Any) -> str:
    """What an error body says, in one line of at most 300 characters."""
    if isinstance(body, dict):
        body = body.get("message") or body.get("error") or body
    return " ".join(str(body).split())[:300]


def _refusal(base: str, status: int | None, body: Any) -> str:
    if status in (401, 403):
        return (
            f"Langfuse at {base} refuses the keys (status {status}); check LANGFUSE_PUBLIC_KEY and "
            "LANGFUSE_SECRET_KEY, and that they belong to a project there"
        )
    if status == 429:
        return f"Langfuse at {base} has had too many requests; wait a minute and try again"
    if status is not None and status >= 500:
        return f"Langfuse at {base} fails (status {status}: {said(body)}); try again, or later"
    if status is not None and 200 <= status < 300:
        return f"{base} answers something else than Langfuse would; check LANGFUSE_BASE_URL"
    return f"Langfuse at {base} refuses (status {status}): {said(body)}"
