"""Several Langfuse projects of one process: names, keys and addresses."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

_KEYS: Final = ("public_key", "secret_key", "base_url")


@dataclass(frozen=True, slots=True)
class Project:
    """One project.

    Attributes:
        public_key: its public key.
        secret_key: its secret key; never shown.
        base_url: Langfuse's address; None is that of the settings.
    """

    public_key: str
    secret_key: str = field(repr=False)
    base_url: str | None = None


def projects(value: object) -> dict[str, Project]:
    """A TOML or JSON file, JSON itself, or (as an argument) a mapping: name -> keys and address.

    Raises:
        ValueError: without any value in it, as these are secrets.
    """
    given = value if isinstance(value, Mapping) else _read(value)
    found: dict[str, Project] = {}
    for name, one in given.items():
        if isinstance(one, Project):
            found[str(name)] = one
            continue
        known = dict(one) if isinstance(one, Mapping) else {}
        if unknown := known.keys() - set(_KEYS):
            raise ValueError(
                f"has {min(map(str, unknown))!r} for project {name!r}; known: {', '.join(_KEYS)}"
            )
        if missing := [key for key in _KEYS[:2] if not _text(known.get(key))]:
            raise ValueError(f"has no {missing[0]} for project {name!r}")
        base_url = known.get("base_url")
        if base_url is not None and not _text(base_url).startswith(("http://", "https://")):
            raise ValueError(f"has a base_url for project {name!r} that is no http:// or https:// URL")
        found[str(name)] = Project(
            _text(known["public_key"]),
            _text(known["secret_key"]),
            _text(base_url).rstrip("/") if base_url is not None else None,
        )
    return found


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _read(value: object) -> Mapping[str, Any]:
    text = str(value).strip()
    what = "must be a TOML or JSON file of [name] tables with public_key and secret_key, or JSON"
    try:
        if text.startswith("{"):
            found = json.loads(text)
        else:
            path = Path(text).expanduser()
            content = path.read_text(encoding="utf-8")
            found = json.loads(content) if path.suffix == ".json" else tomllib.loads(content)
    except OSError as error:
        raise ValueError(f"{what}; the file cannot be read ({error.strerror})") from None
    except ValueError:  # the parsers' messages quote the content
        raise ValueError(what) from None
    if not isinstance(found, dict):
        raise ValueError(what)
    return found
