"""The sender of direct mode against a score endpoint that misbehaves."""

from __future__ import annotations

import base64
import logging
import os
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
from parts import free_port, wait_for
from score_server import Answer, ScoreServer

from otel_agents.langfuse.score_api import BATCH, ScoreApi
from otel_agents.langfuse.score_events import MAX_REQUEST_BYTES
from otel_agents.langfuse.scores import ScoreResult, ScoreSender

TRACE = "0af7651916cd43dd8448eb211c80319c"
WHEN = 1_763_900_000_123_456_789


def submit(sender: ScoreSender, count: int = 1, name: str = "quality", **attributes: Any) -> None:
    for number in range(count):
        sender.submit(
            {
                "gen_ai.evaluation.name": name,
                "gen_ai.evaluation.score.value": float(number),
                "otel_agents.score.id": f"{name}-{number}",
                **{key.replace("__", "."): value for key, value in attributes.items()},
            },
            TRACE,
            None,
            WHEN,
        )


def names(server: ScoreServer) -> list[str]:
    return [score["name"] for score in server.scores()]


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the sender logged."""
    return [one.getMessage() for one in caplog.records if one.name.startswith("otel_agents.")]


def test_a_score_arrives_as_the_official_sdk_would_send_it(make_sender: Any, server: ScoreServer) -> None:
    sender = make_sender(server.url, environment="Prod")
    submit(sender)
    assert sender.flush(10) == ScoreResult(delivered=1)
    [request] = server.requests
    assert request.path == "/api/public/scores"
    assert (
        request.headers["authorization"] == "Basic " + base64.b64encode(b"pk-lf-local:sk-lf-local").decode()
    )
    assert request.headers["x-langfuse-public-key"] == "pk-lf-local"
    assert request.body == [
        {
            "id": "quality-0",
            "traceId": TRACE,
            "name": "quality",
            "value": 0.0,
            "dataType": "NUMERIC",
            "timestamp": "2025-11-23T12:13:20.123456Z",
            "environment": "prod",
        }
    ]


def test_many_scores_share_requests_of_fifteen_in_order(make_sender: Any, server: ScoreServer) -> None:
    sender = make_sender(server.url, delay=30.0)
    submit(sender, 40)
    assert sender.flush(10) == ScoreResult(delivered=40)
    assert [len(request.body) for request in server.requests] == [15, 15, 10]
    assert [score["value"] for score in server.scores()] == [float(number) for number in range(40)]


def test_large_scores_are_spread_over_requests(make_sender: Any, server: ScoreServer) -> None:
    sender = make_sender(server.url, delay=30.0)
    submit(sender, 7, gen_ai__evaluation__explanation="x" * 300_000)
    assert sender.flush(20) == ScoreResult(delivered=7)
    assert [len(request.body) for request in server.requests] == [3, 3, 1]
    assert max(request.size for request in server.requests) <= MAX_REQUEST_BYTES


def test_a_score_goes_out_without_a_flush(make_sender: Any, server: ScoreServer) -> None:
    submit(make_sender(server.url, delay=0.05))
    wait_for(lambda: server.requests, "the score")


@pytest.mark.parametrize("status", [401, 403, 408, 429, 500, 502, 503])
def test_errors_that_pass_are_tried_again(
    make_sender: Any, server: ScoreServer, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    server.script = [Answer(status, {"message": "not now"})] * 3
    sender = make_sender(server.url)
    submit(sender)
    assert sender.flush(10) == ScoreResult(delivered=1)
    assert len(server.requests) == 4
    assert len({str(request.body) for request in server.requests}) == 1
    assert said(caplog) == [
        f"otel-agents: scores wait for the backend: status {status}: not now",
        "otel-agents: the backend takes scores again",
    ]


@pytest.mark.parametrize("body", [b"<html>Sign in</html>", b""])
def test_an_error_that_is_no_json_is_tried_again(make_sender: Any, server: ScoreServer, body: bytes) -> None:
    server.script = [Answer(502, body)]
    sender = make_sender(server.url)
    submit(sender)
    assert sender.flush(10) == ScoreResult(delivered=1)
    assert len(server.requests) == 2


def test_a_page_instead_of_an_answer_is_no_delivery(make_sender: Any, server: ScoreServer) -> None:
    server.script = [Answer(200, b"<html>Sign in to the hotel's network</html>")]
    sender = make_sender(server.url)
    submit(sender)
    assert sender.flush(10) == ScoreResult(delivered=1)
    assert len(server.requests) == 2


@pytest.mark.parametrize("body", [{"id": "quality-0"}, {"message": "Fine"}, {}, b""])
def test_any_other_yes_is_a_delivery(make_sender: Any, server: ScoreServer, body: object) -> None:
    server.answer = lambda _: Answer(200, body)
    sender = make_sender(server.url)
    submit(sender)
    assert sender.flush(10) == ScoreResult(delivered=1)
    assert len(server.requests) == 1


def test_retry_after_is_waited_for(make_sender: Any, server: ScoreServer) -> None:
    server.script = [Answer(429, {"message": "slow down"}, {"Retry-After": "1"})]
    sender = make_sender(server.url)
    submit(sender)
    started = time.monotonic()
    wait_for(lambda: len(server.requests) == 2, "the second try")
    assert time.monotonic() - started >= 1.0


def test_a_refused_score_is_dropped_and_its_neighbours_delivered(
    make_sender: Any, server: ScoreServer, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(body: Any) -> Answer:
        scores = body if isinstance(body, list) else [body]
        bad = any(score["name"] == "poison" for score in scores)
        return Answer(400, {"message": "Invalid request data"}) if bad else Answer()

    server.answer = answer
    sender = make_sender(server.url, delay=30.0)
    submit(sender, 3)
    submit(sender, 1, name="poison")
    submit(sender, 3, name="speed")
    assert sender.flush(10) == ScoreResult(delivered=6, dropped=1)
    assert said(caplog) == [
        "otel-agents: one of the scores was refused for good: status 400: Invalid request data"
    ]
    server.requests.clear()
    submit(sender, 2, name="later")
    assert sender.flush(10) == ScoreResult(delivered=2)
    assert len(server.requests) == 1  # lists are still fine


@pytest.mark.parametrize("status", [404, 405, 413, 422])
def test_other_refusals_are_not_repeated(make_sender: Any, server: ScoreServer, status: int) -> None:
    server.answer = lambda _: Answer(status, {"message": "no"})
    sender = make_sender(server.url)
    submit(sender)
    assert sender.flush(10) == ScoreResult(dropped=1)
    assert len(server.requests) == 1


def test_partial_success_is_counted_and_not_repeated(
    make_sender: Any, server: ScoreServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.script = [Answer(207, {"accepted": 2, "rejected": 1, "errors": [{"message": "no such config"}]})]
    sender = make_sender(server.url, delay=30.0)
    submit(sender, 3)
    assert sender.flush(10) == ScoreResult(delivered=2, dropped=1)
    assert len(server.requests) == 1
    assert "no such config" in caplog.text


def test_nobody_listens_then_somebody_does(make_sender: Any) -> None:
    port = free_port()
    sender = make_sender(f"http://127.0.0.1:{port}")
    submit(sender, 3)
    assert sender.flush(0.5) == ScoreResult(pending=3)
    with ScoreServer(port) as server:
        assert sender.flush(10) == ScoreResult(delivered=3)
        assert names(server) == ["quality"] * 3


def test_a_hanging_server_holds_neither_submit_nor_flush(make_sender: Any, server: ScoreServer) -> None:
    server.gate.clear()
    sender = make_sender(server.url)
    submit(sender)
    started = time.monotonic()
    submit(sender, 100, name="more")
    assert sender.flush(0.3) == ScoreResult(pending=101)
    assert time.monotonic() - started < 8, "a request may take ten seconds"
    server.gate.set()
    assert sender.flush(10) == ScoreResult(delivered=101)


def test_beyond_the_queue_scores_are_dropped_and_counted(
    make_sender: Any, caplog: pytest.LogCaptureFixture
) -> None:
    sender = make_sender(f"http://127.0.0.1:{free_port()}", max_queue=20)
    dropped = 0
    for _ in range(10):
        submit(sender, 10)
        result = sender.flush(0.1)
        assert result.delivered == 0
        assert result.pending <= 20 + BATCH  # what is being sent comes on top
        dropped += result.dropped
    assert dropped > 0
    assert dropped + sender.finish(0.1).dropped == 100
    assert caplog.text.count("are lost: memory_full") == 1


def test_what_is_no_score_is_dropped_and_said(
    make_sender: Any, server: ScoreServer, caplog: pytest.LogCaptureFixture
) -> None:
    sender = make_sender(server.url)
    sender.submit({"gen_ai.evaluation.name": "quality"}, TRACE, None, WHEN)
    submit(sender)
    assert sender.flush(10) == ScoreResult(delivered=1, dropped=1)
    assert "it has neither a value nor a label" in caplog.text


def test_closing_tries_for_its_time_and_says_what_is_lost(
    make_sender: Any, caplog: pytest.LogCaptureFixture
) -> None:
    sender = make_sender(f"http://127.0.0.1:{free_port()}")
    submit(sender, 3)
    sender.close(1)
    sender.close(1)
    assert "3 scores could not be sent before the end" in caplog.text
    submit(sender)
    assert sender.flush(1) == ScoreResult(dropped=4)


def test_closing_delivers_what_flush_had_no_time_for(make_sender: Any, server: ScoreServer) -> None:
    sender = make_sender(server.url, delay=30.0)
    submit(sender, 20)
    sender.close(20)
    assert len(server.scores()) == 20


def test_threads_lose_and_double_nothing(make_sender: Any, server: ScoreServer) -> None:
    sender = make_sender(server.url, delay=0.01)
    server.script = [Answer(500, {})] * 3
    threads = [
        threading.Thread(target=submit, args=(sender, 50), kwargs={"name": f"n{number}"})
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sender.flush(30) == ScoreResult(delivered=400)
    accepted = [score["id"] for request in server.requests[3:] for score in request.body]
    assert len(accepted) == len(set(accepted)) == 400


def test_a_fork_waits_for_the_sdk_to_be_loaded(server: ScoreServer) -> None:
    """A child would inherit the import's lock, held by a thread that it does not have."""
    began, may_end, loaded = threading.Event(), threading.Event(), threading.Event()

    def connect() -> ScoreApi:
        began.set()
        may_end.wait(10)
        made = ScoreApi(server.url, "pk", "sk", 5.0)
        loaded.set()
        return made

    sender = ScoreSender(connect, delay=0.0)
    submit(sender)
    assert began.wait(10)
    threading.Timer(0.2, may_end.set).start()
    sender.before_fork()
    assert loaded.is_set()
    sender.after_fork_in_parent()
    assert sender.finish(10).delivered == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_sends_its_own_scores_and_not_its_parents() -> None:
    """In a process of its own: a fork of the test runner would carry the runner's threads' locks."""
    code = """
import os, sys
from otel_agents.langfuse.score_api import ScoreApi
from otel_agents.langfuse.scores import ScoreSender
url = sys.argv[1]
sender = ScoreSender(lambda: ScoreApi(url, "pk", "sk", 10.0), delay=3600.0)
def submit(name):
    sender.submit({"gen_ai.evaluation.name": name, "gen_ai.evaluation.score.value": 1.0}, "a" * 32, None, 1)
submit("first")
sender.flush(20)
submit("parent")
child = os.fork()
submit("child" if child == 0 else "parent again")
result = sender.flush(20)
print(result)
sender.close()
if child == 0:
    os._exit(0 if result.delivered == 1 else 1)
sys.exit(os.waitpid(child, 0)[1] or (0 if result.delivered == 2 else 2))
"""
    with ScoreServer() as server:
        done = subprocess.run(
            [sys.executable, "-c", code, server.url], capture_output=True, text=True, timeout=90
        )
        assert done.returncode == 0, done.stderr + done.stdout
        assert sorted(names(server)) == ["child", "first", "parent", "parent again"]


