"""What each answer of a backend does to the spans: delivered, kept, set aside, never lost in silence."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

import pytest
from fault_proxy import PASS, Fault, FaultProxy, answer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)
from outlets import MakeOutlet, entries
from parts import wait_for
from stub_backend import StubBackend

from otel_agents.export import dead_letters, disk
from otel_agents.export.sender import HttpSender
from otel_agents.export.trim import TRIMMED


def names(backend: StubBackend) -> list[str]:
    return [span.name for span in backend.spans()]


def test_a_healthy_backend_gets_each_span_once_and_no_file_is_made(
    outlet: MakeOutlet, backend: StubBackend, root: Path
) -> None:
    out = outlet()
    out.put("a", "b", "c")
    assert out.flush() == (0, 0)
    assert names(backend) == ["a", "b", "c"]
    assert out.counts == {"delivered": 3}
    assert not root.exists()


@pytest.mark.parametrize("status", [301, 401, 403, 404, 408, 425, 429, 500, 501, 502, 503, 504, 520])
def test_what_may_pass_by_itself_is_waited_out(
    outlet: MakeOutlet, backend: StubBackend, proxy: FaultProxy, status: int
) -> None:
    proxy.fault = answer(status)
    out = outlet()
    out.put("a", "b")
    assert out.flush() == (0, 2), "kept on disk, and nobody waits ten seconds for that"
    proxy.fault = PASS
    wait_for(lambda: out.outbox.waiting() == (0, 0), "the next try")
    assert names(backend) == ["a", "b"]
    assert out.counts == {"delivered": 2, "spooled": 2}


def test_why_nobody_answers_is_said_without_the_password() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    said = HttpSender(f"http://me:secret@127.0.0.1:{port}/v1/traces", {}, 3.0, "none").post(b"")
    assert (said.kind, said.reason) == ("later", "unreachable")
    assert said.message == f"http://127.0.0.1:{port}/v1/traces: Connection refused"


@pytest.mark.parametrize("kind", ["reset", "truncate", "lost_answer"])
def test_a_broken_connection_is_tried_again(
    outlet: MakeOutlet, backend: StubBackend, proxy: FaultProxy, kind: Any
) -> None:
    proxy.fault = Fault(kind)
    out = outlet()
    out.put("a")
    assert out.flush() == (0, 1)
    proxy.fault = PASS
    wait_for(lambda: out.counts["delivered"], "the next try")
    # A lost answer is the one case in which a span is sent again that the backend has.
    assert set(names(backend)) == {"a"}
    assert out.counts == {"delivered": 1, "spooled": 1}


def test_nobody_listens_then_somebody_does(
    outlet: MakeOutlet, backend: StubBackend, proxy: FaultProxy
) -> None:
    proxy.refuse()
    out = outlet()
    out.put("a")
    assert out.flush() == (0, 1)
    out.put("b")
    assert out.flush() == (0, 2)
    proxy.accept()
    wait_for(lambda: len(backend.spans()) == 2, "the next try")
    wait_for(lambda: out.outbox.waiting() == (0, 0), "the disk to be empty")
    assert sorted(names(backend)) == ["a", "b"]


def test_a_backend_that_hangs_holds_up_one_flush_and_no_more(outlet: MakeOutlet, proxy: FaultProxy) -> None:
    proxy.fault = Fault("hang")
    out = outlet(timeout=3.0)
    out.put("a")
    out.flush(0.2)
    started = time.monotonic()
    wait_for(lambda: out.outbox._attempts.failures, "the time limit of the request")
    out.put("b")
    before = time.monotonic()
    assert out.flush() == (0, 2)
    assert time.monotonic() - before < 2.0, "as long as a request"
    assert time.monotonic() - started < 15


def test_retry_after_is_kept_to_whoever_flushes(
    outlet: MakeOutlet, backend: StubBackend, proxy: FaultProxy
) -> None:
    proxy.fault = answer(429, Retry_After="1")
    out = outlet()
    out.put("a")
    out.flush()
    proxy.fault = PASS
    for _ in range(20):
        assert out.flush(0.1) == (0, 1)
    assert len(proxy.seen) == 1
    wait_for(lambda: len(backend.spans()) == 1, "the next try")
    assert proxy.times[1] - proxy.times[0] >= 1.0


def test_one_poisonous_span_is_set_aside_and_the_others_delivered(
    outlet: MakeOutlet, backend: StubBackend, proxy: FaultProxy, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.fault = lambda spans: answer(400, b"bad id") if any(s.name == "poison" for s in spans) else PASS
    out = outlet()
    good = [f"good {number}" for number in range(20)]
    out.put(*good[:13], "poison", *good[13:])
    assert out.flush() == (0, 0)
    assert names(backend) == good
    assert out.counts == {"delivered": 20, "quarantined status_400": 1}
    [letter] = dead_letters.read(out.destination.folder(root))
    assert (letter.name, letter.reason, letter.message) == ("poison", "status_400", "status 400: bad id")
    assert caplog.text.count("refused for good") == 1


def test_who_refuses_everything_has_nothing_against_a_span(
    outlet: MakeOutlet, backend: StubBackend, proxy: FaultProxy, root: Path
) -> None:
    """Such as a wrong x-langfuse-ingestion-version: 400, whatever is inside."""
    proxy.fault = answer(400)
    out = outlet()
    out.put(*"abcdefgh")
    assert out.flush() == (0, 8)
    assert list(dead_letters.read(out.destination.folder(root))) == []
    proxy.fault = PASS
    wait_for(lambda: len(backend.spans()) == 8, "the next try")


@pytest.mark.parametrize("failure", [answer(500), answer(503), Fault("reset")], ids=["500", "503", "reset"])
def test_a_span_that_the_backend_fails_at_does_not_hold_up_the_others(
    outlet: MakeOutlet, backend: StubBackend, proxy: FaultProxy, failure: Fault
) -> None:
    """It may pass one day, so it is kept; an outage, in which everything fails, looks different."""
    proxy.fault = lambda spans: failure if any(s.name == "crasher" for s in spans) else PASS
    out = outlet()
    out.put("a", "b", "crasher", "c", "d")
    wait_for(lambda: len(backend.spans()) == 4, "the others")
    out.put("e")
    wait_for(lambda: len(backend.spans()) == 5, "a later one")
    assert sorted(names(backend)) == ["a", "b", "c", "d", "e"]
    wait_for(lambda: out.outbox.waiting() == (0, 1), "the disk to have it alone")
    proxy.fault = PASS
    wait_for(lambda: out.counts["delivered"] == 6, "the next try")
    assert "crasher" in names(backend)


def test_a_request_that_is_too_large_for_a_proxy_that_answers_503_is_parted(
    outlet: MakeOutlet, backend: StubBackend, proxy: FaultProxy
) -> None:
    proxy.fault = lambda spans: answer(503) if len(spans) > 3 else PASS
    out = outlet()
    out.put(*"abcdefghijkl")
    wait_for(lambda: out.counts["delivered"] == 12, "all of them")
    assert sorted(names(backend)) == sorted("abcdefghijkl")


@pytest.mark.parametrize("mode", ["spill", "memory"])
def test_many_that_the_backend_fails_at_do_not_hold_up_those_behind_them(
    outlet: MakeOutlet, backend: StubBackend, proxy: FaultProxy, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than one request takes, so that nothing in it gets through; in memory, and in others' files."""
    monkeypatch.setattr(disk, "_LOOK", 1.0)
    proxy.fault = answer(503)
    first = outlet(limits={"batch_spans": 4})
    first.put(*["crasher"] * 6)
    first.close()
    second = outlet(limits={"batch_spans": 4})
    second.put("left")
    second.close()
    proxy.fault = lambda spans: answer(503) if any(s.name == "crasher" for s in spans) else PASS
    out = outlet(mode=mode, limits={"batch_spans": 4})
    out.put(*["crasher"] * 9, *"abcdef")
    expected = [*"abcdef", "left"] if mode == "spill" else [*"abcdef"]
    wait_for(lambda: sorted(names(backend)) == expected, "the others", timeout=20)
    out.put("late")
    wait_for(lambda: "late" in names(backend), "a later one")
    proxy.fault = PASS
    all_of_them = len(expected) + 10 + 6 * (mode == "spill")
    wait_for(lambda: out.counts["delivered"] >= all_of_them, "all of them", timeout=50)
    assert len(names(backend)) == out.counts["delivered"] == all_of_them, "once each"


