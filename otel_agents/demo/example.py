"""The example orchestrator as a child process, and the scripted model server that it calls."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from otel_agents.cli.errors import CommandError
from otel_agents.config import Settings
from otel_agents.demo.accounts import RUN_ATTRIBUTE
from otel_agents.demo.held import DONE
from otel_agents.stack import services
from otel_agents.stack.errors import StackError
from otel_agents.stack.ports import free_port, is_free
from otel_agents.stack.process import Child, Children, answers
from otel_agents.stack.state import Keys, State

MODEL_KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY")
#: Seconds the example may run.
_RUN_LIMIT = 1800.0


def folder() -> Path:
    """The folder of the examples, which a checkout has and an installed package has not.

    Raises:
        CommandError: this is no checkout.
    """
    found = Path(__file__).resolve().parents[2] / "examples"
    if not (found / "orchestrator" / "main.py").is_file():
        raise CommandError("the demo's example is not part of the installed package; run it in a checkout")
    from importlib.util import find_spec

    missing = [name for name in ("openai", "anthropic") if find_spec(name) is None]
    if missing:
        raise CommandError(f"{' and '.join(missing)} not installed; `pip install 'otel-agents[demo]'`")
    return found


def start_models(children: Children, settings: Settings, examples: Path) -> str:
    """Starts the scripted model server, on its usual port or a free one; its address."""
    port = settings.model_server_port
    if port == 0 or not is_free(port):
        port = free_port()
    command = [sys.executable, str(examples / "modelserver"), "--port", str(port), "--faults"]
    child = children.start("modelserver", command)
    address = services.url(port)
    children.wait_ready(child, lambda: answers(f"{address}/ledger"))
    return address


def environment(state: State, keys: Keys, run: str, models: str | None) -> dict[str, str]:
    """The user's environment without what would lead telemetry or calls elsewhere."""
    foreign = ("OTEL_", "LANGFUSE_", *(() if models is None else ("OPENAI_", "ANTHROPIC_")))
    environ = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    environ.update(services.app_environment(state, keys))
    environ |= {
        "OTEL_AGENTS_DOTENV": "off",
        "OTEL_RESOURCE_ATTRIBUTES": f"{RUN_ATTRIBUTE}={run},deployment.environment.name=demo",
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }
    if models is not None:
        environ |= {"OPENAI_BASE_URL": f"{models}/v1", "ANTHROPIC_BASE_URL": models}
        environ |= dict.fromkeys(MODEL_KEYS, "sk-scripted")
    return environ


def work(
    children: Children,
    examples: Path,
    run: str,
    environ: Mapping[str, str],
    hold: bool,
    say: Callable[[str], None],
) -> None:
    """Runs the example to its end, and passes on what it prints.

    Args:
        hold: keep its process when it is done; in direct mode the numbers are on its own /metrics.

    Raises:
        StackError: it could not start, crashed, or took too long.
    """
    main = [str(examples / "orchestrator" / "main.py"), "--run-id", run]
    command = [sys.executable, *(["-m", "otel_agents.demo.held"] if hold else []), *main]
    app = children.start("orchestrator", command, environ, examples.parent)
    deadline = time.monotonic() + _RUN_LIMIT
    with app.log.open("rb") as log:
        rest = b""
        while True:
            ended = app.process.poll()
            *lines, rest = (rest + log.read()).split(b"\n")
            for line in (line.decode(errors="replace") for line in lines):
                if hold and line.startswith(DONE):
                    _check_status(app, int(line.removeprefix(DONE)))
                    return
                say(line)
            if ended is not None:
                _check_status(app, ended)
                if hold:
                    raise StackError(f"the example did not wait to be read ({app.last_words()})")
                return
            if time.monotonic() > deadline:
                raise StackError(f"the example did not end in {_RUN_LIMIT:g} s; log: {app.log}")
            time.sleep(0.1)


def _check_status(app: Child, status: int) -> None:
    if status not in (0, 1):  # 1: some tasks have no answer, which is no fault of the telemetry
        raise StackError(f"the example ended with status {status} ({app.last_words()}); log: {app.log}")
