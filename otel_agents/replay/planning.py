"""What a replay will do: which recorded run or call, with what, and by whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from otel_agents.cli_agents.recording import CLI_AGENT
from otel_agents.langfuse import conversation
from otel_agents.langfuse.conversation import Conversation
from otel_agents.langfuse.recorded import Recorded, attribute
from otel_agents.langfuse.rows import Observation
from otel_agents.privacy import REDACTED
from otel_agents.replay import model_api, runners
from otel_agents.replay.command import arguments, command_runner
from otel_agents.replay.errors import ReplayError
from otel_agents.replay.runners import Run
from otel_agents.semconv import (
    CAPTURE_TRUNCATED,
    OPENAI_API_TYPE,
    PROVIDER_NAME,
    REQUEST_MODEL,
    TOOL_DEFINITIONS,
)

_NOT_CAPTURED = (
    "the input was not captured; record with OTEL_AGENTS_CAPTURE_CONTENT=messages (or all), then replay a "
    "newer trace"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for, as options of the command.

    Attributes:
        agent: run by this agent's runner.
        model: another model.
        provider: another provider.
        command: run by this command line.
        observation: replay the model call with this id.
    """

    agent: str | None = None
    model: str | None = None
    provider: str | None = None
    command: str | None = None
    observation: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A replay.

    Attributes:
        how: by a ``runner``, or by the ``model`` API.
        source: the run or call that is replayed, and compared with.
        agent: whose run the new trace is.
        prompt: what the runner is given; of a model call, what the user said last.
        run: the runner, for ``runner``.
        command: its words, when it is a command line.
        model: that is asked for; None leaves it to the runner.
        provider: of the model, for ``model``.
        api: which API, for ``model``.
        request: the SDK's arguments, for ``model``.
        notes: what makes the replay differ from what was recorded.
    """

    how: Literal["runner", "model"]
    recorded: Recorded
    source: Observation
    agent: str
    prompt: str
    run: Run | None = None
    command: list[str] | None = None
    model: str | None = None
    provider: str | None = None
    api: str | None = None
    request: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def make(recorded: Recorded, wanted: Wanted) -> Plan:
    """Chooses what to replay and how.

    A command line or a named agent is given the task. Without them the task goes to the runner of the
    agent that had it, if there is one; else its last model call is made again, because that is the one
    with the whole conversation in it.

    Raises:
        ReplayError: the trace has nothing to replay, or nothing to replay it with.
    """
    top = recorded.top()
    if top is None:
        raise ReplayError(f"trace {recorded.trace_id} holds only events; there is nothing to replay")
    agent = recorded.agent(top)
    if wanted.observation is None:
        if wanted.command is not None:
            run = command_runner(wanted.command)
            return _for_runner(recorded, top, wanted.agent or _program(wanted.command), run, wanted)
        if wanted.agent is not None:
            named = runners.get(wanted.agent)
            if named is not None:
                return _for_runner(recorded, top, wanted.agent, named, wanted)
            if wanted.model is None:
                raise _no_runner(wanted.agent)
        elif wanted.provider is None and agent is not None:
            own = runners.registered(agent)
            if own is None and top.own(CLI_AGENT) is not None:  # not just an agent of the same name
                own = runners.command_line(agent)
            if own is not None:
                return _for_runner(recorded, top, agent, own, wanted)
    return _for_model(recorded, top, wanted, wanted.agent or agent or "replay")


def _for_runner(recorded: Recorded, top: Observation, agent: str, run: Run, wanted: Wanted) -> Plan:
    given = conversation.parse(top.input)
    if given is None:  # the agent's own input was not captured; its first model call has it, if any
        given = next((said for one in recorded.calls(top) if (said := conversation.parse(one.input))), None)
    if given is None or not given.prompt:
        raise ReplayError(f"trace {recorded.trace_id}: {_NOT_CAPTURED}")
    words = arguments(wanted.command, given.prompt, wanted.model) if wanted.command is not None else None
    return Plan(
        "runner",
        recorded,
        top,
        agent,
        given.prompt,
        run=run,
        command=words,
        model=wanted.model,
        notes=_notes(top, given),
    )


def _for_model(recorded: Recorded, top: Observation, wanted: Wanted, agent: str) -> Plan:
    call = _call(recorded, top, wanted.observation)
    said = conversation.parse(call.input)
    if said is None:
        raise ReplayError(f"trace {recorded.trace_id}, {call.name}: {_NOT_CAPTURED}")
    if not said.tools and (tools := conversation.tools_of(attribute(call, TOOL_DEFINITIONS))):
        said = Conversation(said.messages, tools)
    # The model that was asked for, not the dated one that answered.
    model = wanted.model or attribute(call, REQUEST_MODEL) or call.model
    if model is None:
        raise ReplayError(f"{call.name} names no model; give one by --model")
    recorded_provider = attribute(call, PROVIDER_NAME)
    provider = wanted.provider or _provider_of(wanted.model) or recorded_provider
    if provider is None:
        raise ReplayError(f"{call.name} names no provider; give one by --provider")
    api_type = attribute(call, OPENAI_API_TYPE) if provider == recorded_provider else None
    api = model_api.api_of(str(provider), api_type)
    request = model_api.request(api, str(model), said, recorded.parameters.get(call.id, {}), str(provider))
    return Plan(
        "model",
        recorded,
        call,
        agent,
        said.prompt,
        model=str(model),
        provider=str(provider),
        api=api,
        request=request,
        notes=(*_notes(call, said), *_notes_on_tools(call, said)),
    )


def _call(recorded: Recorded, top: Observation, wanted: str | None) -> Observation:
    """The model call that was named, else the last one of the run."""
    if wanted is not None:
        named = recorded.get(wanted)
        if named is None:
            raise ReplayError(f"trace {recorded.trace_id} has no observation {wanted}; see it in Langfuse")
        if named.type != "GENERATION":
            raise ReplayError(
                f"observation {wanted} is no model call ({named.type.lower()}); name one that is"
            )
        return named
    calls = [one for one in recorded.calls(top) if one.type == "GENERATION"]
    if not calls:
        agent = recorded.agent(top)
        if agent in runners.names():
            what = f"; give --agent {agent} to have that agent's runner do it, or --command"
        else:
            whose = f" of {agent!r}" if agent else ""
            what = f", and no runner{whose} is registered; give --agent or --command"
        raise ReplayError(f"trace {recorded.trace_id} has no model call{what}")
    return max(calls, key=lambda one: (one.input is not None, one.start))


def _notes(source: Observation, said: Conversation) -> tuple[str, ...]:
    notes = []
    if str(attribute(source, CAPTURE_TRUNCATED)).lower() == "true":
        notes.append("what was recorded was cut (OTEL_AGENTS_MAX_VALUE_CHARS), so the replay gets less")
    if any(REDACTED in one.text for one in said.messages):
        notes.append(f"parts of the recorded input were redacted, so the replay gets {REDACTED}")
    return tuple(notes)


def _notes_on_tools(call: Observation, said: Conversation) -> tuple[str, ...]:
    answer = conversation.parse(call.output, "assistant")
    messages = [*said.messages, *(answer.messages if answer is not None else ())]
    called = any(part.get("type") == "tool_call" for one in messages for part in one.parts)
    if called and not said.tools:
        return ("the tools that were offered were not recorded, so the replay offers none",)
    return ()


def _provider_of(model: str | None) -> str | None:
    """Whose a model is that was asked for, where its name says so."""
    if model is None:
        return None
    if model.startswith("claude"):
        return "anthropic"
    return "openai" if model.startswith(("gpt-", "chatgpt-", "o1", "o3", "o4")) else None


def _program(command: str) -> str:
    words = command.split()
    return words[0].rpartition("/")[2] if words else "command"


def _no_runner(agent: str) -> ReplayError:
    known = ", ".join(runners.names()) or "none"
    return ReplayError(
        f"no runner for {agent!r} (registered: {known}); give --command such as '{agent} -p {{prompt}}', or "
        "--model to ask a model instead"
    )
