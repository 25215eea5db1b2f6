"""Reading from a real backend: all pages, each row once, and patience with a server that is busy."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from parts import free_port
from report_history import Book
from report_rig import client_of, reader_of

from otel_agents.config import resolve
from otel_agents.langfuse.reading import LangfuseReader, LangfuseUnavailable, environment_filter
from otel_agents.local.faults import Fault
from otel_agents.local.server import Running

START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def fill(backend: Running, tasks: int, **rest: Any) -> None:
    book = Book()
    for number in range(tasks):
        book.task(f"t{number}", "claude", START + timedelta(seconds=number), 2.0, **rest)
    with client_of(backend) as client:
        book.send(client)


def test_more_rows_than_any_page_holds(backend: Running) -> None:
    fill(backend, 1300)
    seen: list[int] = []
    with reader_of(backend) as reader:
        found = list(reader.observations(since=START, until=START + HOUR, progress=seen.append))
        tasks = reader.tasks(since=START, until=START + HOUR)
    assert len(found) == len({(one.trace_id, one.id) for one in found}) == 2600
    assert seen == [1000, 2000, 2600]
    assert len(tasks) == 1300
    assert sum(task.cost for task in tasks) == pytest.approx(1300 * 0.0046)
    assert [task.start for task in tasks] == sorted(task.start for task in tasks)


def test_scores_by_pages(backend: Running) -> None:
    fill(backend, 250, quality=0.9)
    with reader_of(backend) as reader:
        found = list(reader.scores(since=START, name="quality"))
        assert len({one.id for one in found}) == 250
        assert {one.number for one in found} == {0.9}
        assert list(reader.scores(since=START, name="other")) == []
        assert len(list(reader.scores(since=START, until=START + timedelta(seconds=12)))) == 10


def test_an_observation_has_what_was_sent(backend: Running) -> None:
    fill(backend, 1, task_type="security", prompt=("guideline", 3), quality=0.5)
    with reader_of(backend) as reader:
        call, agent = sorted(reader.observations(since=START), key=lambda one: one.type, reverse=True)
    assert (agent.type, agent.name, agent.own("task_type")) == ("AGENT", "invoke_agent claude", "security")
    assert (agent.start, agent.end) == (START, START + timedelta(seconds=2))
    assert (agent.parent_id, agent.is_root, agent.user_id) == (None, True, "user-0")
    assert (call.type, call.model, call.cost) == ("GENERATION", "claude-sonnet-4-5", 0.0046)
    assert (call.input_tokens, call.output_tokens, call.tokens) == (450, 1073, 1523)
    assert (call.prompt_name, call.prompt_version, call.parent_id) == ("guideline", 3, agent.id)


def test_filters_keep_the_times(backend: Running) -> None:
    """Langfuse ignores its plain parameters, times too, when there is a filter."""
    fill(backend, 10)
    only_agents = {"type": "stringOptions", "column": "type", "operator": "any of", "value": ["AGENT"]}
    with reader_of(backend) as reader:
        found = list(
            reader.observations(since=START, until=START + timedelta(seconds=4), filters=[only_agents])
        )
        assert len(found) == 4
        elsewhere = environment_filter(["production"])
        assert reader.tasks(since=START, until=START + HOUR, filters=[elsewhere]) == []
        here = environment_filter(["default", "production"])
        assert len(reader.tasks(since=START, until=START + HOUR, filters=[here])) == 10


def test_content_only_when_asked_for(backend: Running) -> None:
    book = Book()
    trace, top, _ = book.task("t", "claude", START, 2.0)
    attributes = {
        "gen_ai.operation.name": "chat",
        "langfuse.observation.input": "the question",
        "langfuse.observation.output": "the answer",
    }
    book.span(trace, "chat m", START, 1.0, attributes, parent=top)
    book.event((trace, top, START), "attempt", {"task_id": "t", "number": 2, "error": "overloaded"})
    with client_of(backend) as client:
        book.send(client)
    with reader_of(backend) as reader:
        (plain,) = reader.tasks(since=START, until=START + HOUR)
        (full,) = reader.tasks(since=START, until=START + HOUR, content=True)
        rows = list(reader.observations(since=START, fields=("core", "basic", "io")))
    # An event's body is read either way.
    assert [event.body["error"] for event in plain.events_named("attempt")] == ["overloaded"]
    assert plain.attempts == full.attempts == 2
    assert {row.input for row in rows} >= {"the question"}


def test_tasks_at_the_edges_of_a_period_are_whole_and_counted_once(backend: Running) -> None:
    book = Book()
    for minutes in (-5, 55):
        book.task(f"task at {minutes}", "claude", START + timedelta(minutes=minutes), 600.0)
    with client_of(backend) as client:
        book.send(client)
    with reader_of(backend) as reader:
        hours = [
            reader.tasks(since=START + HOUR * number, until=START + HOUR * (number + 1))
            for number in (-1, 0, 1)
        ]
    assert [[task.id for task in tasks] for tasks in hours] == [["task at -5"], ["task at 55"], []]
    assert [task.cost for tasks in hours for task in tasks] == [0.0046, 0.0046]


def test_a_task_of_hours_is_whole_and_in_the_period_in_which_it_began(backend: Running) -> None:
    book = Book()
    trace, top, _ = book.task("long", "claude", START, 6 * 3600.0)
    said = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.usage.cost": 1.0}
    said["otel_agents.metadata.task_id"] = "long"
    for hours in (3, 5):
        book.span(trace, "chat m", START + HOUR * hours, 5.0, said, parent=top)
    with client_of(backend) as client:
        book.send(client)
    with reader_of(backend) as reader:
        by_the_hour = [
            reader.roll_up(since=START + HOUR * number, until=START + HOUR * (number + 1))
            for number in range(7)
        ]
    assert [[task.id for task in found.tasks] for found in by_the_hour] == [["long"], *[[]] * 6]
    assert [call for found in by_the_hour for call in found.outside] == []
    (task,) = by_the_hour[0].tasks
    assert (task.cost, task.latency, len(task.calls)) == (pytest.approx(2.0046), 6 * 3600.0, 3)


def test_an_empty_project(backend: Running) -> None:
    with reader_of(backend) as reader:
        found = reader.roll_up(since=START)
    assert (found.tasks, found.outside) == ([], [])


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again(backend: Running, status: int) -> None:
    fill(backend, 3)
    backend.backend.faults.add(Fault(path="/api/public/v2/observations", status=status, times=2))
    waits: list[float] = []
    with reader_of(backend, waits) as reader:
        assert len(list(reader.observations(since=START))) == 6
    assert len(waits) == 2
    assert waits[1] > waits[0] > 0


def test_the_wait_that_the_server_asks_for(backend: Running) -> None:
    backend.backend.faults.add(Fault(path="/api/public/v2/observations", status=429, retry_after=7.0))
    waits: list[float] = []
    with reader_of(backend, waits) as reader:
        assert list(reader.observations(since=START)) == []
    assert len(waits) == 1
    assert 7.0 <= waits[0] <= 8.0


def test_a_server_that_asks_for_more_patience_than_there_is(backend: Running) -> None:
    backend.backend.faults.add(
        Fault(path="/api/public/v2/observations", status=429, times=0, retry_after=90.0)
    )
    with reader_of(backend, patience=60.0) as reader, pytest.raises(LangfuseUnavailable) as error:
        list(reader.observations(since=START))
    assert str(error.value) == (
        f"Langfuse at {backend.url} limits the rate of reads (status 429); try again in 90 s, or ask for a "
        "shorter time"
    )


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, "refuses the keys (status 401); check LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY"),
        (403, "refuses the keys (status 403); check LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY"),
        (404, "has no /api/public/v2/observations (status 404); check LANGFUSE_BASE_URL"),
        (500, "fails (status 500"),
        (400, "version 4.59 or newer"),
    ],
)
def test_an_answer_that_stays_an_error_is_one_line(backend: Running, status: int, expected: str) -> None:
    backend.backend.faults.add(Fault(path="/api/public/v2/observations", status=status, times=0))
    with reader_of(backend) as reader, pytest.raises(LangfuseUnavailable) as error:
        list(reader.observations(since=START))
    assert expected in str(error.value)
    assert backend.url in str(error.value)
    assert "\n" not in str(error.value)
    assert error.value.status == status


def test_wrong_keys(backend: Running) -> None:
    reader = LangfuseReader(backend.url, backend.public_key, "sk-lf-wrong")
    with reader, pytest.raises(LangfuseUnavailable, match="refuses the keys") as error:
        list(reader.observations(since=START))
    assert "sk-lf-wrong" not in str(error.value)


def test_no_server() -> None:
    reader = LangfuseReader(f"http://127.0.0.1:{free_port()}", "pk", "sk")
    reader._api.sleep = lambda seconds: None
    with reader, pytest.raises(LangfuseUnavailable) as error:
        list(reader.observations(since=START))
    assert str(error.value).endswith("is unreachable (connection refused); check LANGFUSE_BASE_URL")


def test_a_slow_server_is_asked_for_smaller_pages(backend: Running) -> None:
    fill(backend, 600)
    backend.backend.faults.add(Fault(path="/api/public/v2/observations", times=1, delay_ms=1500))
    seen: list[int] = []
    with reader_of(backend, timeout=0.7) as reader:
        assert len(list(reader.observations(since=START, progress=seen.append))) == 1200
    assert seen == [250, 500, 750, 1000, 1200]


def test_a_server_that_never_answers(backend: Running) -> None:
    backend.backend.faults.add(Fault(path="/api/public/v2/observations", times=0, delay_ms=1000))
    with reader_of(backend, timeout=0.1) as reader, pytest.raises(LangfuseUnavailable) as error:
        list(reader.observations(since=START))
    assert "gave no answer in 0.1 s; ask for a shorter time" in str(error.value)
    backend.backend.faults.clear()


@contextmanager
def answering(body: bytes) -> Iterator[str]:
    """A server that says the same to every request."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"<html>hello</html>", "does not answer as Langfuse"),
        (b"[1, 2]", "does not answer as Langfuse"),
        (b'{"rows": []}', "does not answer as Langfuse"),
        (b'{"data": [{}], "meta": {"cursor": "again"}}', "the same page"),
    ],
)
def test_what_is_no_langfuse(body: bytes, expected: str) -> None:
    with (
        answering(body) as url,
        LangfuseReader(url, "pk", "sk") as reader,
        pytest.raises(LangfuseUnavailable, match=expected),
    ):
        list(reader.observations(since=START))


