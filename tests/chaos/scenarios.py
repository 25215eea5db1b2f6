"""The scenarios: what happens, and what has to become of the spans. docs/reliability.md lists them.

A scenario's first line of documentation is what happens; the second paragraph what is promised then.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from chaos_rig import Rig
from fault_proxy import PASS, Fault, answer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from parts import wait_for

Scenario = Callable[[Rig], None]
SCENARIOS: Final[dict[str, Scenario]] = {}

HANG = Fault("hang")


def scenario(function: Scenario) -> Scenario:
    """Enters a scenario into the table."""
    SCENARIOS[function.__name__] = function
    return function


# --- a backend that misbehaves ----------------------------------------------------------------------
def _through(rig: Rig, *faults: Any, **rest: Any) -> None:
    """The app works while the faults pass by, and ends of itself."""
    process = rig.start(**rest)
    rig.play(*faults)
    assert rig.end(process) == 0


@scenario
def refused(rig: Rig) -> None:
    """Nobody listens at the backend's address, for a while

    All delivered, once.
    """
    _through(rig, PASS, None)
    rig.judge()


@scenario
def hanging(rig: Rig) -> None:
    """The backend takes requests and never answers

    All delivered.
    """
    _through(rig, PASS, HANG, settings={"otlp_timeout": 0.3})
    rig.judge(repeats=True)


@scenario
def slow(rig: Rig) -> None:
    """Every answer takes 0.4 s

    All delivered, once.
    """
    _through(rig, Fault("slow"), Fault("slow"))
    rig.judge()


@scenario
def asked_to_wait(rig: Rig) -> None:
    """429 with Retry-After

    All delivered, once, and not before the time.
    """
    _through(rig, PASS, answer(429, Retry_After="1"))
    rig.judge()


@scenario
def failing(rig: Rig) -> None:
    """500, 502, 503 and 401 in turn, as Langfuse answers while its database is away

    All delivered, once.
    """
    codes = [500, 502, 503, 401, 403, 404]
    rig.random.shuffle(codes)
    process = rig.start()
    rig.play(*(answer(code) for code in codes), seconds=0.2)
    assert rig.end(process) == 0
    rig.judge()


@scenario
def poisonous(rig: Rig) -> None:
    """400 for every request that holds one of five certain spans

    These are kept as dead letters, their neighbours delivered, once.
    """
    rig.proxy.fault = lambda spans: answer(400) if any(one.name == "poison" for one in spans) else PASS
    assert rig.end(rig.start(poison=True)) == 0
    assert rig.judge(refused=5).delivered == 245


@scenario
def cut(rig: Rig) -> None:
    """The connection is reset in the middle of the request, or instead of an answer

    All delivered, once.
    """
    _through(rig, PASS, Fault("cut"), Fault("reset"))
    rig.judge()


@scenario
def half_an_answer(rig: Rig) -> None:
    """The backend takes the spans, and its answer is cut off or gets lost

    All delivered; some twice, as nobody can know.
    """
    _through(rig, PASS, Fault("truncate"), Fault("lost_answer"))
    rig.judge(repeats=True)


@scenario
def thrown_away(rig: Rig) -> None:
    """200 with partial success: the backend says that it has thrown all spans of a request away

    Counted as `dropped{rejected}`, and not sent again.
    """

    times = 0

    def some(spans: list[Any]) -> Fault:
        nonlocal times
        times += 1
        said = ExportTraceServiceResponse()
        said.partial_success.rejected_spans = len(spans)
        kind = {"content_type": "application/x-protobuf"}
        return answer(200, said.SerializeToString(), **kind)

    rig.proxy.fault = some
    process = rig.start()
    wait_for(lambda: times, "a request")
    rig.proxy.fault = PASS
    assert rig.end(process) == 0
    assert rig.judge(lost=["rejected"]).counted["rejected"] > 0


@scenario
def everything(rig: Rig) -> None:
    """All of these faults in random order

    All delivered.
    """
    faults = [None, HANG, Fault("slow"), answer(429, Retry_After="0"), answer(500), answer(401)]
    faults += [Fault("cut"), Fault("reset"), Fault("truncate"), Fault("lost_answer")]
    chosen = rig.random.sample(faults, 6)
    process = rig.start(settings={"otlp_timeout": 0.3})
    rig.play(*chosen, seconds=0.2)
    assert rig.end(process) == 0
    rig.judge(repeats=True)


@scenario
def away_to_the_end(rig: Rig) -> None:
    """The backend is away until after the app has ended

    All on disk; the next process delivers them, once.
    """
    rig.proxy.refuse()
    assert rig.end(rig.start()) == 0
    assert rig.verdict().delivered == 0
    rig.proxy.accept()
    rig.judge()


@scenario
def memory_only(rig: Rig) -> None:
    """The backend is away until after the app has ended, and the mode is `memory`

    Counted as `dropped{shutdown}`.
    """
    rig.proxy.refuse()
    assert rig.end(rig.start(settings={"spool_mode": "memory"}, deadline=1.0)) == 0
    rig.proxy.accept()
    assert rig.judge(lost=["shutdown"]).missing == 250


# --- ends -------------------------------------------------------------------------------------------
@scenario
def terminated(rig: Rig) -> None:
    """SIGTERM while the backend hangs

    All on disk; the next process delivers them. One that was just ending may be counted as killed.
    """
    rig.proxy.fault = HANG
    process = rig.start(spans=5000)
    rig.wait_for_spans(rig.random.randint(50, 400))
    assert rig.end(process, signal.SIGTERM) == -signal.SIGTERM
    rig.proxy.fault = PASS
    found = rig.judge(repeats=True, lost=["killed"])
    assert found.missing == 0
    assert sum(found.counted.values()) <= 1


def _killed(rig: Rig, mode: str, checkpoint: float = 0.2) -> None:
    settings = {"spool_mode": mode, "spool_checkpoint": checkpoint}
    process = rig.start(spans=20_000, rate=300, settings=settings)
    rig.play(rig.random.choice([PASS, HANG, answer(503)]), seconds=0.5)
    rig.proxy.fault = rig.random.choice([PASS, HANG, answer(503)])
    rig.wait_for_spans(rig.random.randint(100, 500))
    rig.end(process, signal.SIGKILL)
    rig.proxy.fault = PASS


#: Seconds that a busy machine may add to the stated window.
_BUSY: Final = 5.0


@scenario
def killed_in_spill(rig: Rig) -> None:
    """SIGKILL in mode `spill`, with the backend well, hanging or failing

    What ended in the last `OTEL_BSP_SCHEDULE_DELAY` + `OTEL_AGENTS_SPOOL_CHECKPOINT` may be lost; the next
    process counts it as `dropped{killed}`. The rest delivered.
    """
    _killed(rig, "spill")
    rig.judge(lost=["killed"], repeats=True, window=0.05 + 0.2 + _BUSY)


@scenario
def killed_in_durable(rig: Rig) -> None:
    """SIGKILL in mode `durable`, likewise

    All delivered: a span is on disk when `end()` returns. One that was just ending may be counted as above.
    """
    _killed(rig, "durable")
    assert rig.judge(lost=["killed"], repeats=True).missing == 0


@scenario
def killed_in_memory(rig: Rig) -> None:
    """SIGKILL in mode `memory`, likewise

    What is not delivered is lost; counted as above.
    """
    _killed(rig, "memory")
    rig.judge(lost=["killed"], repeats=True)


@scenario
def left_at_once(rig: Rig) -> None:
    """`os._exit` amid the work

    As with SIGKILL.
    """
    at = {str(rig.random.randint(20, 240)): "leave"}
    assert rig.end(rig.start(at=at)) == 7
    rig.judge(lost=["killed"], repeats=True, window=2.0 + _BUSY)


@scenario
def killed_again_and_again(rig: Rig) -> None:
    """Three processes one after the other, each killed; each takes up what those before left

    Delivered, or counted as `dropped{killed}`.
    """
    for _ in range(3):
        number = rig.random.randint(30, 200)
        rig.proxy.fault = rig.random.choice([PASS, answer(503)])
        rig.end(rig.start(at={str(number): "kill"}, settings={"spool_checkpoint": 0.1}))
    rig.proxy.fault = PASS
    rig.judge(lost=["killed"], repeats=True)


@scenario
def forked(rig: Rig) -> None:
    """`os.fork` amid the work and an outage; parent and child go on

    All delivered, once: the child sends nothing of its parent's.
    """
    process = rig.start(at={str(rig.random.randint(50, 150)): "fork 100"})
    rig.play(PASS, answer(503))
    assert rig.end(process) == 0
    wait_for(lambda: len(rig.ended()) == 350, "the child", 60)
    time.sleep(0.1)
    assert rig.judge().ended == 350


@scenario
def parent_killed(rig: Rig) -> None:
    """The parent is killed after the fork

    The child's spans are delivered; what the parent held is on disk or counted.
    """
    rig.proxy.fault = answer(503)
    at = {"100": "fork 100", "200": "kill"}
    rig.end(rig.start(at=at, settings={"spool_checkpoint": 0.1}))
    wait_for(lambda: len(rig.ended()) >= 300, "the child", 60)
    rig.proxy.fault = PASS
    assert rig.judge(lost=["killed"], repeats=True, window=2.0 + _BUSY).ended == 300


# --- disk and clock ---------------------------------------------------------------------------------
@contextlib.contextmanager
def _small_disk(rig: Rig) -> Iterator[Callable[[], None]]:
    """The spool folder on a file system of 256 KiB; yields what makes it larger."""
    rig.spool.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(rig.spool)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        yield lambda: subprocess.run(["mount", "-o", "remount,size=64m", str(rig.spool)], check=True) and None
    finally:
        subprocess.run(["umount", "-l", str(rig.spool)], check=True)


@scenario
def full_disk(rig: Rig) -> None:
    """The spool's disk is full (256 KiB) during an outage that lasts to the end; later there is room again

    What memory held at the end is counted as `dropped{disk_failed}`; what was on disk is delivered.
    """
    with _small_disk(rig) as make_room:
        rig.proxy.fault = answer(503)
        assert rig.end(rig.start(bytes=4000)) == 0
        rig.proxy.fault = PASS
        make_room()
        found = rig.judge(lost=["disk_failed"])
        assert found.delivered
        assert found.missing


@scenario
def full_disk_for_a_while(rig: Rig) -> None:
    """The same, but the outage ends before the process does, and no room is made

    All delivered, once.
    """
    with _small_disk(rig):
        _through(rig, answer(503), answer(503), bytes=4000, spans=600)
        rig.judge()


@scenario
def folder_removed(rig: Rig) -> None:
    """Somebody deletes the spool folder during an outage

    What was not on disk yet is delivered. What was, SQLite goes on holding; it goes with the process.
    """
    process = rig.start()
    rig.proxy.fault = answer(503)
    rig.wait_for_spans(100)
    shutil.rmtree(rig.spool, ignore_errors=True)
    rig.proxy.fault = PASS
    assert rig.end(process) == 0
    rig.judge(lost=["spool_damaged", "disk_failed"])


@scenario
def clock_forward(rig: Rig) -> None:
    """The clock jumps a month ahead during an outage

    All delivered, once; nothing is taken for too old.
    """
    process = rig.start(at={"100": "clock 2678400"})
    rig.play(answer(503), answer(503))
    assert rig.end(process) == 0
    rig.judge()


@scenario
def clock_back(rig: Rig) -> None:
    """The clock jumps back by ten years during an outage that lasts to the end

    All delivered, once, by a process whose clock is right.
    """
    rig.proxy.fault = answer(503)
    assert rig.end(rig.start(at={"50": "clock -315360000"})) == 0
    rig.proxy.fault = PASS
    rig.judge()


# --- with a Collector and the bridge ----------------------------------------------------------------
@scenario
def bridge_in_the_way(rig: Rig) -> None:
    """Answers get lost on the way from the bridge, and the app is killed

    Langfuse gets every span once; the loss is counted.
    """
    process = rig.start(spans=20_000, rate=300, settings={"spool_checkpoint": 0.1})
    rig.play(PASS, Fault("lost_answer"), Fault("truncate"))
    rig.proxy.fault = Fault("lost_answer")
    rig.wait_for_spans(300)
    rig.end(process, signal.SIGKILL)
    rig.proxy.fault = PASS
    rig.judge(lost=["killed"], window=2.0 + _BUSY)


@scenario
def collector_killed(rig: Rig) -> None:
    """The Collector is killed in full flow and started anew, while Langfuse answers 503 now and then

    All delivered; what was under way perhaps twice.
    """
    collector = rig.collector
    collector.backend.answer = lambda path: rig.random.choice([200, 503])
    process = rig.start(spans=600)
    rig.wait_for_spans(rig.random.randint(100, 400))
    collector.stop(signal.SIGKILL)
    collector.start()
    collector.backend.answer = lambda path: 200
    assert rig.end(process) == 0
    rig.succeed()
    wait_for(lambda: rig.verdict().missing == 0, "all spans behind the Collector", 60)
    rig.judge(repeats=True)


@scenario
def collector_full(rig: Rig) -> None:
    """The Collector's queue is full, as Langfuse is away; then it is back

    The Collector says 503, so spans wait in the app's spool. All delivered, once.
    """
    collector = rig.collector
    collector.stop()
    collector.extra = {"OTELCOL_QUEUE_BYTES": "400000"}
    collector.start()
    collector.backend.answer = lambda path: 503
    process = rig.start(spans=400, bytes=2000, idle=True, settings={"max_batch_size": 64})
    rig.said(process, "idle")
    wait_for(lambda: any("spans-" in one.name for one in rig.spool.glob("*/*.db")), "the spool to be used")
    collector.backend.answer = lambda path: 200
    wait_for(lambda: rig.verdict().missing == 0, "all spans behind the Collector", 60)
    rig.end(process, signal.SIGTERM)
    rig.judge()


@scenario
def all_at_once(rig: Rig) -> None:
    """App and Collector are killed, the network between them and Langfuse fail

    Delivered, or counted as `dropped{killed}`.
    """
    collector = rig.collector
    collector.backend.answer = lambda path: rig.random.choice([200, 503, 429])
    process = rig.start(spans=20_000, settings={"otlp_timeout": 0.5, "spool_checkpoint": 0.1})
    rig.play(rig.random.choice([None, HANG, Fault("cut")]), seconds=0.3)
    collector.stop(signal.SIGKILL)
    rig.wait_for_spans(rig.random.randint(200, 400))
    rig.end(process, signal.SIGKILL)
    collector.start()
    collector.backend.answer = lambda path: 200
    rig.succeed()
    wait_for(
        lambda: rig.verdict().missing <= sum(rig.verdict().counted.values()), "what the Collector has", 60
    )
    rig.judge(lost=["killed"], repeats=True)


NEEDS_COLLECTOR: Final = ("collector_killed", "collector_full", "all_at_once")
NEEDS_BRIDGE: Final = ("bridge_in_the_way",)
