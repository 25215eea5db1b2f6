"""What a kill takes with it is counted by the next process: exactly, or too much, never too little."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from fault_proxy import Fault, FaultProxy
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from outlets import MakeOutlet, Outlet, span
from parts import wait_for
from stub_backend import StubBackend

from otel_agents.export import tally
from otel_agents.export.pipeline import SpanPipeline
from otel_agents.export.tally import Tally

APP = """
import os, signal, sys, time
import otel_agents
otel_agents.configure(
    otlp_endpoint=sys.argv[1], schedule_delay=0.05, metrics_exporter="none", logs_exporter="none",
    spool_mode=sys.argv[2], spool_checkpoint=float(sys.argv[3])
)
"""


#: The same with metrics that will tell of what is lost, though none go out here.
TELLING = APP.replace("configure(", "tally.will_be_told() or otel_agents.configure(", 1).replace(
    "import otel_agents\notel_agents.", "import otel_agents\nfrom otel_agents.export import tally\n"
)


def run(
    app: str, url: str, root: Path, mode: str = "spill", checkpoint: float = 60.0, before: str = APP
) -> str:
    done = subprocess.run(
        [sys.executable, "-u", "-c", before + dedent(app), url, mode, str(checkpoint)],
        env={**os.environ, "OTEL_AGENTS_SPOOL_DIR": str(root), "OTEL_AGENTS_DOTENV": "off"},
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    return done.stdout


def files(root: Path, ending: str) -> list[Path]:
    return sorted(root.glob(f"*/*.{ending}"))


def of_app(outlet: MakeOutlet, proxy: FaultProxy, **rest: Any) -> Outlet:
    """An outlet of the destination that the app has."""
    return outlet(address=f"{proxy.url}/v1/traces", **rest)


ENDED = "for number in range(7):\n    with otel_agents.agent(f'a{number}'): pass\n"
KILL = "os.kill(os.getpid(), signal.SIGKILL)"


@pytest.mark.parametrize("mode", ["memory", "spill"])
def test_what_was_in_memory_alone_is_counted_by_the_next(
    outlet: MakeOutlet, proxy: FaultProxy, root: Path, mode: str
) -> None:
    proxy.fault = Fault("hang")
    run(ENDED + KILL, proxy.url, root, mode)
    assert files(root, "db") == []
    [left] = files(root, "lock")
    next_one = of_app(outlet, proxy, mode=mode)
    next_one.outbox.start_for_leftovers()
    wait_for(lambda: next_one.counts == {"dropped killed": 7, "of others": 7}, "the count")
    assert not left.exists()
    again = of_app(outlet, proxy, mode=mode)
    again.outbox.start()
    time.sleep(0.2)
    assert not again.counts, "once is enough"


def lost_by_metrics(backend: StubBackend) -> dict[str, int]:
    """What Prometheus would know: spans by the reason for which they were lost."""
    found: dict[str, int] = {}
    for request in backend.requests:
        if request.path.endswith("/v1/metrics"):
            for resource in ExportMetricsServiceRequest.FromString(request.body).resource_metrics:
                for metric in (one for scope in resource.scope_metrics for one in scope.metrics):
                    if metric.name == "otel_agents.export.spans":
                        for point in metric.sum.data_points:
                            labels = {one.key: one.value.string_value for one in point.attributes}
                            if labels["outcome"] == "dropped":
                                found[labels["reason"]] = point.as_int or int(point.as_double)
    return found


def test_the_count_is_in_the_next_ones_metrics(backend: StubBackend, proxy: FaultProxy, root: Path) -> None:
    proxy.fault = Fault("hang")
    run(ENDED + KILL, proxy.url, root)
    proxy.fault = Fault()
    code = """
import sys, time, otel_agents
otel_agents.configure(otlp_endpoint=sys.argv[1], logs_exporter="none", metric_interval=0.2)
time.sleep(60)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code, proxy.url],
        env={**os.environ, "OTEL_AGENTS_SPOOL_DIR": str(root), "OTEL_AGENTS_DOTENV": "off"},
    )
    try:
        wait_for(lambda: lost_by_metrics(backend) == {"killed": 7}, "the metric")
    finally:
        process.kill()
        process.wait()


def test_what_was_on_disk_is_sent_and_the_rest_counted(
    outlet: MakeOutlet, backend: StubBackend, proxy: FaultProxy, root: Path
) -> None:
    proxy.fault = Fault("hang")
    app = (
        ENDED
        + """
    from otel_agents import runtime
    pipeline = runtime.current().pipeline
    while pipeline._waiting(): time.sleep(0.01)
    pipeline._outbox.save()
    with otel_agents.agent("after"): pass
    """.replace("\n    ", "\n")
        + KILL
    )
    run(app, proxy.url, root)
    assert len(files(root, "db")) == 1
    proxy.fault = Fault()
    next_one = of_app(outlet, proxy)
    next_one.outbox.start_for_leftovers()
    wait_for(lambda: next_one.counts == {"delivered": 7, "dropped killed": 1, "of others": 8}, "their fates")
    assert len(backend.spans()) == 7


def test_an_orderly_end_leaves_nothing_to_count(outlet: MakeOutlet, proxy: FaultProxy, root: Path) -> None:
    proxy.refuse()
    run(ENDED, proxy.url, root)
    [left] = files(root, "lock")
    assert tally.open_fates(os.open(left, os.O_RDONLY)) == 7, "all of them are in the file"
    proxy.accept()
    next_one = of_app(outlet, proxy)
    next_one.outbox.start_for_leftovers()
    wait_for(lambda: next_one.counts["delivered"] == 7, "them to be sent")
    assert next_one.counts == {"delivered": 7, "of others": 7}
    wait_for(lambda: not any(root.glob("*/*.lock")), "the lock to go")


