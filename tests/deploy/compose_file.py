"""collector/docker-compose.yaml as data."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
COLLECTOR = ROOT / "collector"
PATH = COLLECTOR / "docker-compose.yaml"
TEXT = PATH.read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]

#: ``${NAME}``, ``${NAME:-default}`` and ``${NAME:?message}``, but not ``$${NAME}``.
_VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?:(:[-?])([^}]*))?\}")


def variables() -> dict[str, set[tuple[str, str]]]:
    """Every variable that is filled in, with how: ``:-`` and a default, ``:?`` and a message, or nothing."""
    body = "\n".join(line for line in TEXT.splitlines() if not line.lstrip().startswith("#"))
    found: dict[str, set[tuple[str, str]]] = {}
    for name, how, text in _VARIABLE.findall(body):
        found.setdefault(name, set()).add((how, text))
    return found


def filled(given: dict[str, str]) -> dict[str, Any]:
    """The services as compose starts them.

    Raises:
        KeyError: a variable that has to be given is not.
    """

    def value(match: re.Match[str]) -> str:
        name, how, text = match.groups()
        if given.get(name):
            return given[name]
        if how == ":-":
            return str(text)
        raise KeyError(name)

    loaded: dict[str, Any] = yaml.safe_load(_VARIABLE.sub(value, TEXT).replace("$$", "$"))
    return loaded


def mounted(service: str) -> dict[str, Path]:
    """Files and folders of the project in a container: where, and which."""
    found = {}
    for volume in SERVICES[service].get("volumes", []):
        source, target = volume.split(":")[:2]
        if source.startswith("."):
            found[target] = (COLLECTOR / source).resolve()
    return found
