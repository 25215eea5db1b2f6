"""``python -m otel_agents.cli``, for where the console script is not on PATH."""

from __future__ import annotations

import sys

from otel_agents.cli import main

sys.exit(main())
