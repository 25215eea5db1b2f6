"""What a span says about its trace: session, user, tags, name, environment, release, metadata.

Langfuse 4 keeps these on every span; nothing is copied from the root to its children.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from otel_agents.local.findings import Notes
from otel_agents.local.mapping.kinds import json_object, text
from otel_agents.local.otlp import Scope

_USER: Final = (
    "langfuse.user.id",
    "user.id",
    "langfuse.observation.metadata.langfuse_user_id",
    "langfuse.trace.metadata.langfuse_user_id",
    "ai.telemetry.metadata.userId",
)
_SESSION: Final = (
    "langfuse.session.id",
    "session.id",
    "gen_ai.conversation.id",
    "langfuse.observation.metadata.langfuse_session_id",
    "langfuse.trace.metadata.langfuse_session_id",
    "ai.telemetry.metadata.sessionId",
)
_TAGS: Final = (
    "langfuse.trace.tags",
    "langfuse.tags",
    "langfuse.observation.metadata.langfuse_tags",
    "langfuse.trace.metadata.langfuse_tags",
    "ai.telemetry.metadata.tags",
    "tag.tags",
)
_PUBLIC: Final = ("langfuse.trace.public", "langfuse.public")
_ENVIRONMENT: Final = ("langfuse.environment", "deployment.environment.name", "deployment.environment")
#: Prefixes of the user's own metadata; a later one wins over an earlier one.
_METADATA: Final = ("langfuse.trace.metadata", "langfuse.observation.metadata", "langfuse.metadata")
_VALID_ENVIRONMENT: Final = re.compile(r"[a-z0-9_-]+")
_RESERVED_PREFIX: Final = re.compile(r"^langfuse[-_]")


def user_id(attributes: Mapping[str, Any]) -> str | None:
    """The user."""
    return _first(attributes, _USER)


def session_id(attributes: Mapping[str, Any]) -> str | None:
    """The session."""
    return _first(attributes, _SESSION)


def trace_name(attributes: Mapping[str, Any]) -> str | None:
    """The name given to the trace (a root's own name is the fallback when reading)."""
    return _first(attributes, ("langfuse.trace.name",))


def tags(attributes: Mapping[str, Any]) -> list[str]:
    """Tags from a list, a JSON list in a string, or a string with commas."""
    for key in _TAGS:
        given = attributes.get(key)
        if given is None or given == "":
            continue
        if isinstance(given, str):
            given = _tag_list(given)
        if isinstance(given, list):
            return [text(tag) for tag in given]
        return [text(given)]
    return []


def public(attributes: Mapping[str, Any]) -> bool:
    """Whether the trace was made public."""
    return any(attributes.get(key) in (True, "true") for key in _PUBLIC)


def is_app_root(attributes: Mapping[str, Any]) -> bool:
    """Whether the SDK marked the span as the top of its application."""
    return attributes.get("langfuse.internal.is_app_root") in (True, "true")


def environment(attributes: Mapping[str, Any], resource: Mapping[str, Any], notes: Notes) -> str:
    """The environment, of the span before the resource for each key; ``default`` when not valid."""
    for key in _ENVIRONMENT:
        given = attributes.get(key) or resource.get(key)
        if not given:
            continue
        name = _RESERVED_PREFIX.sub("", text(given).lower())[:40]
        if _VALID_ENVIRONMENT.fullmatch(name):
            return name
        notes.add("environment_invalid", value=given)
        return "default"
    return "default"


def release(attributes: Mapping[str, Any], resource: Mapping[str, Any]) -> str | None:
    """The release."""
    return _first(attributes, ("langfuse.release",)) or _first(resource, ("langfuse.release",))


def version(attributes: Mapping[str, Any], resource: Mapping[str, Any]) -> str | None:
    """The version: the span's, else the service's."""
    return _first(attributes, ("langfuse.version",)) or _first(resource, ("service.version",))


def metadata(
    attributes: Mapping[str, Any],
    resource: Mapping[str, Any],
    scope: Scope,
    content_keys: Iterable[str],
    notes: Notes,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """All metadata as the API gives it, and the user's own keys alone.

    Args:
        content_keys: attributes that were or could have been input and output; they are left out.
    """
    own = _own_metadata(attributes, scope, notes)
    left_out = set(content_keys)
    everything: dict[str, Any] = {}
    if not scope.name.startswith("langfuse-sdk"):
        everything["attributes"] = {
            key: text(value)
            for key, value in attributes.items()
            if key not in left_out and not key.startswith(_METADATA)
        }
    everything["resourceAttributes"] = dict(resource)
    everything["scope"] = {"name": scope.name, "version": scope.version, "attributes": scope.attributes}
    return everything | own, own


def _own_metadata(attributes: Mapping[str, Any], scope: Scope, notes: Notes) -> dict[str, Any]:
    decode = _is_sdk_v5(scope)
    own: dict[str, Any] = {}
    for prefix in _METADATA:
        if prefix in attributes:
            given = json_object(attributes[prefix])
            if given is None:
                notes.add("metadata_invalid", key=prefix)
            else:
                own |= given
        for key, value in attributes.items():
            if not key.startswith(prefix + "."):
                continue
            name = key[len(prefix) + 1 :]
            if decode:
                own[name] = _decoded(value)
            else:
                own[name] = value
                if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == '"':
                    notes.add("metadata_quoted", key=name, value=value)
    return own


def _is_sdk_v5(scope: Scope) -> bool:
    """Servers that support the SDK's version 5 decode the JSON it makes of every metadata value."""
    major = scope.version.partition(".")[0]
    return scope.name.startswith("langfuse-sdk") and major.isdigit() and int(major) >= 5


def _decoded(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _tag_list(given: str) -> list[Any]:
    if given.lstrip().startswith("["):
        try:
            found = json.loads(given)
        except ValueError:
            found = None
        if isinstance(found, list):
            return found
    return [tag.strip() for tag in given.split(",") if tag.strip()]


def _first(attributes: Mapping[str, Any], keys: Iterable[str]) -> str | None:
    for key in keys:
        if value := attributes.get(key):
            return text(value)
    return None