def test_a_web_page_is_no_answer(
    outlet: MakeOutlet, backend: StubBackend, proxy: FaultProxy, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a captive portal, or of a server at a mistaken address: nothing was taken."""
    proxy.fault = answer(200, b"<!DOCTYPE html><title>Sign in</title>", content_type="text/html")
    out = outlet()
    out.put("a", "b")
    assert out.flush() == (0, 2)
    out.put("c")
    assert out.flush() == (0, 3)
    assert out.counts["delivered"] == 0
    said = [record.message for record in caplog.records if "check the address" in record.message]
    assert len(said) == 1, caplog.text
    proxy.fault = PASS
    wait_for(lambda: out.counts["delivered"] == 3, "the next try")
    assert sorted(names(backend)) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"", "text/html; charset=x"), (b"", ""), (b"{}", "application/json"), (b"", "application/x-protobuf")],
)
def test_nothing_and_json_are_answers(outlet: MakeOutlet, proxy: FaultProxy, body: bytes, kind: str) -> None:
    proxy.fault = answer(200, body, **({"content_type": kind} if kind else {}))
    out = outlet()
    out.put("a")
    out.flush()
    assert out.counts == {"delivered": 1}


def test_in_memory_mode_a_poisonous_span_is_dropped_and_counted(
    outlet: MakeOutlet, backend: StubBackend, proxy: FaultProxy, root: Path
) -> None:
    proxy.fault = lambda spans: answer(400) if any(s.name == "poison" for s in spans) else PASS
    out = outlet(mode="memory")
    out.put("a", "poison", "b")
    assert out.flush() == (0, 0)
    assert names(backend) == ["a", "b"]
    assert out.counts == {"delivered": 2, "dropped status_400": 1}
    assert not root.exists()


def test_grpc_answers_mean_the_same(backend: StubBackend) -> None:
    from otel_agents.export.grpc_sender import GrpcSender

    with backend.grpc() as address:
        sender = GrpcSender(f"http://{address}", {"X-Tenant": "a"}, 10.0, "gzip")
        assert sender.send(entries("a", "b")).kind == "taken"
        assert names(backend) == ["a", "b"]
        assert sender.send(entries("large", text="x" * 5_000_000)).kind == "too_large"
        sender.close()
    gone = GrpcSender(f"http://{address}", {}, 2.0, "none")
    said = gone.send(entries("a"))
    assert (said.kind, said.reason) == ("later", "unreachable")
    gone.close()


def test_what_is_too_large_is_split_and_an_oversized_span_trimmed(
    outlet: MakeOutlet, backend: StubBackend, proxy: FaultProxy
) -> None:
    def limit(spans: list[Any]) -> Fault:
        return answer(413) if sum(span.ByteSize() for span in spans) > 60_000 else PASS

    proxy.fault = limit
    out = outlet()
    text = "".join(chr(97 + number % 26) for number in range(200_000))
    out.put(*"abcd", **{"gen_ai.input.messages": "x" * 20_000})
    out.put("large", **{"gen_ai.input.messages": text, "gen_ai.usage.input_tokens": 7, "user.id": "u-1"})
    out.put(*"efgh", **{"gen_ai.input.messages": "x" * 20_000})
    assert out.flush() == (0, 0)
    assert names(backend) == ["a", "b", "c", "d", "large", "e", "f", "g", "h"]
    large = next(one for one in backend.spans() if one.name == "large")
    found = {one.key: one.value for one in large.attributes}
    assert found["gen_ai.input.messages"].string_value.startswith(text[:20_000])
    assert "characters]" in found["gen_ai.input.messages"].string_value[-60:]
    assert found["gen_ai.usage.input_tokens"].int_value == 7
    assert found["user.id"].string_value == "u-1"
    assert found[TRIMMED].int_value > 200_000
    assert out.counts == {"delivered": 9}


def test_requests_stay_below_their_limits(
    outlet: MakeOutlet, backend: StubBackend, proxy: FaultProxy
) -> None:
    sizes: list[tuple[int, int]] = []

    def measure(spans: list[Any]) -> Fault:
        sizes.append((len(spans), sum(span.ByteSize() for span in spans)))
        return PASS

    proxy.fault = measure
    out = outlet(limits={"batch_spans": 10, "batch_bytes": 100_000, "span_bytes": 50_000})
    out.put(*[f"small {number}" for number in range(25)])
    out.put(*[f"big {number}" for number in range(10)], **{"gen_ai.input.messages": "x" * 30_000})
    out.put("huge", **{"gen_ai.input.messages": "x" * 300_000})
    assert out.flush() == (0, 0)
    assert len(backend.spans()) == 36
    assert max(count for count, _ in sizes) <= 10
    assert max(size for _, size in sizes) <= 100_000


@pytest.mark.parametrize("form", ["protobuf", "json"])
def test_partial_success_is_counted_and_never_repeated(
    outlet: MakeOutlet, proxy: FaultProxy, form: str, caplog: pytest.LogCaptureFixture
) -> None:
    if form == "json":
        body = b'{"partialSuccess": {"rejectedSpans": "2", "errorMessage": "too old"}}'
        proxy.fault = answer(200, body, content_type="application/json")
    else:
        partial = ExportTracePartialSuccess(rejected_spans=2, error_message="too old")
        body = ExportTraceServiceResponse(partial_success=partial).SerializeToString()
        proxy.fault = answer(200, body, content_type="application/x-protobuf")
    out = outlet()
    out.put(*"abcde")
    assert out.flush() == (0, 0)
    assert out.counts == {"delivered": 3, "dropped rejected": 2}
    assert len(proxy.seen) == 1
    assert "too old" in caplog.text


def test_after_an_outage_new_spans_do_not_wait_for_all_the_old_ones(
    outlet: MakeOutlet, backend: StubBackend, proxy: FaultProxy
) -> None:
    proxy.refuse()
    out = outlet(limits={"memory_spans": 10, "batch_spans": 10})
    for number in range(40):
        out.put(*[f"old {number} {part}" for part in range(10)])
    assert out.flush() == (0, 400)
    proxy.accept()
    proxy.fault = lambda _: time.sleep(0.02) or PASS
    wait_for(lambda: out.counts["delivered"], "the backend's answer")
    out.put("new")
    out.flush()
    arrived = names(backend)
    assert "new" in arrived
    assert len(arrived) < 300
    wait_for(lambda: out.outbox.waiting() == (0, 0), "the rest")
    assert sorted(names(backend)) == sorted(
        ["new", *(f"old {number} {part}" for number in range(40) for part in range(10))]
    )
