"""Puts everything together: ``configure``, ``instrument``, ``flush``, ``shutdown``."""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from otel_agents import assembly, endings, forks, runtime, signals
from otel_agents.budgets import gate
from otel_agents.export.result import FlushResult
from otel_agents.runtime import Runtime

if TYPE_CHECKING:
    from otel_agents.accounting import plans
    from otel_agents.config import Settings

logger = logging.getLogger(__name__)

_lock = threading.RLock()
_configured: Runtime | None = None
#: Of a process that only loads the app, for others that will be configured so.
_prepared: Settings | None = None
_hooks_registered = False


def configure(
    *,
    redact: Callable[[str, object], object] | None = None,
    instrument_libraries: bool = True,
    **settings: object,
) -> Settings:
    """Starts sending telemetry, as arguments, environment and ``.env`` say. Calling it again changes nothing.

    Where it goes is chosen by what is set: an OTLP endpoint means a Collector; else Langfuse's keys
    mean Langfuse directly, with ``/metrics`` served by this process; else nothing is sent, and one
    warning says so. Works before and after other libraries set a tracer provider.

    Args:
        redact: called with ``(key, value)`` for every value that is exported; its answer is exported
            instead. When it fails, the value is redacted.
        instrument_libraries: also call :func:`instrument`.
        settings: any setting by its name in ``otel_agents.config.Settings``, such as
            ``service_name="orchestrator"`` or ``capture="all"``. They win over the environment.

    Returns:
        The settings in force.

    Raises:
        otel_agents.ConfigError: a setting cannot be used; the message names it and says what to do.
    """
    global _prepared
    from otel_agents import config
    from otel_agents.accounting import plans

    with _lock:
        before = _configured.settings if _configured is not None else _prepared
        if before is not None:
            if settings:
                logger.warning("otel-agents: already configured; call shutdown() before configuring anew")
            return before
        config.export_dotenv()
        resolved = config.resolve(settings)
        for warning in resolved.warnings:
            logger.warning("otel-agents: %s", warning)
        known_plans = plans.load(resolved)
        if resolved.enabled and forks.ahead():
            _prepared = resolved
            runtime.prepare(lambda: _start(resolved, redact, known_plans, instrument_libraries))
            forks.when_forked(runtime.begin)
            if instrument_libraries:
                instrument()
            _warm_up()  # here and once, not in every worker's first request
            assembly.load(resolved)
        else:
            _start(resolved, redact, known_plans, instrument_libraries)
        return resolved


def _start(
    settings: Settings,
    redact: Callable[[str, object], object] | None,
    known_plans: plans.Plans,
    instrument_libraries: bool,
) -> None:
    """Puts everything together and in force."""
    global _configured, _prepared
    from otel_agents.accounting import plans

    with _lock:
        made = assembly.build(settings, redact)
        runtime.replace(made)
        _configured, _prepared = made, None
        gate.apply(settings)
        plans.announce(known_plans, made)
        _register_process_hooks()
        if settings.enabled and settings.handle_signals:
            signals.install(lambda seconds: _end(True, seconds), flush)
        if settings.enabled:
            made.worker.submit(_warm_up)
            if instrument_libraries:
                instrument()
            if forks.ahead():
                made.worker.drain()  # a fork amid an import would leave the child stuck there


def instrument() -> None:
    """Hooks the HTTP clients that model calls go through, and threads. Calling it again changes nothing.

    Needs no ``configure()``: spans then go to whatever tracer provider is global. Libraries are
    hooked when they are imported; none is imported here. Installed instrumentors of agent frameworks
    are enabled with them. ``OTEL_PYTHON_DISABLED_INSTRUMENTATIONS`` lists what is to be left alone.
    """
    from otel_agents import frameworks, process_metrics, wire
    from otel_agents.instrumentation import instrument_http_clients

    if frameworks.is_disabled("otel_agents"):
        return
    with _lock:
        if not frameworks.is_disabled("threading"):
            from opentelemetry.instrumentation.threading import ThreadingInstrumentor

            threads = ThreadingInstrumentor()
            if not threads.is_instrumented_by_opentelemetry:
                threads.instrument()
        wire.install()
        instrument_http_clients()
        if not runtime.prepared():
            process_metrics.measure_process()
        frameworks.enable_frameworks()


def uninstrument() -> None:
    """Stops watching model calls; those under way are still recorded. Calling it again changes nothing."""
    from otel_agents import wire

    with _lock:
        wire.uninstall()


def configured() -> bool:
    """Whether :func:`configure` is in force."""
    return _configured is not None or _prepared is not None


