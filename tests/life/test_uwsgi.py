"""Apps under uWSGI, which forks its workers and ends them without Python: nothing lost, nothing twice."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from life_scripts import counts, names
from parts import free_port, wait_for
from stub_backend import StubBackend
from venvs import python_with

#: The newest; and the last in which threads of an app do not run unless ``--enable-threads`` is given.
NEW, OLD = "pyuwsgi==2.0.30.post1", "pyuwsgi==2.0.26"

APP = """
import os
import time
import otel_agents
from otel_agents import agent, inference

otel_agents.configure()

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    path = environ["PATH_INFO"]
    if path == "/run":
        with agent("one"), inference("openai", "gpt-4o-mini") as call:
            call.record(usage={"input_tokens": 7, "output_tokens": 2})
            otel_agents.score("good", 1.0)
    if path == "/long":
        with agent("one"):
            open("begun", "w").close()
            time.sleep(1.0)
    return [str(os.getpid()).encode()]
"""


class Server:
    """One uWSGI with all its processes."""

    def __init__(self, command: list[str], folder: Path, environment: dict[str, str]) -> None:
        self._port = free_port()
        self._stats = f"stats-{self._port}" if "--master" in command else None
        if self._stats is not None:
            command = [*command, "--stats", self._stats]
        self.folder = folder
        self._log = folder / f"uwsgi-{self._port}.log"
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [*command, "--http-socket", f"127.0.0.1:{self._port}"],
                cwd=folder,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_for(lambda: self.get("/up") is not None, "uWSGI", timeout=60)

    def get(self, path: str) -> int | None:
        """The process that answered; None when none did."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=30) as response:
                return int(response.read())
        except OSError:
            return None

    def run(self, times: int) -> set[int]:
        """Runs the agent so many times; the processes that it ran in."""
        found: set[int] = set()
        for _ in range(times):
            process = wait_for(lambda: self.get("/run"), "an answer")
            found.add(process)
        return found

    def stop(self, number: int, idle: bool = True) -> int:
        """Sends a signal to the first process, when no request is under way; its exit status."""
        if idle:
            self.wait_until_idle()
        self.process.send_signal(number)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGABRT)  # has Python write down what every thread is at
            self.process.wait(60)
            pytest.fail(f"uWSGI did not end:\n{self.log}")

    def wait_until_idle(self) -> None:
        """A worker is at work for a moment after its client has the answer: it would not call ``atexit``.

        One that is still about to begin would not notice the signal at all: its handlers come last.
        """
        if self._stats is None:
            time.sleep(0.5)  # nobody can be asked
        else:
            wait_for(lambda: not self._busy(), "the workers")

    def _busy(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(
                f"/proc/{self.process.pid}/cwd/{self._stats}"
            )  # a socket's path is to be short
            said = b"".join(iter(lambda: connection.recv(65536), b""))
        workers = json.loads(said)["workers"]
        begins = any(not one["accepting"] for one in workers)
        return begins or any(core["in_request"] for one in workers for core in one["cores"])

    @property
    def log(self) -> str:
        return self._log.read_text()

    def kill(self) -> None:
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(60)


Serve = Callable[..., Server]


@pytest.fixture
def serve(tmp_path: Path, environment: dict[str, str]) -> Iterator[Serve]:
    """Starts the app under uWSGI with some options."""
    running: list[Server] = []

    def start(*options: str, version: str = NEW, app: str = APP, env: dict[str, str] | None = None) -> Server:
        (tmp_path / "app.py").write_text(app)
        python = python_with(version)
        [packages] = python.parents[1].glob("lib/python*/site-packages")
        # It starts itself anew as the interpreter that the environment was made from.
        paths = {"PYTHONPATH": f"{environment['PYTHONPATH']}:{packages}", "PYTHONFAULTHANDLER": "1"}
        command = [str(python.with_name("uwsgi")), "--module", "app", *options]
        running.append(Server(command, tmp_path, {**environment, **paths, **(env or {})}))
        return running[-1]

    yield start
    for one in running:
        one.kill()


def arrived(backend: StubBackend) -> int:
    """Agent runs that arrived, each once, with its model call and its score, and counted as often."""
    ids = [(span.trace_id, span.span_id) for span in backend.spans()]
    assert len(set(ids)) == len(ids)
    by_name = Counter(names(backend))
    runs = by_name["invoke_agent one"]
    assert by_name == {"invoke_agent one": runs, "chat gpt-4o-mini": runs}
    assert counts(backend, "gen_ai.invoke_agent.duration")["one"][0] == runs
    assert counts(backend, "gen_ai.client.inference.usage.input_tokens")["one"][0] == 7 * runs
    assert len(backend.log_records()) == runs
    return runs


FORMS = {
    "prefork": ("--master", "--processes", "2"),
    "lazy-apps": ("--master", "--processes", "2", "--lazy-apps"),
    "fork hooks": ("--master", "--processes", "2", "--py-call-uwsgi-fork-hooks"),
    "osafterfork": ("--master", "--processes", "2", "--py-call-osafterfork"),
    "threads": ("--master", "--processes", "2", "--threads", "4"),
    "one process": ("--master",),
    "no master": (),
}


@pytest.mark.parametrize(
    ("form", "version"),
    [*((form, NEW) for form in FORMS), *((form, OLD) for form in ("prefork", "lazy-apps", "no master"))],
    ids=[*FORMS, "prefork, no threads", "lazy-apps, no threads", "no master, no threads"],
)
def test_forms(serve: Serve, backend: StubBackend, form: str, version: str) -> None:
    server = serve(*FORMS[form], "--die-on-term", version=version)
    server.run(12)
    server.stop(signal.SIGTERM)
    assert arrived(backend) == 12, server.log


@pytest.mark.parametrize(
    ("options", "number", "status"),
    [
        (("--master",), signal.SIGINT, 0),
        (("--master",), signal.SIGQUIT, 0),
        ((), signal.SIGINT, 30),
        ((), signal.SIGTERM, 30),
        ((), signal.SIGHUP, 17),
    ],
    ids=["SIGINT", "SIGQUIT", "SIGINT without master", "SIGTERM without master", "SIGHUP without master"],
)
def test_ends(
    serve: Serve, backend: StubBackend, options: tuple[str, ...], number: signal.Signals, status: int
) -> None:
    """The exit status is the one that uWSGI has without us."""
    server = serve(*options)
    server.run(3)
    assert server.stop(number) == status, server.log
    assert arrived(backend) == 3


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM], ids=["graceful", "brutal"])
def test_reloads(serve: Serve, backend: StubBackend, number: signal.Signals) -> None:
    server = serve("--master", "--processes", "2")
    before = server.run(6)
    server.wait_until_idle()
    server.process.send_signal(number)
    wait_for(lambda: server.get("/up") not in {None, *before}, "new workers", timeout=60)
    assert not server.run(6) & before
    server.stop(signal.SIGINT)
    assert arrived(backend) == 12, server.log


