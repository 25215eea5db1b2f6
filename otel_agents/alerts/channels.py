"""How an alert reaches somebody: a webhook, Slack, e-mail."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, unquote, urlsplit

from otel_agents.alerts.conditions import Reading, Window
from otel_agents.export.waits import pause, retry_after
from otel_agents.stack.ports import is_loopback

if TYPE_CHECKING:
    from otel_agents.config import Settings

_TIMEOUT: Final = 15.0
_TRIES: Final = 3
_BUSY: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


class NotDelivered(Exception):
    """An alert did not get through. One line: where to, what happened, which setting to look at."""


@dataclass(frozen=True, slots=True)
class Channel:
    """A way to tell.

    Attributes:
        name: of the channel and its target, without secrets; also what is remembered of it.
        send: tells; raises :class:`NotDelivered`.
    """

    name: str
    send: Callable[[Sequence[Reading], Window], None]


def channels(settings: Settings) -> list[Channel]:
    """The channels that are set.

    Raises:
        otel_agents.ConfigError: e-mail addresses without a mail server.
    """
    made = []
    if settings.alert_webhook:
        made.append(_posting("webhook", settings.alert_webhook, webhook_body, "OTEL_AGENTS_ALERT_WEBHOOK"))
    if settings.alert_slack:
        made.append(_posting("slack", settings.alert_slack, slack_body, "OTEL_AGENTS_ALERT_SLACK"))
    if settings.alert_email:
        made.append(_mailing(settings))
    return made


def webhook_body(passed: Sequence[Reading], window: Window) -> dict[str, Any]:
    """The alerts as Alertmanager's webhooks have them, so that their receivers can be used."""
    alerts = [
        {
            "status": "firing",
            "labels": {"alertname": f"otel-agents {one.name}", "severity": "ticket"},
            "annotations": {
                "summary": one.text,
                "value": f"{one.value:g}",
                "threshold": f"{one.threshold:g}",
            },
            "startsAt": window.since.isoformat(),
            "endsAt": window.until.isoformat(),
            "generatorURL": "",
            "fingerprint": one.name,
        }
        for one in passed
    ]
    return {
        "version": "4",
        "groupKey": "otel-agents",
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "otel-agents",
        "groupLabels": {},
        "commonLabels": {"severity": "ticket"},
        "commonAnnotations": {},
        "externalURL": "",
        "alerts": alerts,
    }


def slack_body(passed: Sequence[Reading], window: Window) -> dict[str, Any]:
    """The alerts as the text of one message, escaped as Slack asks."""
    text = _text(passed).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return {"text": text}


def _text(passed: Sequence[Reading]) -> str:
    return "\n".join(f"otel-agents: {one.text}" for one in passed)


def _posting(
    kind: str, url: str, body: Callable[[Sequence[Reading], Window], dict[str, Any]], setting: str
) -> Channel:
    parts = urlsplit(url)
    # The path of such addresses is a password.
    where = f"{kind} {parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return Channel(where, lambda passed, window: _post(where, url, body(passed, window), setting))


def _post(where: str, url: str, body: dict[str, Any], setting: str) -> None:
    import httpx

    with httpx.Client(timeout=_TIMEOUT, follow_redirects=True, trust_env=not is_loopback(url)) as client:
        for attempt in range(1, _TRIES + 1):
            asked = None
            try:
                answer = client.post(url, json=body)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                problem = f"{type(error).__name__}: {error}"
            else:
                if answer.is_success:
                    return
                problem = f"status {answer.status_code}: {' '.join(answer.text.split())[:200]}"
                if answer.status_code not in _BUSY:
                    break
                asked = retry_after(answer.headers)
            if attempt < _TRIES:
                time.sleep(min(pause(attempt, asked), _TIMEOUT))
    path = urlsplit(url).path
    if len(path) > 1:
        problem = problem.replace(path, "/…")  # a page that says what it has not found
    raise NotDelivered(f"{where} does not take the alert ({problem}); check {setting}")


def _mailing(settings: Settings) -> Channel:
    from otel_agents.config import ConfigError

    if not settings.smtp_url:
        raise ConfigError(
            "alerts go by e-mail but OTEL_AGENTS_SMTP_URL is not set; set it to the mail server"
        )
    recipients = settings.alert_email
    parts = urlsplit(settings.smtp_url)
    user = unquote(parts.username or "")
    sender = settings.alert_sender or (user if "@" in user else "") or recipients[0]
    where = f"e-mail {','.join(recipients)}"
    return Channel(where, lambda passed, window: _mail(where, parts, sender, recipients, passed, window))


def _mail(
    where: str,
    server: SplitResult,
    sender: str,
    recipients: Sequence[str],
    passed: Sequence[Reading],
    window: Window,
) -> None:
    import smtplib
    import ssl
    from email.message import EmailMessage
    from email.utils import formatdate, make_msgid

    try:
        message = EmailMessage()
        message["From"], message["To"] = sender, ", ".join(recipients)
        message["Subject"] = passed[0].text if len(passed) == 1 else f"otel-agents: {len(passed)} alerts"
        message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain="otel-agents.invalid")
        lines = [one.text for one in passed]
        lines += ["", f"From {window.since:%Y-%m-%d %H:%M} to {window.until:%Y-%m-%d %H:%M} UTC."]
        message.set_content("\n".join(lines))
    except ValueError as error:
        raise NotDelivered(f"{where}: {error}; check OTEL_AGENTS_ALERT_EMAIL") from None
    host = server.hostname or ""
    try:
        client: smtplib.SMTP
        if server.scheme == "smtps":
            context = ssl.create_default_context()
            client = smtplib.SMTP_SSL(host, server.port or 465, timeout=_TIMEOUT, context=context)
        else:
            client = smtplib.SMTP(host, server.port or 587, timeout=_TIMEOUT)
        with client:
            encrypted = server.scheme == "smtps"
            client.ehlo()
            if not encrypted and client.has_extn("starttls"):
                client.starttls(context=ssl.create_default_context())
                client.ehlo()
                encrypted = True
            if server.username:
                if not encrypted and not is_loopback(f"smtp://{host}"):
                    raise NotDelivered(
                        f"{where}: {host} offers no encryption, and the password is not sent without; use "
                        "smtps:// in OTEL_AGENTS_SMTP_URL"
                    )
                client.login(unquote(server.username), unquote(server.password or ""))
            client.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        said = " ".join(str(error).split())[:200]
        raise NotDelivered(
            f"{where} does not get the alert ({type(error).__name__}: {said}); check OTEL_AGENTS_SMTP_URL"
        ) from None
