"""What was accepted arrives: through outages of Langfuse, kill -9 and restarts."""

from __future__ import annotations

import signal

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
