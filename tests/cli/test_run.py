"""``otel-agents run``: the program finds itself as ``python`` would have started it."""

from __future__ import annotations

import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

#: Everything that a program can see of how it was started.
REPORT = """
import sys
main = sys.modules["__main__"]
spec = __spec__.name if __spec__ else None
print(__name__, sys.argv[1:], repr(sys.path[0]), main.__dict__ is globals(), spec, __package__ or "")
print(globals().get("__file__"))
"""


def plain(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The same by ``python``."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


class TestSameAsPython:
    """Standard output and exit status are those of ``python``, to the character."""

    @pytest.fixture(autouse=True)
    def _programs(self, tmp_path: Path) -> None:
        (tmp_path / "app.py").write_text(REPORT)
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "__main__.py").write_text(REPORT)
        (tmp_path / "pkg" / "sub").mkdir(parents=True)
        (tmp_path / "pkg" / "__init__.py").touch()
        (tmp_path / "pkg" / "__main__.py").write_text(REPORT)
        (tmp_path / "pkg" / "mod.py").write_text(REPORT)
        (tmp_path / "sub").mkdir()
        (tmp_path / "sub" / "helper.py").write_text("WORD = 'helped'")
        (tmp_path / "sub" / "uses.py").write_text("import helper; print(helper.WORD)")
        with zipfile.ZipFile(tmp_path / "app.zip", "w") as archive:
            archive.writestr("__main__.py", REPORT)
        (tmp_path / "exits.py").write_text("import sys; sys.exit(int(sys.argv[1]))")
        (tmp_path / "says.py").write_text("raise SystemExit('gone')")
        (tmp_path / "late.py").write_text(
            dedent("""
            import atexit, threading, time
            WORD = "globals are there"
            def late():
                time.sleep(0.2)
                print(WORD)
            threading.Thread(target=late).start()
            atexit.register(lambda: print("at exit:", WORD))
            """)
        )
        (tmp_path / "spawns.py").write_text(
            dedent("""
            import multiprocessing
            def double(number): return number * 2
            if __name__ == "__main__":
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    print(pool.map(double, [1, 2]))
            """)
        )
        (tmp_path / "pickles.py").write_text(
            "import pickle\nclass A: pass\nprint(type(pickle.loads(pickle.dumps(A()))) is A)"
        )

    @pytest.mark.parametrize(
        "arguments",
        [
            ("app.py",),
            ("app.py", "-m", "--help", "x"),
            ("./app.py", "a b"),
            ("folder", "x"),
            ("app.zip", "x"),
            ("-m", "pkg", "x"),
            ("-m", "pkg.mod", "--json"),
            ("-c", "import sys; print(sys.argv, repr(sys.path[0]), __name__)", "x"),
            ("sub/uses.py",),
            ("exits.py", "0"),
            ("exits.py", "7"),
            ("says.py",),
            ("late.py",),
            ("spawns.py",),
            ("pickles.py",),
            ("-m", "no_such_module"),
        ],
        ids=" ".join,
    )
    def test_output_and_status(self, cli: Run, tmp_path: Path, arguments: tuple[str, ...]) -> None:
        ours, theirs = cli("run", *arguments), plain(tmp_path, *arguments)
        assert (ours.stdout, ours.returncode) == (theirs.stdout, theirs.returncode)

    def test_python_in_front_is_allowed(self, cli: Run, tmp_path: Path) -> None:
        assert cli("run", "python", "app.py", "x").stdout == plain(tmp_path, "app.py", "x").stdout


class TestErrorsOfTheProgram:
    def test_traceback_is_the_programs_own(self, cli: Run, tmp_path: Path) -> None:
        (tmp_path / "boom.py").write_text("def f():\n    raise ValueError('x')\nf()\n")
        ours, theirs = cli("run", "boom.py"), plain(tmp_path, "boom.py")
        assert ours.returncode == theirs.returncode == 1
        assert ours.stderr.endswith(theirs.stderr)
        assert ours.stderr.count("Traceback") == 1
        assert "otel_agents" not in ours.stderr[ours.stderr.index("Traceback") :]

    def test_syntax_error(self, cli: Run, tmp_path: Path) -> None:
        (tmp_path / "bad.py").write_text("def f(:\n")
        ours, theirs = cli("run", "bad.py"), plain(tmp_path, "bad.py")
        assert ours.returncode == 1
        assert ours.stderr.endswith(theirs.stderr)

    def test_hook_of_the_program_is_called(self, cli: Run, tmp_path: Path) -> None:
        (tmp_path / "hook.py").write_text(
            "import sys\nsys.excepthook = lambda *a: print('hook', a[0].__name__)\n1/0\n"
        )
        done = cli("run", "hook.py")
        assert (done.stdout, done.returncode) == ("hook ZeroDivisionError\n", 1)

    def test_keyboard_interrupt_ends_by_the_signal(self, cli: Run, tmp_path: Path) -> None:
        (tmp_path / "app.py").write_text("raise KeyboardInterrupt\n")
        assert cli("run", "app.py").returncode == plain(tmp_path, "app.py").returncode == -signal.SIGINT


class TestInstalledCommands:
    def test_by_name(self, cli: Run) -> None:
        done = cli("run", "uvicorn", "--version")
        assert done.returncode == 0
        assert done.stdout.startswith("Running uvicorn")

    def test_its_own_usage_error(self, cli: Run) -> None:
        done = cli("run", "uvicorn", "--no-such-option")
        assert done.returncode == 2
        assert "uvicorn" in done.stderr

    def test_script_on_path(self, cli: Run, tmp_path: Path) -> None:
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "tool").write_text("#!/usr/bin/env python3\nimport sys; print(sys.argv[1:])\n")
        (folder / "tool").chmod(0o755)
        done = cli("run", "tool", "x", env={"PATH": f"{folder}:/usr/bin:/bin"})
        assert (done.stdout, done.returncode) == ("['x']\n", 0)


class TestTelemetry:
    #: A model call by hand; the spans go to the console.
    APP = """
    import otel_agents
    @otel_agents.agent
    def reviewer(): return "done"
    reviewer()
    """

    def test_is_on_without_a_line_in_the_program(self, cli: Run, tmp_path: Path) -> None:
        (tmp_path / "app.py").write_text(dedent(self.APP))
        done = cli("run", "app.py", env={"OTEL_TRACES_EXPORTER": "console"})
        assert done.returncode == 0
        assert "invoke_agent reviewer" in done.stdout

    def test_nothing_configured_warns_once(self, cli: Run, tmp_path: Path) -> None:
        (tmp_path / "app.py").write_text(dedent(self.APP))
        done = cli("run", "app.py")
        assert done.returncode == 0
        assert done.stderr.count("nothing says where telemetry goes") == 1
        assert len(done.stderr.splitlines()) == 1

    def test_bad_setting_stops_before_the_program(self, cli: Run, tmp_path: Path) -> None:
        (tmp_path / "app.py").write_text("print('started')")
        done = cli("run", "app.py", env={"LANGFUSE_PUBLIC_KEY": "pk-lf-1"})
        assert (done.stdout, done.returncode) == ("", 2)
        assert done.stderr.startswith("error: LANGFUSE_SECRET_KEY is not set")
