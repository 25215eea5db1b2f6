"""Filtering leaves no orphans: what reaches Langfuse is the original forest, contracted.

Random trees over several processes, of which any spans are infrastructure that Langfuse does not get.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from collector_rig import attributes, running
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from parts import require, wait_for

from otel_agents.export import upstream
from otel_agents.export.pipeline import SpanPipeline
from otel_agents.langfuse.edge import to_langfuse
from otel_agents.wire import others

#: What a span is: one that Langfuse gets and says so at once; one that says so before anything is below
#: it; infrastructure; a span of a service that only passes headers on.
KINDS = ("shown", "said later", "infrastructure", "stranger")
#: One that says so when it ends, perhaps after what is below it has started.
LAST = "said last"
OPERATIONS = ("invoke_agent", "chat", "execute_tool", "retrieval", "plan")


@dataclass(frozen=True)
class Node:
    """One span of a tree.

    Attributes:
        parent: its place in the tree, or None.
        kind: one of ``KINDS``.
        remote: whether it is in another process than its parent.
        early: whether it ends before anything below it starts.
    """

    parent: int | None
    kind: str
    remote: bool
    early: bool

    @property
    def shown(self) -> bool:
        return self.kind in ("shown", "said later", LAST)


@st.composite
def trees(draw: st.DrawFn, kinds: tuple[str, ...] = KINDS) -> list[Node]:
    nodes: list[Node] = []
    for number in range(draw(st.integers(1, 14))):
        # Mostly deep; now and then another root.
        parent = draw(st.one_of(st.none(), *[st.integers(0, number - 1)] * 5)) if number else None
        nodes.append(
            make(nodes, parent, draw(st.sampled_from(kinds)), draw(st.booleans()), draw(st.booleans()))
        )
    return nodes


def make(nodes: list[Node], parent: int | None, kind: str, remote: bool, early: bool) -> Node:
    apart = parent is not None and "stranger" in (kind, nodes[parent].kind)
    return Node(parent, kind, apart or (remote and parent is not None), early)


def contracted(nodes: list[Node]) -> dict[int, int | None]:
    """Each shown span's nearest shown ancestor."""

    def above(number: int) -> int | None:
        parent = nodes[number].parent
        while parent is not None and not nodes[parent].shown:
            parent = nodes[parent].parent
        return parent

    return {number: above(number) for number, node in enumerate(nodes) if node.shown}


class World:
    """Processes that watch their spans with our processor, and what they export."""

    def __init__(self) -> None:
        self.memory = InMemorySpanExporter()
        self.pipeline = SpanPipeline(self.memory, inherited=lambda _: {})
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(self.pipeline)
        self.tracer = provider.get_tracer("test")

    @contextmanager
    def process(self, state: dict[str, Any]) -> Iterator[None]:
        """As a process of its own: it knows no span of another's."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(others, "_open", state.setdefault("open", OrderedDict()))
            patch.setattr(others, "_below", state.setdefault("below", {}))
            yield

    def grow(self, nodes: list[Node]) -> dict[int, ReadableSpan]:
        """Makes the spans, in the tree's order; answers what was exported of each."""
        self.memory.clear()
        spans: dict[int, Any] = {}
        contexts: dict[int, Context] = {}
        strangers: dict[int, dict[str, str]] = {}
        processes: dict[int, dict[str, Any]] = {}
        for number, node in enumerate(nodes):
            context, state = Context(), {}
            if node.parent is not None and node.remote:
                context = propagate.extract(self._headers(node.parent, contexts, strangers, processes))
            elif node.parent is not None:
                context, state = contexts[node.parent], processes[node.parent]
            processes[number] = state
            if node.kind == "stranger":
                strangers[number] = self._passed_on(context)
                continue
            with self.process(state):
                said = {"gen_ai.operation.name": OPERATIONS[number % len(OPERATIONS)]}
                span = self.tracer.start_span(
                    f"{number}", context, attributes=said if node.kind == "shown" else None
                )
                if node.kind == "said later":
                    span.set_attributes(said)
                spans[number] = span
                contexts[number] = trace.set_span_in_context(span, context)
                if node.early:
                    self._end(span, node, said)
        for number in reversed(spans):
            with self.process(processes[number]):
                if not nodes[number].early:
                    said = {"gen_ai.operation.name": OPERATIONS[number % len(OPERATIONS)]}
                    self._end(spans[number], nodes[number], said)
        self.pipeline.flush(5)
        return {int(one.name): one for one in self.memory.get_finished_spans()}

    def _end(self, span: Any, node: Node, said: dict[str, str]) -> None:
        if node.kind == LAST:
            span.set_attributes(said)
        span.end()

    def _headers(
        self, parent: int, contexts: Any, strangers: dict[int, dict[str, str]], processes: Any
    ) -> dict[str, str]:
        if parent in strangers:
            return strangers[parent]
        carrier: dict[str, str] = {}
        with self.process(processes[parent]):
            propagate.inject(carrier, contexts[parent])
        return carrier

    def _passed_on(self, context: Context) -> dict[str, str]:
        """What a service without our SDK sends: its own span's id, and ``tracestate`` as it came."""
        above = trace.get_current_span(context).get_span_context()
        trace_id = above.trace_id if above.is_valid else random.getrandbits(127) + 1
        carrier = {"traceparent": f"00-{trace_id:032x}-{random.getrandbits(63) + 1:016x}-01"}
        if above.trace_state:
            carrier["tracestate"] = above.trace_state.to_header()
        return carrier


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    before = propagate.get_global_textmap()
    made = World()
    upstream.install()
    yield made
    made.pipeline.close()
    propagate.set_global_textmap(before)