def test_workers_that_are_replaced(serve: Serve, backend: StubBackend) -> None:
    server = serve("--master", "--max-requests", "3", "--min-worker-lifetime", "0")
    assert len(server.run(10)) > 2
    server.stop(signal.SIGINT)
    assert arrived(backend) == 10, server.log


def test_hooks_of_the_app_are_called_too(serve: Serve, backend: StubBackend) -> None:
    """``uwsgidecorators`` puts its own in the place of ours."""
    hook = """
import uwsgidecorators

@uwsgidecorators.postfork
def forked():
    open(f"forked-{os.getpid()}", "w").close()
"""
    server = serve("--master", app=APP + hook)
    [worker] = server.run(3)
    assert (server.folder / f"forked-{worker}").exists()
    server.stop(signal.SIGINT)
    assert arrived(backend) == 3, server.log


def test_the_master_has_no_threads_that_a_fork_could_meet(serve: Serve) -> None:
    server = serve("--master")
    server.run(1)
    assert len(os.listdir(f"/proc/{server.process.pid}/task")) == 1


def test_what_ends_while_the_app_is_loaded(serve: Serve, backend: StubBackend) -> None:
    """The master sends it, once; the workers start anew."""
    often = {"OTEL_BSP_SCHEDULE_DELAY": "100", "OTEL_METRIC_EXPORT_INTERVAL": "500"}
    loading = APP + '\napplication({"PATH_INFO": "/run"}, lambda *_: None)\n'
    server = serve("--master", "--processes", "2", app=loading, env=often)
    wait_for(lambda: "one" in counts(backend, "gen_ai.invoke_agent.duration"), "the master's metrics")
    server.run(6)
    server.stop(signal.SIGINT)
    assert arrived(backend) == 7, server.log


def test_a_worker_that_is_ended_amid_a_request(serve: Serve, backend: StubBackend, tmp_path: Path) -> None:
    """uWSGI ends it without a word to Python; the next process counts what was in memory."""
    server = serve("--master")
    server.run(3)
    threading.Thread(target=server.get, args=("/long",), daemon=True).start()
    wait_for((tmp_path / "begun").exists, "the request")
    assert server.stop(signal.SIGINT, idle=False) == 0
    assert backend.spans() == []
    following = serve("--master", "--lazy-apps")
    following.run(1)
    wait_for(lambda: "6 spans were lost with a process that was killed" in following.log, "the count")
