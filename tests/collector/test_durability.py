"""What was accepted arrives: through outages of Langfuse, kill -9 and restarts."""

from __future__ import annotations

import contextlib
import itertools
import signal
import subprocess
import threading
from http.client import HTTPException

import pytest
from collector_rig import Collector, key_values, span, traces
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from parts import wait_for

pytestmark = pytest.mark.collector


def send_spans(collector: Collector, first: int, count: int) -> set[str]:
    """Sends so many spans in requests of ten and returns their ids; every request was accepted."""
    ids = [f"{number:016x}" for number in range(first, first + count)]
    for start in range(0, count, 10):
        some = ids[start : start + 10]
        collector.send(traces(*(span("chat m", one, {"gen_ai.operation.name": "chat"}) for one in some)))
    return set(ids)


def arrived(collector: Collector, wanted: set[str]) -> bool:
    return wanted <= collector.backend.by_id().keys()


@pytest.mark.parametrize("status", [503, 429, 502, 504])
def test_an_answer_that_says_later_is_tried_again(collector: Collector, status: int) -> None:
    collector.backend.answer = lambda path: status
    sent = send_spans(collector, 1, 50)
    wait_for(lambda: len(collector.backend.requests) >= 3, "three attempts")
    assert not collector.backend.spans()
    collector.backend.answer = lambda path: 200
    wait_for(lambda: arrived(collector, sent), "all spans after the outage")


def test_an_outage_with_kill_in_the_middle_loses_nothing(collector: Collector) -> None:
    collector.backend.answer = lambda path: 503
    sent = send_spans(collector, 1, 300)
    collector.stop(signal.SIGKILL)  # at once: what was answered is on disk
    collector.start()
    sent |= send_spans(collector, 1000, 50)
    assert not collector.backend.spans()
    collector.backend.answer = lambda path: 200
    wait_for(lambda: arrived(collector, sent), "all spans after outage and kill")


def test_an_unreachable_langfuse_and_an_orderly_stop_lose_nothing(collector: Collector) -> None:
    collector.backend.stop()
    sent = send_spans(collector, 1, 50)
    collector.stop()
    collector.backend.start()  # on the same port
    collector.start()
    wait_for(lambda: arrived(collector, sent), "all spans after the restart")


def test_a_full_queue_asks_the_sender_to_wait(collector: Collector) -> None:
    """Refused is better than taken and lost; senders try again after a 503."""
    collector.stop()
    collector.extra = {"OTELCOL_QUEUE_BYTES": "20000"}
    collector.start()
    collector.backend.answer = lambda path: 503
    taken: set[str] = set()
    refused = ""
    for number in range(1000, 3000, 10):
        try:
            taken |= send_spans(collector, number, 10)
        except OSError as error:
            refused = str(error)
            break
    assert "503" in refused
    assert taken
    collector.backend.answer = lambda path: 200
    wait_for(lambda: arrived(collector, taken), "what was taken before")


def test_a_bridge_that_is_away_holds_up_scores_only(collector: Collector) -> None:
    collector.backend.answer = lambda path: 503 if path.endswith("/v1/logs") else 200
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add()
    record.event_name = "gen_ai.evaluation.result"
    record.attributes.extend(key_values({"gen_ai.evaluation.name": "quality"}))
    collector.send(request)
    sent = send_spans(collector, 1, 10)
    wait_for(lambda: arrived(collector, sent), "spans while the bridge is away")
    collector.stop(signal.SIGKILL)
    collector.start()
    assert not collector.backend.log_records()
    collector.backend.answer = lambda path: 200
    wait_for(collector.backend.log_records, "the score after bridge and Collector came back")