def forest(exported: dict[int, ReadableSpan]) -> dict[int, int | None]:
    """Each span that Langfuse gets, with its parent there."""
    left = {number: made for number, span in exported.items() if (made := to_langfuse(span)) is not None}
    by_id = {span.context.span_id: number for number, span in left.items()}
    found: dict[int, int | None] = {}
    for number, span in left.items():
        top = span.parent is None or (span.attributes or {}).get("langfuse.internal.is_app_root") is True
        # -1 is an orphan: a parent that is not there, and nothing says that this is the top.
        found[number] = None if top else by_id.get(span.parent.span_id, -1)  # type: ignore[union-attr]
    return found


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(nodes=trees())
def test_the_exported_forest_is_the_original_one_contracted(world: World, nodes: list[Node]) -> None:
    assert forest(world.grow(nodes)) == contracted(nodes)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(nodes=trees((*KINDS, LAST)))
def test_who_says_last_what_it_is_makes_no_orphans(world: World, nodes: list[Node]) -> None:
    """What is below it may have been given a place above it, but an ancestor's, and one that is there."""
    found = forest(world.grow(nodes))
    assert found.keys() == contracted(nodes).keys()
    for number, parent in found.items():
        above = nodes[number].parent
        while above != parent:
            assert above is not None, "the parent is no ancestor, or not there"
            above = nodes[above].parent


@pytest.mark.collector
def test_the_collector_contracts_as_direct_mode_does(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    chance = random.Random(7)
    grown = []
    for _ in range(40):
        nodes: list[Node] = []
        for number in range(chance.randint(1, 14)):
            parent = chance.randrange(number) if number and chance.random() < 0.85 else None
            kind, remote, early = chance.choice(KINDS), chance.random() < 0.5, chance.random() < 0.5
            nodes.append(make(nodes, parent, kind, remote, early))
        grown.append((nodes, world.grow(nodes)))
    assert sum(len(contracted(nodes)) for nodes, _ in grown) > 100

    with running(require("collector"), tmp_path_factory.mktemp("orphans")) as collector:
        wanted = set()
        for nodes, exported in grown:
            if exported:
                collector.send(encode_spans(list(exported.values())))
            wanted |= {f"{exported[number].context.span_id:016x}" for number in contracted(nodes)}
        wait_for(lambda: wanted <= collector.backend.by_id().keys(), "all spans that Langfuse gets")
        arrived = collector.backend.by_id()
    assert arrived.keys() == wanted
    for nodes, exported in grown:
        numbers = {f"{span.context.span_id:016x}": number for number, span in exported.items()}
        for number, parent in contracted(nodes).items():
            left = arrived[f"{exported[number].context.span_id:016x}"]
            root = attributes(left.attributes).get("langfuse.internal.is_app_root") is True
            top = root or not left.parent_span_id
            assert (None if top else numbers.get(left.parent_span_id.hex(), -1)) == parent
