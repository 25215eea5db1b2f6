"""One app, several libraries with opinions about the tracer provider: all of them get spans."""

from __future__ import annotations

import pytest
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

from otel_agents.export import providers

pytestmark = pytest.mark.usefixtures("clean_globals")


class Seen(SpanProcessor):
    def __init__(self) -> None:
        self.names: list[str] = []

    def on_end(self, span: object) -> None:
        self.names.append(span.name)  # type: ignore[attr-defined]


def test_without_a_provider_ours_becomes_global() -> None:
    seen = Seen()
    assert providers.install(seen, Resource({})) is None
    trace.get_tracer("app").start_span("span").end()
    assert seen.names == ["span"]


def test_a_provider_that_is_there_gets_our_processor() -> None:
    theirs = TracerProvider(shutdown_on_exit=False)
    trace.set_tracer_provider(theirs)
    seen = Seen()
    assert providers.install(seen, Resource({})) is None
    assert trace.get_tracer_provider() is theirs
    trace.get_tracer("app").start_span("span").end()
    assert seen.names == ["span"]
    providers.detach(seen)
    trace.get_tracer("app").start_span("after").end()
    assert seen.names == ["span"]


def test_a_provider_set_after_us_wins_and_still_reaches_us(caplog: pytest.LogCaptureFixture) -> None:
    seen, theirs_seen = Seen(), Seen()
    providers.install(seen, Resource({}))
    early = trace.get_tracer("early")
    theirs = TracerProvider(shutdown_on_exit=False)
    theirs.add_span_processor(theirs_seen)
    trace.set_tracer_provider(theirs)
    assert trace.get_tracer_provider() is theirs
    assert "Overriding" not in caplog.text
    trace.get_tracer("late").start_span("late").end()
    early.start_span("early").end()
    assert seen.names == ["late", "early"]
    assert theirs_seen.names == ["late"]


def test_only_the_first_later_provider_is_let_in(caplog: pytest.LogCaptureFixture) -> None:
    providers.install(Seen(), Resource({}))
    first, second = TracerProvider(shutdown_on_exit=False), TracerProvider(shutdown_on_exit=False)
    trace.set_tracer_provider(first)
    trace.set_tracer_provider(second)
    assert trace.get_tracer_provider() is first
    assert "Overriding of current TracerProvider is not allowed" in caplog.text


def test_a_provider_without_processors_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    class Foreign(trace.NoOpTracerProvider):
        """Like ddtrace's: a tracer provider, but none of the SDK's."""

    trace.set_tracer_provider(Foreign())
    seen = Seen()
    private = providers.install(seen, Resource({}))
    assert private is not None
    private.get_tracer("ours").start_span("span").end()
    assert seen.names == ["span"]
    assert "takes no span processors" in caplog.text
