"""Session, user, tags, environment, release, metadata, level, prompt link, roots."""

from __future__ import annotations

from typing import Any

import pytest
from local_spans import mapped

from otel_agents.local.rows import SpanEvent

LEVEL = "langfuse.observation.level"


@pytest.mark.parametrize(
    ("field", "keys"),
    [
        # contract 2.10, precedence from left to right
        (
            "user_id",
            [
                "langfuse.user.id",
                "user.id",
                "langfuse.observation.metadata.langfuse_user_id",
                "langfuse.trace.metadata.langfuse_user_id",
                "ai.telemetry.metadata.userId",
            ],
        ),
        (
            "session_id",
            [
                "langfuse.session.id",
                "session.id",
                "gen_ai.conversation.id",
                "langfuse.observation.metadata.langfuse_session_id",
                "ai.telemetry.metadata.sessionId",
            ],
        ),
        ("trace_name", ["langfuse.trace.name"]),
    ],
)
def test_precedence(field: str, keys: list[str]) -> None:
    for at, key in enumerate(keys):
        attributes = {later: f"value of {later}" for later in keys[at:]}
        assert getattr(mapped(attributes)[0], field) == f"value of {key}"


@pytest.mark.parametrize(
    ("attributes", "tags"),
    [
        # contract 2.10, tags: list, JSON-list string, or comma string
        ({"langfuse.trace.tags": ["a", "b"]}, ["a", "b"]),
        ({"langfuse.trace.tags": '["a", "b"]'}, ["a", "b"]),
        ({"langfuse.trace.tags": "a, b"}, ["a", "b"]),
        ({"langfuse.tags": ["a"], "tag.tags": ["x"]}, ["a"]),
        ({"tag.tags": ["x"]}, ["x"]),
        ({}, []),
    ],
)
def test_tags(attributes: dict[str, Any], tags: list[str]) -> None:
    assert mapped(attributes)[0].tags == tags


@pytest.mark.parametrize(
    ("attributes", "resource", "environment"),
    [
        # contract 2.10, environment: by key, the span before the resource
        ({"langfuse.environment": "a"}, {"langfuse.environment": "b"}, "a"),
        ({"deployment.environment.name": "a"}, {"langfuse.environment": "b"}, "b"),
        ({}, {"deployment.environment.name": "a", "deployment.environment": "b"}, "a"),
        ({}, {"deployment.environment": "b"}, "b"),
        # contract 2.10: lower case, no leading langfuse- or langfuse_, cut to 40, else default
        ({"langfuse.environment": "PROD"}, {}, "prod"),
        ({"langfuse.environment": "langfuse-prod"}, {}, "prod"),
        ({"langfuse.environment": "langfuse_prod"}, {}, "prod"),
        ({"langfuse.environment": "x" * 50}, {}, "x" * 40),
        ({"langfuse.environment": "Prod EU"}, {}, "default"),
        ({}, {}, "default"),
    ],
)
def test_environment(attributes: dict[str, Any], resource: dict[str, Any], environment: str) -> None:
    row, findings = mapped(attributes, resource=resource)
    assert row.environment == environment
    assert ("environment_invalid" in findings) is (attributes.get("langfuse.environment") == "Prod EU")


def test_release_and_version() -> None:
    resource = {"langfuse.release": "r2", "service.version": "v2"}
    row, _ = mapped({"langfuse.release": "r1", "langfuse.version": "v1"}, resource=resource)
    assert (row.release, row.version) == ("r1", "v1")  # contract 2.10
    row, _ = mapped(resource=resource)
    assert (row.release, row.version) == ("r2", "v2")


@pytest.mark.parametrize(
    ("value", "expected"), [(True, True), ("true", True), (False, False), ("yes", False)]
)
def test_public_and_app_root(value: Any, expected: bool) -> None:
    row, _ = mapped(
        {"langfuse.trace.public": value, "langfuse.internal.is_app_root": value}, parent="00f067aa0ba902b7"
    )
    # contract 2.10 and 2.11: a root has no parent or is the app root
    assert (row.public, row.is_app_root, row.is_root) == (expected, expected, expected)


def test_resource_session_and_user_are_ignored() -> None:
    row, findings = mapped(resource={"session.id": "s", "user.id": "u"})
    assert (row.session_id, row.user_id) == (None, None)  # contract 2.10
    assert findings == ["resource_context_ignored"]


# --- metadata (contract 2.10) --------------------------------------------------------------------


def test_metadata_object() -> None:
    row, _ = mapped(
        {
            "langfuse.trace.metadata.agent": "claude",
            "langfuse.observation.metadata": '{"a": {"b": 1}}',
            "langfuse.metadata.c": 3,
            "http.method": "GET",
            "n": [1, 2],
        },
        resource={"service.name": "svc"},
    )
    assert row.metadata == {
        "attributes": {"http.method": "GET", "n": "[1,2]"},
        "resourceAttributes": {"service.name": "svc"},
        "scope": {"name": "my.scope", "version": "1.0", "attributes": {}},
        "agent": "claude",
        "a": {"b": 1},
        "c": 3,
    }
    assert row.meta == {"agent": "claude", "a": {"b": 1}, "c": 3}
    assert row.service_name == "svc"