def test_delivered_dropped_and_filtered_are_settled(root: Path, outlet: MakeOutlet) -> None:
    seen = outlet()
    pipeline = SpanPipeline(
        lambda note: seen.outbox, inherited=lambda _: {}, edge=lambda s: None if s.name == "no" else s
    )
    pipeline._encode = lambda spans: []
    for name in ("yes", "no", "yes"):
        pipeline.on_end(span(name))
    pipeline._note("delivered", 2, None)
    wait_for(lambda: seen.outbox.tally._settled == 3, "the filtered one")
    assert seen.outbox.tally._ended == 3
    pipeline.close(0.1)
    assert files(root, "lock") == []


def test_a_child_has_a_tally_of_its_own(outlet: MakeOutlet, proxy: FaultProxy, root: Path) -> None:
    proxy.fault = Fault("hang")
    app = f"""
    for number in range(3):
        with otel_agents.agent("parent"): pass
    if os.fork() == 0:
        with otel_agents.agent("child"): pass
        {KILL}
    os.wait()
    {KILL}
    """
    run(app, proxy.url, root)
    next_one = of_app(outlet, proxy)
    next_one.outbox.start_for_leftovers()
    wait_for(lambda: next_one.counts["dropped killed"] == 4, "both")


def test_a_living_process_is_not_counted(outlet: MakeOutlet, proxy: FaultProxy, root: Path) -> None:
    proxy.fault = Fault("hang")
    app = ENDED + "print('ready')\ntime.sleep(60)"
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", APP + app, proxy.url, "spill", "60"],
        env={**os.environ, "OTEL_AGENTS_SPOOL_DIR": str(root), "OTEL_AGENTS_DOTENV": "off"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        folder = of_app(outlet, proxy).destination.folder(root)
        assert tally.collect(folder) == 0
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert tally.collect(folder) == 7
        assert tally.collect(folder) == 0
    finally:
        process.kill()
        process.communicate()


def test_a_damaged_file_is_counted_by_its_tally(outlet: MakeOutlet, proxy: FaultProxy, root: Path) -> None:
    proxy.refuse()
    run(ENDED, proxy.url, root)
    [left] = files(root, "db")
    left.write_bytes(b"this is no database" * 100)
    next_one = of_app(outlet, proxy)
    next_one.outbox.start_for_leftovers()
    wait_for(lambda: next_one.counts["dropped spool_damaged"] == 7, "the count")


def test_without_a_folder_spans_are_just_not_counted(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    one = Tally(tmp_path / "file" / "x")
    one.open()
    one.end()
    one.settle(1)
    one.close(0)
    assert one.path is None


@pytest.mark.parametrize("mode", ["memory", "spill"])
def test_a_count_is_not_lost_with_the_process_that_found_it(
    outlet: MakeOutlet, proxy: FaultProxy, root: Path, mode: str
) -> None:
    """Until it has told of it by its metrics; what those held then is told for good."""
    proxy.fault = Fault("hang")
    run(ENDED + KILL, proxy.url, root, mode)
    find = """
    with otel_agents.agent("own"): pass
    while not (living := [one for one in tally._living if one._found == 7]): time.sleep(0.01)
    """
    run(find + KILL, proxy.url, root, mode, before=TELLING)
    told = "tally.told()\n    tally.told()\n    assert living[0]._found == 0\n    "
    run(find.replace("== 7", "== 8") + told + KILL, proxy.url, root, mode, before=TELLING)
    next_one = of_app(outlet, proxy, mode=mode)
    next_one.outbox.start_for_leftovers()
    wait_for(lambda: next_one.counts == {"dropped killed": 1, "of others": 1}, "the last one's own")


def test_metrics_that_have_gone_out_tell_of_what_was_found(
    proxy: FaultProxy, backend: StubBackend, root: Path, outlet: MakeOutlet
) -> None:
    proxy.fault = Fault("hang")
    run(ENDED + KILL, proxy.url, root)
    proxy.fault = Fault("pass")
    app = """
    from otel_agents import runtime
    from otel_agents.export import tally
    while not any(one._found for one in tally._living): time.sleep(0.01)
    for _ in range(2):
        otel_agents.flush()
    """
    script = APP.replace('metrics_exporter="none", ', "")
    done = subprocess.run(
        [sys.executable, "-u", "-c", script + dedent(app) + KILL, proxy.url, "spill", "60"],
        env={**os.environ, "OTEL_AGENTS_SPOOL_DIR": str(root), "OTEL_AGENTS_DOTENV": "off"},
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert lost_by_metrics(backend) == {"killed": 7}
    assert tally.collect(of_app(outlet, proxy).destination.folder(root)) == 0


def test_a_run_that_is_told_to_be_abandoned_counts_as_ended(
    outlet: MakeOutlet, proxy: FaultProxy, root: Path
) -> None:
    proxy.fault = Fault("hang")
    app = """
    from otel_agents import runtime
    run = otel_agents.agent("open")
    run.__enter__()
    runtime.current().pipeline.abandon(True)
    """
    run(ENDED + dedent(app) + KILL, proxy.url, root)
    next_one = of_app(outlet, proxy)
    next_one.outbox.start_for_leftovers()
    wait_for(lambda: next_one.counts == {"dropped killed": 8, "of others": 8}, "the count")
