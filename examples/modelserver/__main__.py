"""``python examples/modelserver --port 4010``"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

if not __package__:
    # Started by the folder's path: Python then looks inside the folder, not beside it.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from modelserver.delivery import LATENCIES
from modelserver.server import serve


def main() -> int:
    parser = argparse.ArgumentParser(prog="modelserver", description="A scripted model server with a ledger.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=4010, help="0 for a free one (%(default)s)")
    parser.add_argument("--latency", choices=sorted(LATENCIES), default="fast", help="(%(default)s)")
    parser.add_argument(
        "--faults", action="store_true", help="let some calls fail, the same ones in every run"
    )
    options = parser.parse_args()
    try:
        serve(options.host, options.port, options.latency, options.faults)
    except OSError as error:
        print(
            f"cannot listen on {options.host}:{options.port}: {error.strerror}; try --port 0", file=sys.stderr
        )
        return 1
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
