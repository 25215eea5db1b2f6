"""``/sessions`` and ``/sessions/{session_id}``: runs that belong together, told as a conversation."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from otel_agents.local.queries import BadCursor
from otel_agents.local.rows import TraceRow
from otel_agents.local.store import Store
from otel_agents.local.ui import content, figures, reads, render
from otel_agents.local.ui.blocks import Content
from otel_agents.local.ui.pages.trace import missing

#: Turns of one session that are shown, the newest ones.
TURNS = 100
#: A turn shows the beginning of what was said; the trace has the rest.
_BOUNDS = content.Bounds(characters=1_600, messages=8)
_READ = 120_000  # characters of a root's input and output


@dataclass(slots=True)
class Turn:
    """One trace of the session."""

    row: TraceRow
    asked: Content
    answered: Content
    failure: str
    #: Time since the turn before ended, when that is long enough to matter.
    pause: str


def table(store: Store, request: Request) -> Response:
    """The list of sessions, the one with the latest activity first."""
    change = store.latest_change()
    text = request.query_params.get("q", "").strip()[:500]
    cursor = request.query_params.get("cursor") or None
    try:
        page = store.list_sessions(text or None, 50, cursor)
    except BadCursor:
        cursor = None
        page = store.list_sessions(text or None, 50, None)
    kept = {"q": text} if text else {}
    return render.page(
        request,
        "sessions.html",
        change=change,
        findings=reads.finding_count(store),
        rows=page.items,
        text=text,
        cursor=cursor,
        first="/sessions" + ("?" + urlencode(kept) if kept else ""),
        next="/sessions?" + urlencode({**kept, "cursor": page.cursor}) if page.cursor else None,
    )


def one(store: Store, request: Request) -> Response:
    """A session's traces in the order they happened."""
    change = store.latest_change()
    session_id = request.path_params["session_id"]
    found = store.get_session(session_id, TURNS)
    if found is None:
        return missing(store, request, "session", session_id)
    rows = sorted(found.traces, key=lambda row: (row.start_ns, row.trace_id))
    texts = reads.root_texts(store, rows, _READ)
    turns: list[Turn] = []
    ended: int | None = None
    for row in rows:
        text = texts.get(row.trace_id) or reads.RootText(row.preview)
        pause = row.start_ns - ended if ended is not None else 0
        turns.append(
            Turn(
                row,
                _last_question(content.read(text.input, _BOUNDS)),
                content.read(text.output, _BOUNDS),
                (text.status_message or "") if row.status == "error" else "",
                figures.ns_seconds(pause) if pause > 60 * 10**9 else "",
            )
        )
        ended = max(ended or 0, row.end_ns)
    return render.page(
        request,
        "session.html",
        change=change,
        findings=reads.finding_count(store),
        session=found,
        row=found.row,
        turns=turns,
        agents=sorted({row.agent for row in rows if row.agent}),
    )


def _last_question(asked: Content) -> Content:
    """Of a history that is sent again with every turn, only what is new: the last user message on."""
    users = [at for at, message in enumerate(asked.messages) if message.role == "user"]
    if users and users[-1] > 0:
        asked.messages = asked.messages[users[-1] :]
        asked.skipped = 0
    return asked