def test_kill_in_full_flow_loses_nothing_that_was_accepted(collector: Collector) -> None:
    """Senders at work and Langfuse taking spans at the moment of the kill, three times."""
    accepted: set[str] = set()
    numbers = itertools.count(1_000_000, 10)
    stop = threading.Event()

    def keep_sending() -> None:
        while not stop.is_set():
            # Refused, or cut off: not accepted, though it may have arrived all the same.
            with contextlib.suppress(OSError, HTTPException):
                accepted.update(send_spans(collector, next(numbers), 10))

    senders = [threading.Thread(target=keep_sending, daemon=True) for _ in range(3)]
    for one in senders:
        one.start()
    try:
        for _ in range(3):
            before = len(accepted)
            wait_for(lambda before=before: len(accepted) > before + 100, "the flow")
            collector.stop(signal.SIGKILL)
            collector.start()
    finally:
        stop.set()
        for one in senders:
            one.join(20)
    wait_for(lambda: arrived(collector, accepted), "all that was accepted", 60)
    spans = collector.backend.spans()
    again = len(spans) - len({one.span_id for one in spans})
    assert again <= 3 * 4 * 256, "only what was being sent comes twice: consumers times a batch, a kill"


def test_no_outage_is_too_long(collector: Collector) -> None:
    """There is no last attempt: with a limit to the time of trying, an outage longer than that loses all."""
    collector.backend.answer = lambda path: 503
    sent = send_spans(collector, 1, 20)
    wait_for(lambda: len(collector.backend.requests) >= 25, "many attempts", 60)
    collector.backend.answer = lambda path: 200
    wait_for(lambda: arrived(collector, sent), "all spans after the outage")


def test_a_time_limit_for_trying_would_lose_them(collector: Collector) -> None:
    """The counterpart of the test above, which could else not fail."""
    collector.stop()
    limit = "yaml:exporters::otlp_http/langfuse::retry_on_failure::max_elapsed_time: 500ms"
    collector.more = ("--config", limit)
    collector.start()
    collector.backend.answer = lambda path: 503
    sent = send_spans(collector, 1, 20)
    wait_for(lambda: "no more retries left" in collector.log.read_text(), "it to give up")
    collector.backend.answer = lambda path: 200
    later = send_spans(collector, 1000, 10)
    wait_for(lambda: arrived(collector, later), "what came after")
    assert not arrived(collector, sent)


def test_another_batch_size_after_a_restart_changes_nothing_about_what_waits(collector: Collector) -> None:
    collector.backend.answer = lambda path: 503
    sent = send_spans(collector, 1, 200)
    collector.stop()
    collector.extra = {"OTELCOL_BATCH_MAX_SPANS": "20", "OTELCOL_BATCH_MIN_SPANS": "5"}
    collector.start()
    collector.backend.answer = lambda path: 200
    wait_for(lambda: arrived(collector, sent), "what was queued with the other size")
    assert max(collector.backend.sizes()) <= 20
    later = send_spans(collector, 1000, 50)
    collector.backend.answer = lambda path: 503
    later |= send_spans(collector, 2000, 100)
    collector.stop(signal.SIGKILL)
    collector.extra = {}
    collector.start()
    collector.backend.answer = lambda path: 200
    wait_for(lambda: arrived(collector, later), "and back again")


def test_a_full_disk_refuses_and_what_was_accepted_arrives(collector: Collector) -> None:
    """The queue's folder is on a file system of 1 MiB; senders keep what is refused in their own spool."""
    collector.stop()
    folder = collector.folder / "queues"
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        collector.start()
        collector.backend.answer = lambda path: 503
        taken: set[str] = set()
        refused = ""
        for number in range(1000, 200_000, 10):
            try:
                taken |= send_spans(collector, number, 10)
            except OSError as error:
                refused = str(error)
                break
        assert "50" in refused, "500 and 503 are both tried again by our SDK"
        assert taken
        collector.backend.answer = lambda path: 200
        wait_for(lambda: arrived(collector, taken), "what was accepted", 60)
    finally:
        collector.stop(signal.SIGKILL)
        subprocess.run(["umount", "-l", str(folder)], check=True)
