"""``get_langfuse_observer()``: one object that an orchestrator tells everything."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from otel_agents import runtime, setup
from otel_agents.observer import tracks
from otel_agents.observer.executions import Execution
from otel_agents.observer.state import enabled
from otel_agents.tracing import spans
from otel_agents.tracing.runs import UNSET

if TYPE_CHECKING:
    from otel_agents.export.result import FlushResult
    from otel_agents.observer.client import LangfuseClient
    from otel_agents.observer.prompts import LinkedPrompt

logger = logging.getLogger(__name__)

_observer: LangfuseObserver | None = None
_lock = threading.Lock()
_failed = ""


def get_langfuse_observer() -> LangfuseObserver:
    """The process's observer. Configures the package from the environment and ``.env`` if nobody has yet.

    Never raises: a setting that cannot be used is logged, and the observer is then not ``enabled``.
    """
    global _observer
    if not setup.configured() and runtime.current().pipeline is None:
        _configure()
    with _lock:
        if _observer is None:
            _observer = LangfuseObserver()
        return _observer


def _configure() -> None:
    global _failed
    from otel_agents.config import ConfigError

    try:
        setup.configure()
        _failed = ""
    except ConfigError as error:
        if str(error) != _failed:
            logger.error("otel-agents: nothing is recorded: %s", error)
        _failed = str(error)
    except Exception:
        logger.exception("otel-agents: nothing is recorded")


class LangfuseObserver:
    """What an orchestrator says of its tasks; see :func:`get_langfuse_observer`.

    No method raises, waits for the network (but for those that read: prompts, ``langfuse``) or costs
    anything to speak of while nothing is ``enabled``. Arguments that make no sense are left out, with a
    warning that is said once.
    """

    def __init__(self) -> None:
        self._client: LangfuseClient | None = None
        self._client_lock = threading.Lock()

    @property
    def enabled(self) -> bool:
        """Whether what is recorded goes anywhere: to a Collector, or to Langfuse."""
        return enabled()

    @property
    def langfuse(self) -> LangfuseClient:
        """The official client for the same settings, with ``set_budget`` and ``get_traces`` beside."""
        from otel_agents.observer.client import LangfuseClient

        settings = runtime.current().settings
        with self._client_lock:
            if self._client is None or not self._client.serves(settings):
                self._client = LangfuseClient(settings)
            return self._client

    # --- tasks -----------------------------------------------------------------------------------

    def trace_agent_execution(
        self,
        task_id: object = None,
        agent: object = None,
        prompt: object = UNSET,
        metadata: Mapping[str, object] | None = None,
        *,
        session: object = None,
        user: object = None,
        tags: object = None,
        experiment: object = None,
        variant: object = None,
        **more: object,
    ) -> Execution:
        """An execution of a task, for ``with`` and ``async with``; what is inside belongs to it.

        Without a span around it, its trace has the id that follows from the task's id, so that late
        events find it from any process; an execution inside another is a step of that.

        Args:
            task_id: the task's id; several executions of one task are attempts at it, in one trace.
            agent: who works on it.
            prompt: what it is asked; anything.
            metadata: anything; what is no scalar becomes JSON. ``task_id``, ``task_type``, ``project_id``,
                ``experiment``, ``variant``, ``session_id`` and ``user_id`` also go to every span inside;
                ``model`` and ``provider`` say whose reported tokens are.
            session: id of a conversation.
            user: id of the user that the work is for.
            tags: one tag or several.
            experiment: a configured name; see :func:`otel_agents.experiment`.
            variant: of the experiment.
            more: further metadata.
        """
        try:
            made = Execution(
                task_id,
                agent,
                prompt,
                metadata,
                session=session,
                user=user,
                tags=tags,
                experiment=experiment,
                variant=variant,
            )
            if more:
                made.update(metadata=more)
            return made
        except Exception:
            spans.note("make an execution")
            return Execution()

    def track_agent_selection(
        self,
        task_id: object = None,
        selected_agent: object = None,
        reason: object = None,
        all_rewards: Mapping[str, object] | None = None,
        **details: object,
    ) -> None:
        """Says which agent was chosen for a task, and why.

        Args:
            all_rewards: what each agent was expected to be worth.
            details: further items of the event's body.
        """
        tracks.agent_selection(task_id, selected_agent, reason, all_rewards, details)

    def track_quality_assessment(
        self,
        task_id: object = None,
        agent: object = None,
        score: object = None,
        *,
        comment: object = None,
        **details: object,
    ) -> None:
        """Says how good the answer was: an event, and the Langfuse score ``quality`` of the task.

        Args:
            score: from 0 to 1. Others are left out, with a warning; the event keeps them.
            comment: why.
            details: further items of the event's body.
        """
        tracks.quality_assessment(task_id, agent, score, comment, details)

    def track_agent_switch(
        self,
        task_id: object = None,
        from_agent: object = None,
        to_agent: object = None,
        reason: object = None,
        quality_before: object = None,
        quality_after: object = None,
        **details: object,
    ) -> None:
        """Says that a task was handed from one agent to another; marks the task as ``agent_switched``.

        Args:
            quality_before: of the first agent's answer.
            quality_after: of the second one's, when it is known.
            details: further items of the event's body.
        """
        tracks.agent_switch(task_id, from_agent, to_agent, reason, quality_before, quality_after, details)

    def track_circuit_breaker_event(
        self,
        agent: object = None,
        state: object = None,
        failure_count: object = None,
        *,
        task_id: object = None,
        **details: object,
    ) -> None:
        """Says that an agent's circuit breaker is ``closed``, ``half_open`` or ``open`` now.

        Args:
            failure_count: failures in a row that led to it.
            task_id: of the task at hand, if there is one.
            details: further items of the event's body.
        """
        tracks.circuit_breaker(agent, state, failure_count, task_id, details)

    def track_attempt(
        self,
        task_id: object = None,
        agent: object = None,
        number: object = None,
        status: object = "error",
        error: object = None,
        **details: object,
    ) -> None:
        """Says how one attempt at a task went. A failed task shows those before.

        Args:
            number: from 1; by default one more than those told.
            status: ``success`` or ``error``.
            error: an exception or a text.
            details: further items of the event's body.
        """
        tracks.attempt(task_id, agent, number, status, error, details)

    def track_token_reduction(
        self,
        original: object = None,
        actual: object = None,
        *,
        task_id: object = None,
        agent: object = None,
        **details: object,
    ) -> None:
        """Says how many tokens were sent in place of how many: compression ratio and reduction.

        Args:
            original: tokens without compression; more than 0.
            actual: tokens with it.
            details: further items of the event's body.
        """
        tracks.token_reduction(original, actual, task_id, agent, details)

    # --- prompts -----------------------------------------------------------------------------------

    def prompt(
        self,
        name: str,
        *,
        label: str | None = None,
        version: int | None = None,
        fallback: Any = None,
        type: str | None = None,
    ) -> LinkedPrompt:
        """A prompt of Langfuse's, by the SDK's cache; model calls made with it are linked to its version.

        Inside a run, those made from now on in that run; else those inside ``with observer.prompt(...)``.
        The first use of a prompt waits for Langfuse (at most some seconds); later ones take it from the
        cache. When it is not there, or Langfuse does not answer, the fallback is used and counted, and
        nothing is linked.

        Args:
            label: such as ``production``, the default without a version.
            version: a certain one, instead of a label.
            fallback: text, or messages; without one, an empty text.
            type: ``text`` or ``chat`` of the fallback; by default what it is.
        """
        from otel_agents.observer.prompts import get_prompt

        return get_prompt(self, name, label, version, fallback, type)

    # --- the end -----------------------------------------------------------------------------------

    def flush(self, timeout: float = 10.0) -> FlushResult:
        """Sends what is in memory and says what became of it; see :func:`otel_agents.flush`."""
        from otel_agents.export.result import FlushResult

        try:
            return setup.flush(timeout)
        except Exception:
            spans.note("flush")
            return FlushResult()

    def shutdown(self, timeout: float = 5.0) -> FlushResult:
        """Flushes and stops; see :func:`otel_agents.shutdown`. :func:`get_langfuse_observer` starts anew."""
        from otel_agents.export.result import FlushResult

        try:
            with self._client_lock:
                client, self._client = self._client, None
            if client is not None:
                client.close()
            return setup.shutdown(timeout)
        except Exception:
            spans.note("shut down")
            return FlushResult()
