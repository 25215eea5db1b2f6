"""Runs a script and stays alive until standard input ends, so that its ``/metrics`` can still be read.

``python -m otel_agents.demo.held script.py args``; used by the demo in direct mode.
"""

from __future__ import annotations

import runpy
import sys
import time

#: Says that the script has ended, with its status.
DONE = "otel-agents demo: ended with status "


def main() -> None:
    """Runs the script, says that it has ended, and waits to be stopped."""
    script = sys.argv[1]
    sys.argv[:] = sys.argv[1:]
    sys.path[0] = script.rpartition("/")[0]
    status: object = 0
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as stop:
        status = stop.code
    print(f"{DONE}{status if isinstance(status, int) else int(status is not None)}", flush=True)
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main()
