"""``otel-agents run``: start a Python program the way ``python`` would, with telemetry on.

The program is a script, a folder or zip file with ``__main__.py``, ``-m module``, ``-c code``, or the name
of an installed command such as ``uvicorn``. It becomes ``__main__``; its exit status, its tracebacks and
its ``sys.argv`` and ``sys.path`` are what they are without us.
"""

from __future__ import annotations

import atexit
import importlib.util
import io
import os
import shutil
import signal
import sys
import types
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otel_agents.cli.errors import CommandError

if TYPE_CHECKING:
    import typer

_USAGE = "give a script, `-m module`, or the name of an installed command, then its arguments"


def add(app: typer.Typer) -> None:
    """Registers the command; :func:`otel_agents.cli.main` takes it by hand but for its help."""
    import typer

    what = typer.Argument(help="A script, `-m module` or a command, then its arguments.", show_default=False)

    @app.command("run", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
    def help_only(program: list[str] = what) -> None:
        """Run a script, `-m module` or an installed command (such as uvicorn) with telemetry on."""
        raise CommandError(_USAGE, 2)


def run(arguments: Sequence[str]) -> int:
    """Configures telemetry and runs the program.

    Raises:
        ConfigError: before the program starts.
        CommandError: there is no such program.
        SystemExit: what the program exits with.
    """
    start = _find(arguments)
    _end_by_interrupt_if_asked()

    from otel_agents.cli import children

    children.begin_first()
    return _run(start)


def _run(start: Callable[[], None]) -> int:
    try:
        start()
    except SystemExit:
        raise
    except BaseException as error:
        _show(error)
        _interrupted.append(isinstance(error, KeyboardInterrupt))
        return 130 if _interrupted[-1] else 1
    return 0


def _find(arguments: Sequence[str]) -> Callable[[], None]:
    """What starts the program that ``arguments`` name."""
    first, rest = (arguments[0], list(arguments[1:])) if arguments else ("", [])
    if first == "--":
        return _find(rest)
    if Path(first).name in ("python", "python3", Path(sys.executable).name) and rest:
        return _find(rest)  # `run python app.py`, as with similar tools
    if first in ("-m", "-c") and rest:
        finder = _module if first == "-m" else _code
        return finder(rest[0], rest[1:])
    if first.startswith(("-m", "-c")) and len(first) > 2:
        finder = _module if first.startswith("-m") else _code
        return finder(first[2:], rest)
    if not first or first.startswith("-"):
        raise CommandError(f"{first or 'nothing'} is no program to run; {_USAGE}", 2)
    if os.path.isdir(first) or first.endswith((".zip", ".pyz")):
        return _folder(first, rest)
    if os.path.isfile(first):
        return _script(first, rest)
    if os.sep not in first and (found := _command(first, rest)) is not None:
        return found
    raise CommandError(f"there is no script or Python command {first}; {_USAGE}", 2)


def _script(path: str, arguments: list[str]) -> Callable[[], None]:
    def start() -> None:
        absolute = os.path.join(os.getcwd(), path)  # as python does: not normalised
        with io.open_code(absolute) as file:
            source = file.read()
        # argv keeps the path as it was given; __file__ and tracebacks have the absolute one, as in python.
        _prepare([path, *arguments], os.path.dirname(os.path.realpath(path)))
        _as_main(lambda: compile(source, absolute, "exec", dont_inherit=True), file=absolute)

    return start


def _code(source: str, arguments: list[str]) -> Callable[[], None]:
    def start() -> None:
        _prepare(["-c", *arguments], "")
        _as_main(lambda: compile(source, "<string>", "exec", dont_inherit=True))

    return start


def _folder(path: str, arguments: list[str]) -> Callable[[], None]:
    absolute = os.path.join(os.getcwd(), path)
    spec = PathFinder.find_spec("__main__", [absolute])
    if spec is None:
        raise CommandError(f"{path} has no __main__.py; {_USAGE}", 2)

    def start() -> None:
        _prepare([path, *arguments], absolute)
        _as_main(lambda: _code_of(spec), spec=spec)

    return start


def _module(name: str, arguments: list[str]) -> Callable[[], None]:
    def start() -> None:
        _prepare(["-m", *arguments], os.getcwd())
        spec = _module_spec(name)
        sys.argv[0] = spec.origin or name
        _as_main(lambda: _code_of(spec), spec=spec)

    return start


def _module_spec(name: str) -> ModuleSpec:
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = importlib.util.find_spec(f"{name}.__main__")
    except ModuleNotFoundError as error:
        if not f"{name}.".startswith(f"{error.name}."):
            raise  # a parent package is there but imports something that is not
        spec = None
    except ValueError:
        spec = None
    if spec is None or spec.loader is None:
        raise SystemExit(f"{sys.executable}: No module named {name}, or it cannot be executed")
    return spec


def _code_of(spec: ModuleSpec) -> types.CodeType:
    code: types.CodeType | None = spec.loader.get_code(spec.name)  # type: ignore[union-attr]
    if code is None:
        raise SystemExit(f"{sys.executable}: No code object available for {spec.name}")
    return code


def _command(name: str, arguments: list[str]) -> Callable[[], None] | None:
    """An installed command: by its entry point, else by its file on PATH when that is Python."""
    from importlib.metadata import entry_points

    path = shutil.which(name, path=os.path.dirname(sys.executable)) or shutil.which(name)
    entry = next(iter(entry_points(group="console_scripts", name=name)), None)
    if entry is not None:
        command = entry

        def start() -> None:
            _prepare([path or name, *arguments], os.path.dirname(path or sys.executable))
            sys.exit(command.load()())

        return start
    if path is None:
        return None
    with open(path, "rb") as file:
        first = file.readline(200)
    if not first.startswith(b"#!") or b"python" not in first:
        return None
    return _script(path, arguments)


def _prepare(argv: list[str], first_on_path: str) -> None:
    sys.argv[:] = argv
    if not sys.flags.safe_path:
        # Ours put the folder of its own script there.
        sys.path[0:1] = [first_on_path]


def _as_main(
    code: Callable[[], types.CodeType], *, file: str | None = None, spec: ModuleSpec | None = None
) -> None:
    """Runs code as ``__main__``, and leaves that module in place: threads and exit handlers still need it."""
    main = types.ModuleType("__main__")
    values: dict[str, Any] = main.__dict__
    values["__builtins__"] = sys.modules["builtins"]
    if file is not None:
        values["__file__"] = file
    if spec is not None:
        # multiprocessing's spawned children find the program by its spec.
        values.update(
            __spec__=spec, __loader__=spec.loader, __file__=spec.origin, __package__=spec.parent,
            __cached__=spec.cached,
        )  # fmt: skip
    sys.modules["__main__"] = main
    exec(code(), values)


def _show(error: BaseException) -> None:
    """Prints a traceback that begins in the program, by whatever hook the program set."""
    trace = error.__traceback__
    ours = os.path.dirname(os.path.abspath(__file__))
    while trace is not None and _is_ours(trace.tb_frame.f_code.co_filename, ours):
        trace = trace.tb_next
    error.__traceback__ = trace
    sys.excepthook(type(error), error, trace)


def _is_ours(filename: str, ours: str) -> bool:
    return filename.startswith((ours, "<frozen importlib")) or filename == importlib.util.__file__


_interrupted: list[bool] = []


def _end_by_interrupt_if_asked() -> None:
    """An unhandled KeyboardInterrupt ends ``python`` by SIGINT, after the exit handlers; shells look at that.

    Registered before anything else is, so it runs last of all exit handlers.
    """

    def last() -> None:
        if any(_interrupted):
            sys.stdout.flush()
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)

    atexit.register(last)
