"""All dialects. The first whose marks a span has is the one that it is in; ``everywhere`` ones come last.

A new one is a file with a table and a line here; ``python collector/normalize.py`` then writes it into
the Collector's configuration, and docs/dialects.md says how tables are written.
"""

from __future__ import annotations

from typing import Final

from otel_agents.normalize.dialect import Dialect
from otel_agents.normalize.older import OLDER

DIALECTS: Final[tuple[Dialect, ...]] = (OLDER,)
