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
from otel_agents.demo import accounts, example, show
from otel_agents.demo.accounts import Account
from otel_agents.stack import services, state
from otel_agents.stack.errors import StackError
from otel_agents.stack.process import Children
from otel_agents.stack.state import Keys, State
from otel_agents.stack.waiting import until_told_to_stop

#: Seconds that the accounts may take to agree when the run has ended.
_AGREE_LIMIT = 60.0


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
    folder = example.folder()
    _check_models(wish)
    status = 130
    with until_told_to_stop() as told, ExitStack() as stack:
        place, parts = _stack(settings, wish, stack)
        found, run = _accounts(settings, wish, place, folder)
        lines = accounts.differences(found)
        status = 1 if lines else 0
        if wish.as_json:
            print(
                json.dumps({name: account.as_dict() for name, account in found.items()}, indent=2), flush=True
            )
        else:
            show.show(found, lines)
        for line in lines:
            _say(f"not equal: {line}")
        if wish.keep or place.borrowed:
            _say_where(show.addresses(place.state, run), wish)
        elif not wish.as_json:
            _say("the stack stops now; --keep leaves it up, to look around")
        if wish.keep and parts is not None:
            _say("the stack stays up; Ctrl-C stops it")
            told.wait(parts)
    return status


def _say_where(addresses: list[str], wish: Wish) -> None:
    """Beside JSON on standard error, since JSON has to be alone on its stream."""
    for line in addresses:  # by plain print, since a wrapped address cannot be clicked or copied
        print(line, file=sys.stderr if wish.as_json else sys.stdout, flush=True)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _check_models(wish: Wish) -> None:
    have = all(os.environ.get(name) for name in example.MODEL_KEYS)
    if wish.live and not have:
        raise CommandError(
            f"--live needs {' and '.join(example.MODEL_KEYS)}; without it the models are scripted", 2
        )
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


def _accounts(settings: Settings, wish: Wish, place: Place, folder: Path) -> tuple[dict[str, Account], str]:
    """Runs the example; the accounts by name, and the run's name."""
    run = f"demo-{uuid.uuid4().hex[:12]}"
    with Children(settings.home / "logs") as children:
        models = None if wish.live else example.start_models(children, settings, folder)
        environ = example.environment(place.state, place.keys, run, models)
        example.work(children, folder, run, environ, hold=place.state.otlp is None, say=_say)
        readers = _readers(place, run, models)
        return _agreed(readers), run


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
