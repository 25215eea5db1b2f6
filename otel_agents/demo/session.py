"""The demo from start to end: a stack, the model server, the example's run, the three accounts."""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from otel_agents.cli.errors import CommandError
from otel_agents.config import Settings, resolve
from otel_agents.demo import accounts
from otel_agents.demo.accounts import Account
from otel_agents.stack import services, state
from otel_agents.stack.errors import StackError
from otel_agents.stack.ports import free_port, is_free
from otel_agents.stack.process import Child, Children, answers
from otel_agents.stack.state import Keys, State
from otel_agents.stack.waiting import until_told_to_stop

#: Seconds the example may run, and the three accounts may take to agree after it.
_RUN_LIMIT = 1800.0
_AGREE_LIMIT = 60.0
_MODEL_KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY")


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asked for."""

    as_json: bool = False
    keep: bool = False
    live: bool = False
    collector: bool = True
    build: bool = True


@dataclass(frozen=True, slots=True)
class Place:
    """A running stack that the demo uses: its own, or one that `otel-agents up` keeps."""

    state: State
    keys: Keys
    borrowed: bool


def hold(wish: Wish) -> int:
    """Runs the demo and returns the exit status: 0 all accounts agree, 1 they do not, 130 interrupted.

    Raises:
        CommandError, StackError: it could not be run.
    """
    settings = resolve({"mode": "disabled"})
    examples = _examples()
    _check_models(wish)
    status = 130
    with until_told_to_stop() as told, ExitStack() as stack:
        place, parts = _stack(settings, wish, stack)
        found, run = _accounts(settings, wish, place, examples)
        lines = accounts.differences(found)
        status = 1 if lines else 0
        if wish.as_json:
            print(
                json.dumps({name: account.as_dict() for name, account in found.items()}, indent=2), flush=True
            )
        else:
            from otel_agents.demo.show import show

            show(found, lines, place.state, run)
        for line in lines:
            _say(f"not equal: {line}")
        if wish.keep and parts is not None:
            _say("the stack stays up; Ctrl-C stops it")
            told.wait(parts)
    return status


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _examples() -> Path:
    """The folder of the examples, which a checkout has and an installed package has not.

    Raises:
        CommandError: this is no checkout.
    """
    folder = Path(__file__).resolve().parents[2] / "examples"
    if not (folder / "orchestrator" / "main.py").is_file():
        raise CommandError("the demo's example is not part of the installed package; run it in a checkout")
    from importlib.util import find_spec

    missing = [name for name in ("openai", "anthropic") if find_spec(name) is None]
    if missing:
        raise CommandError(f"{' and '.join(missing)} not installed; `pip install 'otel-agents[demo]'`")
    return folder


def _check_models(wish: Wish) -> None:
    have = all(os.environ.get(name) for name in _MODEL_KEYS)
    if wish.live and not have:
        raise CommandError(f"--live needs {' and '.join(_MODEL_KEYS)}; without it the models are scripted", 2)
    if have and not wish.live:
        _say("scripted models, no money is spent; --live calls OpenAI and Anthropic")


def _stack(settings: Settings, wish: Wish, stack: ExitStack) -> tuple[Place, Children | None]:
    """The stack that runs in this home, else one of our own (with its children) until the end."""
    if (found := state.read(settings.home)) is not None:
        _say(f"using the stack that is up: {found.ui}")
        return Place(found, state.local_keys(settings.home), True), None
    options = services.Options(
        free_ports=True, with_collector=wish.collector, build=wish.build, scrape_interval=1.0
    )
    _say("starting the stack")
    own = stack.enter_context(services.running(settings, options, _say))
    return Place(own.state, own.keys, False), own.children


def _accounts(settings: Settings, wish: Wish, place: Place, examples: Path) -> tuple[dict[str, Account], str]:
    """Runs the example; the accounts by name, and the run's name."""
    run = f"demo-{uuid.uuid4().hex[:12]}"
    with Children(settings.home / "logs") as children:
        models = None if wish.live else _start_models(children, settings, examples)
        environ = _environment(place, run, models)
        direct = place.state.otlp is None
        # In direct mode the numbers are on the app's own /metrics, so it must not end before they are read.
        main = [str(examples / "orchestrator" / "main.py"), "--run-id", run]
        command = [sys.executable, *(["-m", "otel_agents.demo.held"] if direct else []), *main]
        app = children.start("orchestrator", command, environ, examples.parent)
        _follow(app, until_held=direct)
        readers = _readers(place, run, models)
        return _agreed(readers), run


