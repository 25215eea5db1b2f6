"""Tables that people write: prices and plans, in TOML, or in YAML where PyYAML is installed.

A mistake in one is a ``ConfigError`` of one line that names file and key and says what is wrong with it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from otel_agents.config import ConfigError


class Table:
    """One table of a file; knows where it is, so that its errors can say so."""

    __slots__ = ("file", "key", "values")

    def __init__(self, file: Path, key: str, values: Mapping[str, Any]) -> None:
        self.file = file
        self.key = key
        self.values = values

    def error(self, key: str, what: str) -> ConfigError:
        """``key`` is that of a value in this table."""
        return ConfigError(f"{self.file}: {self._name(key)} {what}")

    def known(self, names: Iterable[str]) -> None:
        """Refuses every key that is none of ``names``: a misspelt one would silently do nothing."""
        known = sorted(names)
        for key in self.values:
            if key not in known:
                raise self.error(str(key), f"is not known here; there are {', '.join(known)}")

    def tables(self, key: str) -> dict[str, Table]:
        """The tables inside of the table ``key``; none when it is not there."""
        found = self.table(key)
        return {} if found is None else {name: found.inner(name) for name in found.values}

    def table(self, key: str) -> Table | None:
        """The table ``key``; None when it is not there."""
        return self.inner(key) if self.values.get(key) is not None else None

    def inner(self, key: str) -> Table:
        value = self.values[key]
        if not isinstance(value, Mapping):
            raise self.error(key, f"must be a table, not {value!r}")
        return Table(self.file, self._name(key), {str(name): one for name, one in value.items()})

    def number(self, key: str, what: str, highest: float = 1e12) -> Decimal | None:
        """A finite number from 0 up; None when it is not there. ``what`` says what it counts."""
        value = self.values.get(key)
        if value is None:
            return None
        usable = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not usable or not 0 <= value <= highest:
            bound = "of at least 0" if highest >= 1e12 else f"from 0 to {highest:g}"
            raise self.error(key, f"must be a number {bound} ({what}), not {value!r}")
        return Decimal(str(value))

    def texts(self, key: str) -> tuple[str, ...]:
        """A text or a list of texts; empty when it is not there."""
        value = self.values.get(key, ())
        many = [value] if isinstance(value, str) else value
        if not isinstance(many, list | tuple) or any(not isinstance(one, str) or not one for one in many):
            raise self.error(key, f"must be a name or a list of names, not {value!r}")
        return tuple(many)

    def _name(self, key: str) -> str:
        shown = key if key.replace("-", "").replace("_", "").isalnum() else f'"{key}"'
        return f"{self.key}.{shown}" if self.key else shown


def read(path: Path, setting: str) -> Table:
    """The file as one table.

    Args:
        setting: the variable that names the file, for messages.

    Raises:
        ConfigError: it cannot be read, or is no TOML or YAML.
    """
    try:
        content = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text; {setting} must name a TOML file") from None
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise ConfigError(f"{path} cannot be read ({reason}); check {setting}") from None
    loaded = _yaml(path, content) if path.suffix.lower() in (".yaml", ".yml") else _toml(path, content)
    if loaded is None:
        loaded = {}
    if not isinstance(loaded, Mapping):
        raise ConfigError(f"{path}: must be a table with named entries; check {setting}")
    return Table(path, "", {str(key): value for key, value in loaded.items()})


def _toml(path: Path, content: str) -> Any:
    import tomllib

    try:
        return tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: no TOML: {error}") from None


def _yaml(path: Path, content: str) -> Any:
    try:
        import yaml
    except ImportError:
        raise ConfigError(f"{path}: YAML needs PyYAML; install it, or write the file as TOML") from None
    try:
        return yaml.safe_load(content)
    except yaml.YAMLError as error:
        said = " ".join(str(error).split())
        raise ConfigError(f"{path}: no YAML: {said}") from None
