"""The package's version, without reading the installed metadata (which takes milliseconds)."""

from __future__ import annotations

from typing import Final

__version__: Final = "0.1.0"
