"""Langfuse: is it there, does it take the keys, is its version one that we know, are the clocks alike."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from otel_agents.doctor.findings import Finding
from otel_agents.doctor.web import Answer, Unreachable, ask, place

if TYPE_CHECKING:
    from otel_agents.doctor.subject import Subject

#: The first release that takes what SDK 5 sends: lists of scores, JSON in metadata.
OLDEST: Final = (4, 59)
#: Seconds by which clocks may differ before it shows, and before it spoils latencies and time ranges.
_SKEW_SEEN: Final = 5.0
_SKEW_BAD: Final = 60.0


def langfuse(subject: Subject) -> Iterator[Finding]:
    """All checks of the settings' Langfuse."""
    settings = subject.settings
    if not subject.can_read:
        missing = [
            name
            for name, value in (
                ("LANGFUSE_PUBLIC_KEY", settings.langfuse_public_key),
                ("LANGFUSE_SECRET_KEY", settings.langfuse_secret_key),
            )
            if not value
        ]
        yield Finding(
            "langfuse.keys",
            "warn",
            f"{' and '.join(missing)} not set here, so what arrives in Langfuse cannot be looked at",
            "set LANGFUSE_BASE_URL and both keys for this command, as the Collector has them",
        )
        return
    base = settings.langfuse_base_url
    try:
        health = ask(f"{base}/api/public/health")
    except Unreachable as error:
        yield Finding(
            "langfuse.reachable",
            "fail",
            f"Langfuse at {place(base)} is unreachable ({error})",
            "check LANGFUSE_BASE_URL, the network, and that the server runs",
        )
        return
    found = health.json()
    if not isinstance(found, dict) or "status" not in found:
        yield Finding(
            "langfuse.reachable",
            "fail",
            f"{place(base)} does not answer as Langfuse (status {health.status})",
            "check LANGFUSE_BASE_URL",
        )
        return
    if not health.ok:
        yield Finding(
            "langfuse.reachable",
            "fail",
            f"Langfuse at {place(base)} is not well (status {health.status}: {found['status']})",
            "see the server's log; its database is the usual cause",
        )
    else:
        yield Finding(
            "langfuse.reachable",
            "ok",
            f"Langfuse at {place(base)} answers in {health.seconds * 1000:.0f} ms",
            details={"seconds": round(health.seconds, 4)},
        )
    yield _version(str(found.get("version") or ""))
    yield _clock(health)
    yield from _keys(subject)


def _version(said: str) -> Finding:
    parts = re.match(r"v?(\d+)\.(\d+)", said)
    details = {"version": said, "oldest": ".".join(map(str, OLDEST))}
    if parts is None:
        return Finding(
            "langfuse.version",
            "warn",
            f"Langfuse does not say its version ({said[:40]!r})",
            "make sure that it is 4.59 or newer",
            details,
        )
    if (int(parts[1]), int(parts[2])) >= OLDEST:
        return Finding("langfuse.version", "ok", f"Langfuse {said}", details=details)
    lost = (
        "it has no API to read with, and shows spans late"
        if int(parts[1]) < 4
        else "lists of scores are refused and metadata is shown with quotes"
    )
    return Finding(
        "langfuse.version",
        "fail",
        f"Langfuse {said} is older than 4.59: {lost}",
        "upgrade the server to 4.59 or newer (pin the image's tag; `:4` may be an old one)",
        details,
    )


def _clock(answer: Answer) -> Finding:
    try:
        # The header has whole seconds, cut off.
        server = parsedate_to_datetime(answer.headers.get("date", "")).timestamp() + 0.5
    except (TypeError, ValueError):
        return Finding("langfuse.clock", "skip", "the server does not tell the time")
    skew = answer.at - server
    uncertain = 0.5 + answer.seconds / 2
    details = {"seconds": round(skew, 1)}
    if abs(skew) <= _SKEW_SEEN + uncertain:
        return Finding("langfuse.clock", "ok", "this machine's clock agrees with Langfuse's", details=details)
    how = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} Langfuse's"
    return Finding(
        "langfuse.clock",
        "fail" if abs(skew) > _SKEW_BAD else "warn",
        f"this machine's clock is {how}: spans land in the wrong time, and late ones may not be found",
        "let NTP set the clock (`timedatectl set-ntp true`), here and on the server",
        details,
    )


def _keys(subject: Subject) -> Iterator[Finding]:
    settings = subject.settings
    base = settings.langfuse_base_url
    auth = (settings.langfuse_public_key or "", settings.langfuse_secret_key or "")
    try:
        answer = ask(f"{base}/api/public/projects", auth=auth)
    except Unreachable as error:
        yield Finding("langfuse.keys", "fail", f"the keys could not be tried ({error})", "try again")
        return
    if answer.status in (401, 403):
        swapped = auth[0].startswith("sk-lf-") or auth[1].startswith("pk-lf-")
        yield Finding(
            "langfuse.keys",
            "fail",
            f"Langfuse refuses the keys {_masked(auth[0])} (status {answer.status}: {answer.text()})",
            "exchange LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY"
            if swapped
            else "check LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY, and that they are of a project on "
            f"{place(base)} (regions have keys of their own)",
        )
        return
    if not answer.ok:
        yield Finding(
            "langfuse.keys",
            "fail",
            f"the keys could not be tried (status {answer.status}: {answer.text()})",
            "see the server's log",
        )
        return
    found = answer.json()
    data = found.get("data") if isinstance(found, dict) else None
    project = data[0] if isinstance(data, list) and data and isinstance(data[0], dict) else {}
    yield Finding(
        "langfuse.keys",
        "ok",
        f"the keys {_masked(auth[0])} are valid, of project {project.get('name') or '?'}",
        details={"project": project.get("name"), "project_id": project.get("id")},
    )
    yield _reading(base, auth)


def _reading(base: str, auth: tuple[str, str]) -> Finding:
    path = "/api/public/v2/observations"
    try:
        answer = ask(f"{base}{path}", auth=auth, params={"limit": "1", "fields": "core"}, timeout=15.0)
    except Unreachable as error:
        return Finding("langfuse.read", "warn", f"{path} gives no answer ({error})", "try again later")
    if answer.ok:
        return Finding("langfuse.read", "ok", "what is stored can be read (v2 API)")
    if answer.status == 404:
        return Finding(
            "langfuse.read",
            "fail",
            f"the server has no {path}: reports, alerts and the summary cannot work",
            "upgrade to 4.59 or newer, and take LANGFUSE_MIGRATION_V4_WRITE_MODE out of legacy mode",
        )
    return Finding(
        "langfuse.read",
        "warn",
        f"{path} answers with status {answer.status}: {answer.text()}",
        "try again later; on Langfuse Cloud the plan limits the rate of reads"
        if answer.status == 429
        else "see the server's log",
    )


def _masked(public_key: str) -> str:
    """Enough of a public key to know which it is, and nothing of a secret one in its place."""
    if not public_key.startswith("pk-"):
        return f"{public_key[:6]}****" if public_key.startswith("sk-lf-") else "****"
    return f"{public_key[:10]}…{public_key[-4:]}" if len(public_key) > 18 else f"{public_key[:6]}…"
