"""What is known of a model call before it is made, from whatever ``inference(...)`` was given."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from otel_agents import semconv, values
from otel_agents.tracing.contexts import MAX_NAME
from otel_agents.values.attributes import attributes_of
from otel_agents.values.objects import is_a

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue

    from otel_agents.privacy import Redactor

_PARAMETER_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class Asked:
    """A model call that is about to be made; ``attributes`` are those beyond the fields."""

    provider: str
    model: str | None
    operation: str
    stream: bool
    server_address: str | None
    server_port: int | None
    attributes: Mapping[str, AttributeValue]

    @classmethod
    def of(
        cls,
        provider: object,
        model: object,
        operation: object,
        stream: object,
        server_address: object,
        server_port: object,
        attributes: Mapping[str, AttributeValue],
    ) -> Asked:
        """The arguments made to fit: names become text, ports that are no numbers are left out."""
        return cls(
            provider=short_text(provider) or "unknown",
            model=short_text(model) or None,
            operation=short_text(operation) or semconv.OP_CHAT,
            stream=stream is True,
            server_address=short_text(server_address) or None,
            server_port=server_port if is_a(server_port, int) else None,
            attributes=attributes,
        )

    def redacted(self, redactor: Redactor) -> Asked:
        """The same without secrets: the names also become metric labels."""
        return replace(
            self,
            provider=redactor.text(self.provider),
            model=redactor.text(self.model) if self.model else None,
            operation=redactor.text(self.operation),
            server_address=redactor.text(self.server_address) if self.server_address else None,
            attributes=redactor.attributes(self.attributes),
        )

    @property
    def span_name(self) -> str:
        """``{operation} {model}``."""
        return f"{self.operation} {self.model}" if self.model else self.operation

    def first_attributes(self) -> dict[str, AttributeValue]:
        """Attributes that samplers should see, with the user's."""
        known: dict[str, AttributeValue | None] = {
            semconv.OPERATION_NAME: self.operation,
            semconv.PROVIDER_NAME: self.provider,
            semconv.REQUEST_MODEL: self.model,
            semconv.REQUEST_STREAM: True if self.stream else None,
            semconv.SERVER_ADDRESS: self.server_address,
            semconv.SERVER_PORT: self.server_port if self.server_address else None,
        }
        return {**self.attributes, **{name: value for name, value in known.items() if value is not None}}


def request_attributes(
    parameters: object, prompt_name: object, prompt_version: object, attributes: object
) -> dict[str, AttributeValue]:
    """Parameters under ``gen_ai.request.``, the prompt template, and the user's own attributes."""
    made: dict[str, AttributeValue] = {}
    for key, value in attributes_of(parameters, _PARAMETER_LIMIT).items():
        made[f"gen_ai.request.{key}"] = value
    if name := short_text(prompt_name):
        made[semconv.PROMPT_NAME] = name
        if version := short_text(prompt_version):
            made[semconv.PROMPT_VERSION] = version
    made.update(attributes_of(attributes, 10 * _PARAMETER_LIMIT))
    return made


def short_text(value: object) -> str:
    """``value`` as a name of at most 200 characters; nothing for None."""
    return values.to_text(value, MAX_NAME) if value is not None else ""


def short_texts(value: object) -> list[str]:
    """One name or several as a list of names."""
    many = value if is_a(value, list, tuple) else [value]
    return [name for one in many[:100] if (name := short_text(one))]


def positive_number(value: object) -> float | None:
    """``value`` as a finite number from zero up; None for everything else."""
    if value is None or is_a(value, bool):
        return None
    try:
        number = float(value)  # type: ignore[arg-type]
    except Exception:  # no number, or one that raises
        return None
    return number if math.isfinite(number) and number >= 0 else None