def test_odd_rows_are_read_as_far_as_they_go() -> None:
    body = b"""{"data": [
        {"id": "a", "traceId": "t", "startTime": "2026-03-01T00:00:00Z", "type": "generation",
         "providedModelName": "m", "totalCost": "0.25",
         "usageDetails": {"input": "3", "output": 4, "x": null},
         "metadata": {"task_id": "\\"quoted\\"", "scope": {}}, "tags": null},
        {"id": "a", "traceId": "t", "startTime": "2026-03-01T00:00:00Z"},
        {"id": "b", "traceId": "t", "startTime": "never"},
        {"traceId": "t"}, 7
    ], "meta": {}}"""
    with answering(body) as url, LangfuseReader(url, "pk", "sk") as reader:
        (one,) = reader.observations(since=START)
    assert (one.type, one.model, one.cost, one.tokens) == ("GENERATION", "m", 0.25, 7)
    assert one.user_metadata() == {"task_id": "quoted"}
    assert one.end == one.start


def test_settings_without_keys() -> None:
    settings = resolve({"mode": "disabled"}, environ={}, dotenv=False)
    with pytest.raises(LangfuseUnavailable) as error:
        LangfuseReader.from_settings(settings)
    assert str(error.value) == (
        "LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY are not set; set both keys, or start the local stack by "
        "`otel-agents up`"
    )