def flush(timeout: float = 10.0) -> FlushResult:
    """Sends what is in memory and says what became of it.

    Args:
        timeout: seconds; what has not been sent by then is ``pending`` and is tried again later.
    """
    forks.check()
    deadline = time.monotonic() + timeout
    current = runtime.current()
    current.settle()
    result = current.pipeline.flush(timeout) if current.pipeline is not None else FlushResult()
    left = max(deadline - time.monotonic(), 0.1)
    providers = [one for one in (current.logger_provider, current.meter_provider) if one is not None]
    _within(left, *(provider.force_flush for provider in providers))
    if current.scores is not None:
        result = replace(result, scores=current.scores.flush(max(deadline - time.monotonic(), 0.1)))
    return result


def shutdown(timeout: float = 5.0) -> FlushResult:
    """Flushes for at most ``timeout`` seconds and stops. ``configure()`` may be called again afterwards."""
    return _shutdown(timeout)


def _shutdown(timeout: float, before: Callable[[Runtime], None] | None = None) -> FlushResult:
    global _configured, _prepared
    forks.check()
    with signals.put_off(), _lock:
        if _prepared is not None:
            _prepared = None
            runtime.prepare(None)
        made = _configured
        if made is None:
            return FlushResult()
        _configured = None
        if before is not None:
            before(made)
        return _stop(made, timeout)


def _end(abruptly: bool = False, timeout: float = 5.0) -> None:
    """Stops for good, as the process ends.

    Args:
        abruptly: nobody ends what runs any more, so it is told to be abandoned. Else only runs that are
            on disk as under way are.
        timeout: seconds for sending; then what is left is put on disk.
    """

    def abandon(made: Runtime) -> None:
        if made.pipeline is not None:
            try:
                made.pipeline.abandon(abruptly)
            except Exception:
                logger.debug("otel-agents: could not tell what is abandoned", exc_info=True)

    started = endings.ask_started()
    _shutdown(timeout, abandon)
    for end in started:
        _quietly(end)


def _stop(made: Runtime, timeout: float) -> FlushResult:
    from otel_agents.export import last_metrics, providers, upstream

    deadline = time.monotonic() + timeout

    def left() -> float:
        return max(deadline - time.monotonic(), 0.2)

    made.settle()
    result = FlushResult()
    if made.pipeline is not None:
        result = made.pipeline.close(left())
        providers.detach(made.pipeline)
        upstream.uninstall()
    made.worker.stop()
    if made.scores is not None:
        result = replace(result, scores=made.scores.finish(left()))
    # Shutting a provider down exports what it has once more.
    if made.endings:
        for ending in made.endings:
            ending.begin()
        for ending in made.endings:
            ending.wait(left())
    else:
        rest = [one for one in (made.logger_provider, made.meter_provider) if one is not None]
        if made.collect_last and made.meter_provider is not None:
            _within(left(), made.meter_provider.force_flush)
        _within(left(), *(provider.shutdown for provider in rest))
    last_metrics.save_last()
    runtime.replace(None)
    return result


def _within(seconds: float, *functions: Callable[[], object]) -> None:
    """Runs ``functions`` side by side for at most ``seconds``; one that hangs is left behind.

    The SDK's exporters keep to their own timeouts (ten seconds, each), whatever they are asked.
    """
    deadline = time.monotonic() + seconds
    threads = [threading.Thread(target=_quietly, args=(function,), daemon=True) for function in functions]
    try:
        for thread in threads:
            thread.start()
    except RuntimeError:  # too late for threads: the interpreter is at its end
        for function in functions:
            _quietly(function)
        return
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0.0))


def _quietly(function: Callable[[], object]) -> None:
    try:
        function()
    except Exception:
        logger.debug("otel-agents: error while stopping", exc_info=True)


def _warm_up() -> None:
    from otel_agents.accounting import prices

    prices.warm_up()


def _at_exit() -> None:
    _end()
    signals.stay_interrupted()


def _before_fork() -> None:
    from otel_agents.wire import warm

    warm.wait(5.0)
    if _configured is not None:
        _configured.worker.before_fork()
        for one in (_configured.pipeline, _configured.scores):
            if one is not None:
                one.before_fork()


def _after_fork_in_parent() -> None:
    if _configured is not None:
        for one in (_configured.pipeline, _configured.scores):
            if one is not None:
                one.after_fork_in_parent()
        _configured.worker.after_fork_in_parent()


def _after_fork() -> None:
    if _configured is not None:
        _configured.after_fork()


def _register_process_hooks() -> None:
    global _hooks_registered
    if _hooks_registered:
        return
    _hooks_registered = True
    atexit.register(_at_exit)
    endings.at_child_exit(_end)
    forks.watch(_after_fork, before=_before_fork, in_parent=_after_fork_in_parent)