def _start_models(children: Children, settings: Settings, examples: Path) -> str:
    port = settings.model_server_port
    if port == 0 or not is_free(port):
        port = free_port()
    command = [sys.executable, str(examples / "modelserver"), "--port", str(port), "--faults"]
    child = children.start("modelserver", command)
    address = services.url(port)
    children.wait_ready(child, lambda: answers(f"{address}/ledger"))
    return address


def _environment(place: Place, run: str, models: str | None) -> dict[str, str]:
    """The user's environment without what would lead telemetry or calls elsewhere."""
    foreign = ("OTEL_", "LANGFUSE_", *(() if models is None else ("OPENAI_", "ANTHROPIC_")))
    environ = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    environ.update(services.app_environment(place.state, place.keys))
    environ |= {
        "OTEL_AGENTS_DOTENV": "off",
        "OTEL_RESOURCE_ATTRIBUTES": f"{accounts.RUN_ATTRIBUTE}={run},deployment.environment.name=demo",
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }
    if models is not None:
        environ |= {"OPENAI_BASE_URL": f"{models}/v1", "ANTHROPIC_BASE_URL": models}
        environ |= dict.fromkeys(_MODEL_KEYS, "sk-scripted")
    return environ


def _follow(app: Child, until_held: bool) -> None:
    """Passes on what the example prints until it has ended, or in direct mode until it only waits.

    Raises:
        StackError: it could not start, crashed, or took too long.
    """
    from otel_agents.demo.held import DONE

    deadline = time.monotonic() + _RUN_LIMIT
    with app.log.open(errors="replace") as log:
        while True:
            ended = app.process.poll()
            for line in log:
                if until_held and line.startswith(DONE):
                    _check_status(app, int(line.removeprefix(DONE)))
                    return
                _say(line.rstrip())
            if ended is not None:
                if until_held:  # it should have waited
                    raise StackError(f"the example ended with status {ended} ({app.last_words()})")
                _check_status(app, ended)
                return
            if time.monotonic() > deadline:
                raise StackError(f"the example did not end in {_RUN_LIMIT:g} s; log: {app.log}")
            time.sleep(0.1)


def _check_status(app: Child, status: int) -> None:
    if status not in (0, 1):  # 1: some tasks have no answer, which is no fault of the telemetry
        raise StackError(f"the example ended with status {status} ({app.last_words()}); log: {app.log}")


def _readers(place: Place, run: str, models: str | None) -> Mapping[str, Callable[[], Account]]:
    """How each account is read."""
    readers: dict[str, Callable[[], Account]] = {}
    if models is not None:
        readers["provider"] = lambda: accounts.from_ledger(models)
    from langfuse import Langfuse

    client = Langfuse(
        public_key=place.keys.public,
        secret_key=place.keys.secret,
        base_url=place.state.ui,
        tracing_enabled=False,
    )
    readers["langfuse"] = lambda: accounts.from_langfuse(client.api, run)
    prometheus, page = place.state.prometheus, place.state.metrics_page
    if prometheus is not None:
        readers["prometheus"] = lambda: accounts.from_prometheus(prometheus, run)
    else:
        readers["prometheus"] = lambda: accounts.from_metrics_page(page, run)
    return readers


def _agreed(readers: Mapping[str, Callable[[], Account]]) -> dict[str, Account]:
    """Reads all accounts until they agree, or time is up: data is still on its way when the run ends.

    Raises:
        StackError: there is nothing to compare.
    """
    deadline = time.monotonic() + _AGREE_LIMIT
    while True:
        found: dict[str, Account] = {}
        for name, reader in readers.items():
            found[name] = _read(name, reader, deadline)
            if name == "provider" and found[name].calls == 0:
                raise StackError("the example made no model call that was billed; its output says why")
        over = time.monotonic() > deadline
        nothing = all(account.calls == 0 for account in found.values())
        if over and nothing:
            raise StackError("no model call was counted anywhere; the example's output says why")
        if over or not (nothing or accounts.differences(found)):
            return found
        time.sleep(0.25)


def _read(name: str, reader: Callable[[], Account], deadline: float) -> Account:
    while True:
        try:
            return reader()
        except Exception as error:
            if getattr(error, "status_code", None) in (401, 403):
                raise CommandError(
                    f"the {name} refuses the keys; remove keys.json of the home folder"
                ) from None
            if time.monotonic() > deadline:
                raise CommandError(f"{name} cannot be read: {error}") from None
            time.sleep(0.25)
