"""A run that is suspended in one process and resumed in another is one run."""

from __future__ import annotations

from typing import Any

from life_scripts import Start, counts, ended, until
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from parts import wait_for
from stub_backend import StubBackend

FIRST = """
from otel_agents import resume, suspend, tool
otel_agents.configure(heartbeat=0.2)
class Paused(Exception):
    pass
try:
    with otel_agents.context(session="s-1"), otel_agents.workflow("order"):
        with agent("approver") as run:
            run.update(input="may I?")
            with tool("ask"):
                pass
            time.sleep(0.6)
            token = suspend()
            raise Paused
except Paused:
    pass
print(token, flush=True)
"""
SECOND = """
from otel_agents import resume, suspend, tool
otel_agents.configure()
time.sleep(1.0)
with resume(sys.argv[1]) as run:
    with tool("act"):
        pass
    with agent("helper"):
        pass
    run.update(output="done")
assert not otel_agents.suspend()  # nothing runs any more
"""


def attributes(span: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


def test_in_another_process(start: Start, backend: StubBackend) -> None:
    code, token = ended(start(FIRST))
    assert code == 0, token
    assert [span.name for span in backend.spans()] == ["execute_tool ask"]
    assert counts(backend, "gen_ai.invoke_agent.duration") == {}
    code, output = ended(start(SECOND, token.strip()))
    assert code == 0, output
    spans = {span.name: span for span in backend.spans()}
    assert len(spans) == len(backend.spans()) == 5
    order, approver = spans["invoke_workflow order"], spans["invoke_agent approver"]
    assert {span.trace_id for span in spans.values()} == {order.trace_id}
    assert order.parent_span_id == b""
    assert approver.parent_span_id == order.span_id
    for inside in ("execute_tool ask", "execute_tool act", "invoke_agent helper"):
        assert spans[inside].parent_span_id == approver.span_id, inside
        assert attributes(spans[inside])["session.id"] == "s-1"
    for one in (order, approver):
        assert one.status.code == Status.STATUS_CODE_UNSET
        assert not attributes(one).keys() & {"otel_agents.suspended", "otel_agents.app_root", "error.type"}
    known = attributes(approver)
    assert "may I?" in known["gen_ai.input.messages"]
    assert "done" in known["gen_ai.output.messages"]
    wall = (approver.end_time_unix_nano - approver.start_time_unix_nano) / 1e9
    suspended = known["otel_agents.suspended.seconds"]
    assert wall > suspended + 0.6 > 1.6
    # Once, with the time that it worked.
    durations = counts(backend, "gen_ai.invoke_agent.duration")
    assert {name: count for name, (count, _) in durations.items()} == {"order": 1, "approver": 1, "helper": 1}
    assert 0.6 <= durations["approver"][1] < wall - suspended + 0.2
    assert counts(backend, "gen_ai.invoke_agent.tool_calls")["approver"] == (1, 2)
    assert counts(backend, "otel_agents.task.count") == {"order": (1, 1)}


def test_again_and_again(start: Start, backend: StubBackend) -> None:
    script = """
from otel_agents import resume, suspend
otel_agents.configure()
with resume(sys.argv[1]):
    token = suspend()
print(token, flush=True)
"""
    token = ended(start(FIRST))[1].strip()
    for _ in range(2):
        code, output = ended(start(script, token))
        assert code == 0, output
        token = output.strip()
    assert ended(start(SECOND, token))[0] == 0
    names = [span.name for span in backend.spans()]
    assert sorted(names) == sorted(set(names))
    [approver] = [span for span in backend.spans() if span.name == "invoke_agent approver"]
    assert attributes(approver)["otel_agents.suspended.seconds"] > 1.0
    assert counts(backend, "gen_ai.invoke_agent.duration")["approver"][0] == 1


def test_a_resumed_run_that_fails(start: Start, backend: StubBackend) -> None:
    token = ended(start(FIRST))[1].strip()
    ended(start("otel_agents.configure()\nwith otel_agents.resume(sys.argv[1]):\n    1 / 0", token))
    for name in ("invoke_workflow order", "invoke_agent approver"):
        [span] = [span for span in backend.spans() if span.name == name]
        assert attributes(span)["error.type"] == "ZeroDivisionError"


def test_a_crash_while_it_is_suspended_or_after(start: Start, backend: StubBackend) -> None:
    """Suspended, it is nobody's; resumed, it is the process's that resumed it."""
    process = start(FIRST + "\nprint('ready', flush=True)\ntime.sleep(60)")
    assert process.stdout is not None
    token = process.stdout.readline().strip()
    until(process, "ready")
    process.kill()
    process = start(
        """
otel_agents.configure(heartbeat=0.2)
with otel_agents.resume(sys.argv[1]):
    time.sleep(0.8)
    print("ready", flush=True)
    time.sleep(60)
""",
        token,
    )
    until(process, "ready")
    assert not [span.name for span in backend.spans() if "invoke" in span.name]
    process.kill()
    ended(process)
    process = start("otel_agents.configure()\nprint('ready', flush=True)\ntime.sleep(60)")
    until(process, "ready")
    wait_for(lambda: len(backend.spans()) >= 2, "what was abandoned")
    told = {
        span.name: attributes(span).get("otel_agents.abandoned")
        for span in backend.spans()
        if "invoke" in span.name
    }
    assert told == {"invoke_workflow order": True, "invoke_agent approver": True}


def test_an_execution_of_the_observer(start: Start, backend: StubBackend) -> None:
    first = """
otel_agents.configure()
observer = otel_agents.get_langfuse_observer()
with observer.trace_agent_execution("t-1", "coder", "do it", {"task_type": "fix"}):
    token = otel_agents.suspend()
print(token, flush=True)
"""
    code, token = ended(start(first))
    assert code == 0
    assert backend.spans() == []
    assert counts(backend, "otel_agents.task.count") == {}
    ended(start("otel_agents.configure()\nwith otel_agents.resume(sys.argv[1]):\n    pass", token.strip()))
    [span] = backend.spans()
    assert attributes(span)["otel_agents.metadata.task_id"] == "t-1"
    assert attributes(span)["otel_agents.metadata.status"] == "success"
    assert counts(backend, "otel_agents.task.count") == {"coder": (1, 1)}


def test_a_resumed_execution_is_one(start: Start, backend: StubBackend) -> None:
    """What resume() gives takes what trace_agent_execution's does; what was told before is remembered."""
    first = """
otel_agents.configure()
observer = otel_agents.get_langfuse_observer()
with observer.trace_agent_execution("t-1", "coder", "do it") as trace:
    trace.update(cost=0.25, metadata={"model": "gpt-4o-mini", "early": 1})
    token = otel_agents.suspend()
print(token, flush=True)
"""
    code, token = ended(start(first))
    assert code == 0
    second = """
otel_agents.configure()
with otel_agents.resume(sys.argv[1]) as trace:
    assert (trace.task_id, trace.agent) == ("t-1", "coder")
    trace.update(output="done", tokens={"input": 7, "output": 2}, metadata={"late": 2})
    trace.set_error("not good enough")
print("fine")
"""
    code, output = ended(start(second, token.strip()))
    assert output == "fine\n"
    by_name = {span.name: attributes(span) for span in backend.spans()}
    run, call = by_name["invoke_agent coder"], by_name["chat gpt-4o-mini"]
    assert (run["otel_agents.metadata.early"], run["otel_agents.metadata.late"]) == (1, 2)
    assert run["otel_agents.metadata.status"] == "error"
    assert run["otel_agents.reported.tokens"] == 9
    assert (call["gen_ai.usage.input_tokens"], call["gen_ai.usage.cost"]) == (7, 0.25)
    assert len(backend.spans()) == 2
    assert counts(backend, "otel_agents.task.count") == {"coder": (1, 1)}


def test_tokens_that_are_none(start: Start, backend: StubBackend) -> None:
    script = """
otel_agents.configure()
for token in ("", "oa1.", "oa1.eJw", "oa1.!!!", "oa9.abc", None, 7):
    with otel_agents.resume(token) as run:
        run.update(output="x")
with agent("after"):
    pass
"""
    code, output = ended(start(script))
    assert code == 0, output
    assert output.count("nothing is resumed") == 7
    assert [span.name for span in backend.spans()] == ["invoke_agent after"]
