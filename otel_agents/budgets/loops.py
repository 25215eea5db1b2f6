"""Guards: agent runs that go round in circles, too deep or too long are stopped at their next call.

A guard watches a block, a function, or (by ``OTEL_AGENTS_GUARD``) every outermost agent run, with all that
runs inside: agents that are called, asyncio tasks and threads. It can only stop what comes by: model calls
that a hook or ``inference()`` sees, tools and agents that are decorated.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from opentelemetry import context as otel_context

from otel_agents import metrics, runtime, semconv, values
from otel_agents.budgets import gate
from otel_agents.budgets.budget import BadBudget
from otel_agents.budgets.errors import LoopStopped
from otel_agents.tracing.events import event
from otel_agents.tracing.scopes import AgentRun, agent_run, leave

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from otel_agents.tracing.contexts import context

F = TypeVar("F", bound=Callable[..., Any])

logger = logging.getLogger(__name__)

EVENT: Final = "loop_stopped"
_WATCH: Final = otel_context.create_key("otel-agents-watch")
#: Different calls that a guard remembers.
_REMEMBERED: Final = 100_000
#: Characters of a tool's arguments that are compared.
_COMPARED: Final = 1_000_000

_declared: Mapping[str, float] = {}


class guard:
    """Stops what runs inside, a ``with`` block or a decorated function, when it goes beyond a limit.

    Stopped means that :class:`LoopStopped` is raised instead of the next model call, tool call or agent run
    (and of every one after it); it is counted in ``otel_agents.loops_stopped`` and noted as an event span
    ``loop_stopped``. ``max_...=3`` lets three through. Guards nest; each counts for itself.

    Args:
        max_identical_tool_calls: calls of one tool with the same arguments. Tools around a ``with`` block
            do not say their arguments and are not compared.
        max_identical_model_calls: model calls with the same request; another attempt at a call that
            failed is no other call.
        max_depth: agents and workflows inside of each other.
        max_seconds: since the block began.
        max_calls: model calls.

    Raises:
        ValueError: a limit is no number above 0; the message names it.
    """

    def __init__(
        self,
        *,
        max_identical_tool_calls: int | None = None,
        max_identical_model_calls: int | None = None,
        max_depth: int | None = None,
        max_seconds: float | None = None,
        max_calls: int | None = None,
    ) -> None:
        given = {
            "max_identical_tool_calls": max_identical_tool_calls,
            "max_identical_model_calls": max_identical_model_calls,
            "max_depth": max_depth,
            "max_seconds": max_seconds,
            "max_calls": max_calls,
        }
        self._limits = {name: value for name, value in given.items() if value is not None}
        for name, value in self._limits.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                raise BadBudget(f"{name} must be a number above 0, not {value!r}")
        if not self._limits:
            raise BadBudget("guard needs a limit, such as max_identical_tool_calls=5")
        self._entered: list[tuple[Context, object]] = []
        self._kept: Watch | None = None
        gate.arm()

    def __enter__(self) -> guard:
        current = otel_context.get_current()
        watch = self._kept or Watch(self._limits, _watch(current), agent_run(current))
        inside = otel_context.set_value(_WATCH, watch, current)
        self._entered.append((inside, otel_context.attach(inside)))
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        leave(self._entered)

    async def __aenter__(self) -> guard:
        return self.__enter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__()

    def __call__(self, function: F) -> F:
        """Decorates a function of any kind; each call is watched for itself."""
        from otel_agents.tracing import wrapping

        def watched(*_: object) -> wrapping.InContext:
            again = guard(**self._limits)  # type: ignore[arg-type]
            current = otel_context.get_current()
            # A call that is put off and goes on is left and entered again: it stays the same call.
            again._kept = Watch(self._limits, _watch(current), agent_run(current))
            return wrapping.InContext(cast("context", again))

        return wrapping.wrap(function, watched)


class Watch:
    """What one guard has seen so far."""

    __slots__ = (
        "_calls", "_limits", "_lock", "_models", "_outer", "_outer_run", "_started", "_stopped", "_tools",
    )  # fmt: skip

    def __init__(self, limits: Mapping[str, float], outer: Watch | None, outer_run: AgentRun | None) -> None:
        self._limits = limits
        self._outer = outer
        self._outer_run = outer_run
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._calls = 0
        self._models: Counter[bytes] = Counter()
        self._tools: Counter[bytes] = Counter()
        self._stopped: LoopStopped | None = None

    def chain(self) -> Iterable[Watch]:
        """This one and those around it."""
        one: Watch | None = self
        while one is not None:
            yield one
            one = one._outer

    def wants(self, name: str) -> bool:
        """Whether there is a limit of that name."""
        return name in self._limits

    def model_call(self, digest: bytes | None, again: bool, run: AgentRun | None) -> None:
        self._look(run)
        if again:
            return
        with self._lock:
            self._calls += 1
            calls = self._calls
            same = self._count(self._models, digest)
        self._check("calls", calls, run)
        self._check("identical_model_calls", same, run)

    def tool_call(self, digest: bytes | None, name: str, run: AgentRun | None) -> None:
        self._look(run)
        with self._lock:
            same = self._count(self._tools, digest)
        self._check("identical_tool_calls", same, run, name)

    def run_starts(self, name: str, run: AgentRun | None) -> None:
        self._look(run)
        depth, one = 1, run
        while one is not None and one is not self._outer_run:
            depth, one = depth + 1, one.parent
        self._check("depth", depth, run, name)

    def _look(self, run: AgentRun | None) -> None:
        if self._stopped is not None:
            one = self._stopped
            raise LoopStopped(one.reason, one.limit, one.agent, one.detail)
        self._check("seconds", time.monotonic() - self._started, run)

    def _check(self, reason: str, seen: float, run: AgentRun | None, detail: str = "") -> None:
        limit = self._limits.get(f"max_{reason}")
        if limit is None or seen <= limit:
            return
        agent = run.name if run is not None else ""
        stopped = LoopStopped(reason, limit, agent, detail)
        with self._lock:
            first, self._stopped = self._stopped is None, self._stopped or stopped
        if first:
            _tell(stopped)
        raise stopped

    @staticmethod
    def _count(counter: Counter[bytes], digest: bytes | None) -> int:
        if digest is None or (len(counter) >= _REMEMBERED and digest not in counter):
            return 0
        counter[digest] += 1
        return counter[digest]


def before_call(context: Context, body: bytes | Callable[[], bytes | None] | None, again: bool) -> None:
    """Raises when a guard stops a model call."""
    watch = _watch(context)
    if watch is None:
        return
    digest = None
    if (
        body is not None
        and not again
        and any(one.wants("max_identical_model_calls") for one in watch.chain())
    ):
        content = body() if callable(body) else body
        digest = None if content is None else hashlib.blake2b(content, digest_size=16).digest()
    run = agent_run(context)
    for one in watch.chain():
        one.model_call(digest, again, run)


def before_tool(context: Context, name: str, arguments: Callable[[], object] | None) -> None:
    """Raises when a guard stops a tool call."""
    watch = _watch(context)
    if watch is None:
        return
    digest = None
    if arguments is not None and any(one.wants("max_identical_tool_calls") for one in watch.chain()):
        text = f"{name}\0{values.to_json(arguments(), _COMPARED)}"
        digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()
    run = agent_run(context)
    for one in watch.chain():
        one.tool_call(digest, name, run)


def before_run(context: Context, name: str) -> None:
    """Raises when a guard stops an agent from being called."""
    watch = _watch(context)
    if watch is not None:
        run = agent_run(context)
        for one in watch.chain():
            one.run_starts(name, run)


def guarded(context: Context, run: AgentRun) -> Context:
    """The context of an outermost run with the settings' guard in it; of others as it is."""
    if not _declared or run.parent is not None:
        return context
    return otel_context.set_value(_WATCH, Watch(_declared, _watch(context), None), context)


def declare(limits: Mapping[str, float]) -> None:
    """Puts the settings' guard in force, for runs that start from here on."""
    global _declared
    _declared = dict(limits)
    if _declared:
        gate.arm()


def _watch(context: Context) -> Watch | None:
    found = context.get(_WATCH)
    return found if isinstance(found, Watch) else None


def _tell(stopped: LoopStopped) -> None:
    logger.warning("otel-agents: %s", stopped)
    labels = {semconv.AGENT_NAME: stopped.agent or None, "reason": stopped.reason}
    runtime.current().instruments.count(metrics.LOOPS_STOPPED, 1, labels, otel_context.get_current())
    told = {"reason": stopped.reason, "limit": stopped.limit, "detail": stopped.detail}
    event(EVENT, told, **{key: value for key, value in told.items() if value != ""})