def test_the_sdk_is_loaded_late_and_makes_nothing_global() -> None:
    code = """
import sys
from otel_agents.langfuse.scores import ScoreSender
from otel_agents.langfuse.score_api import ScoreApi
assert not {"langfuse", "httpx", "pydantic"} & set(sys.modules)
sender = ScoreSender(lambda: ScoreApi(sys.argv[1], "pk", "sk", 10.0))
sender.submit({"gen_ai.evaluation.name": "a", "gen_ai.evaluation.score.value": 1.0}, "a" * 32, None, 1)
assert sender.flush(30).delivered == 1
from langfuse._client.resource_manager import LangfuseResourceManager
from opentelemetry import trace
assert LangfuseResourceManager._instances == {}
assert type(trace.get_tracer_provider()).__name__ == "ProxyTracerProvider"
"""
    with ScoreServer() as server:
        done = subprocess.run(
            [sys.executable, "-c", code, server.url], capture_output=True, text=True, timeout=90
        )
        assert done.returncode == 0, done.stderr


def test_submitting_is_cheap(make_sender: Any, server: ScoreServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    server.gate.clear()
    sender = make_sender(server.url, max_queue=100_000)
    submit(sender)
    started = time.thread_time()
    submit(sender, 5_000)
    assert (time.thread_time() - started) / 5_000 < 200e-6
    sender.close(0.1)  # nobody waits for five thousand scores