def test_user_keys_may_overwrite_scope() -> None:
    row, _ = mapped({"langfuse.trace.metadata.scope": "mine"})
    assert row.metadata["scope"] == "mine"  # contract 2.10


def test_sdk_spans_have_no_attributes_in_their_metadata() -> None:
    row, _ = mapped({"x": 1}, scope="langfuse-sdk", scope_version="5.0.4")
    assert "attributes" not in row.metadata  # contract 2.10


@pytest.mark.parametrize(
    ("scope", "version", "expected", "finding"),
    [
        # contract 7, propagate_attributes: decoded only for langfuse-sdk of version 5 or later
        ("langfuse-sdk", "5.0.4", "v", False),
        ("langfuse-sdk", "4.18.0", '"v"', True),
        ("my.scope", "5.0.0", '"v"', True),
    ],
)
def test_metadata_of_the_sdk_is_decoded(scope: str, version: str, expected: str, finding: bool) -> None:
    row, findings = mapped({"langfuse.trace.metadata.k": '"v"'}, scope=scope, scope_version=version)
    assert row.meta == {"k": expected}
    assert ("metadata_quoted" in findings) is finding


def test_metadata_that_is_no_object_is_dropped() -> None:
    row, findings = mapped({"langfuse.trace.metadata": "[1]"})
    assert (row.meta, findings) == ({}, ["metadata_invalid"])  # contract 2.10


# --- level and status (contract 2.8) -------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "level"),
    [
        *[(name, "DEBUG") for name in ("debug", "trace", "verbose")],
        *[(name, "DEFAULT") for name in ("info", "log", "notice", "ok", "success", "default")],
        *[(name, "WARNING") for name in ("warn", "warning")],
        *[(name, "ERROR") for name in ("error", "fatal", "critical", "ERROR")],
    ],
)
def test_level_aliases(given: str, level: str) -> None:
    assert mapped({LEVEL: given})[0].level == level


def test_level_wins_over_status() -> None:
    assert mapped({LEVEL: "info"}, status=2)[0].level == "DEFAULT"  # contract 2.8
    assert mapped({LEVEL: "what"}, status=2)[0].level == "ERROR"  # contract 2.8: unknown is ignored
    assert mapped(status=2)[0].level == "ERROR"
    assert mapped(status=1)[0].level == "DEFAULT"


def test_error_type_alone_does_nothing() -> None:
    row, findings = mapped({"error.type": "Timeout"})
    assert (row.level, findings) == ("DEFAULT", ["error_not_marked"])  # contract 2.8


def test_status_message() -> None:
    row, _ = mapped({"langfuse.observation.status_message": "a"}, message="b")
    assert row.status_message == "a"  # contract 2.8
    assert mapped(message="b")[0].status_message == "b"
    assert mapped()[0].status_message is None


EXCEPTION = SpanEvent("exception", 5, {"exception.type": "ValueError", "exception.message": "no such thing"})


@pytest.mark.parametrize(
    ("events", "message", "attributes", "kinds"),
    [
        # contract 2.8: all other span events are dropped
        ([EXCEPTION], "", {}, ["exception_lost"]),
        ([EXCEPTION], "ValueError: no such thing", {}, []),
        ([EXCEPTION], "", {"langfuse.observation.metadata.error": "no such thing"}, []),
        ([SpanEvent("gen_ai.evaluation.result", 5, {})], "", {}, ["evaluation_lost"]),
        ([SpanEvent("retry", 5, {})], "", {}, ["span_event_lost"]),
    ],
)
def test_span_events(
    events: list[SpanEvent], message: str, attributes: dict[str, Any], kinds: list[str]
) -> None:
    row, findings = mapped(attributes, events=events, message=message)
    assert findings == kinds
    assert [kept.name for kept in row.events] == [given.name for given in events]  # for the web UI


# --- prompt link (contract 2.9) ------------------------------------------------------------------

NAME, VERSION = "langfuse.observation.prompt.name", "langfuse.observation.prompt.version"
CHAT = {"gen_ai.operation.name": "chat", "langfuse.observation.cost_details": '{"total": 1}'}


@pytest.mark.parametrize(
    ("attributes", "link", "finding"),
    [
        (CHAT | {NAME: "p", VERSION: 3}, ("p", 3), False),
        (CHAT | {NAME: "p", VERSION: "3"}, ("p", 3), False),
        (CHAT | {"langfuse.prompt.name": "p", "langfuse.prompt.version": 3}, ("p", 3), False),
        # contract 2.9: needs both, and a generation
        (CHAT | {NAME: "p"}, (None, None), True),
        (CHAT | {NAME: "p", VERSION: "new"}, (None, None), True),
        ({"langfuse.observation.type": "agent", NAME: "p", VERSION: 3}, (None, None), False),
        # contract 2.9: gen_ai.prompt.name is not used for linking
        (CHAT | {"gen_ai.prompt.name": "p", "langfuse.observation.input": "x"}, (None, None), True),
    ],
)
def test_prompt_link(attributes: dict[str, Any], link: tuple[str | None, int | None], finding: bool) -> None:
    row, findings = mapped(attributes)
    assert (row.prompt_name, row.prompt_version) == link
    assert ("prompt_link_lost" in findings) is finding
