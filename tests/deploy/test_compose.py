"""The compose file: of the schema, without a default password, pinned, bounded, and of files that load."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from compose_file import COLLECTOR, COMPOSE, ROOT, SERVICES, TEXT, filled, mounted, variables
from parts import require

from otel_agents.stack.collector import CONTRIB_IMAGE

SCHEMA = json.loads((Path(__file__).parent / "schemas" / "compose-spec.json").read_text())
LANGFUSE = {"langfuse-web", "langfuse-worker", "postgres", "clickhouse", "redis", "minio"}
ONE_SHOT = "collector-volume"


def make_secrets(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, COLLECTOR / "make_secrets.py", path]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def values(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


@pytest.fixture
def made(tmp_path: Path) -> dict[str, str]:
    assert make_secrets(tmp_path / ".env").returncode == 0
    return values(tmp_path / ".env")


def test_is_of_the_compose_schema(made: dict[str, str]) -> None:
    validator = jsonschema.Draft202012Validator(SCHEMA)
    validator.validate(COMPOSE)
    validator.validate(filled(made))


def test_the_schema_finds_mistakes() -> None:
    broken = json.loads(json.dumps(COMPOSE))
    broken["services"]["redis"]["healtcheck"] = {}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(SCHEMA).validate(broken)


def test_all_parts_are_there() -> None:
    others = {"bridge", ONE_SHOT, "collector", "prometheus", "alertmanager", "grafana"}
    assert SERVICES.keys() == LANGFUSE | others


def test_images_are_pinned() -> None:
    images = {name: str(service["image"]) for name, service in SERVICES.items() if name != "bridge"}
    for name, image in images.items():
        tag = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", image).rsplit(":", 1)[1]
        assert re.search(r"\d+\.\d+|RELEASE\.\d{4}", tag), (name, tag)
    assert images["collector"] == CONTRIB_IMAGE
    assert images["langfuse-web"].split(":", 1)[1] == images["langfuse-worker"].split(":", 1)[1]
    version = re.search(r":-(\d+)\.(\d+)", images["langfuse-web"])
    assert version is not None
    assert (int(version[1]), int(version[2])) >= (4, 59)  # older ones do not know the SDK that we use


def test_every_variable_has_a_default_or_is_a_secret_that_is_made(made: dict[str, str]) -> None:
    for name, uses in variables().items():
        required = {how for how, _ in uses} == {":?"}
        assert required == (name in made), name
        if not required:
            assert len(uses) == 1, f"{name} has several defaults: {uses}"
            assert next(iter(uses))[0] == ":-", name
    assert made.keys() <= variables().keys()


def test_settings_are_documented_with_their_defaults() -> None:
    table = dict(re.findall(r"^#   ([A-Z]+_[A-Z_]+) +(\S+)", TEXT, re.MULTILINE))
    defaults = {
        name: next(iter(uses))[1] or "(empty)"
        for name, uses in variables().items()
        if next(iter(uses))[0] == ":-"
    }
    assert table == defaults


def test_nothing_starts_without_secrets() -> None:
    with pytest.raises(KeyError):
        filled({})


def test_no_password_is_written_down(made: dict[str, str]) -> None:
    secret = re.compile(r"PASSWORD|SECRET|SALT|ENCRYPTION_KEY|_AUTH$|PUBLIC_KEY")
    for name, service in SERVICES.items():
        for key, value in service.get("environment", {}).items():
            if secret.search(key):
                assert re.fullmatch(r"\$\{\w+:\?run make secrets\}", str(value)), (name, key)
        assert "_PASSWORD:?" not in json.dumps(service.get("command", "")), name
    url = filled(made)["services"]["langfuse-web"]["environment"]["DATABASE_URL"]
    assert url == f"postgresql://langfuse:{made['POSTGRES_PASSWORD']}@postgres:5432/langfuse"


def test_secrets_are_made_once_and_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    first = make_secrets(path)
    text = path.read_text()
    made = values(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(set(made.values())) == len(made)
    assert re.fullmatch(r"[0-9a-f]{64}", made["ENCRYPTION_KEY"])
    assert not [value for value in made.values() if value in first.stdout + first.stderr]
    assert not [value for value in made.values() if not re.fullmatch(r"[\w-]{20,}", value)]

    assert make_secrets(path).returncode == 0
    assert path.read_text() == text

    # One that a newer compose file needs is added; what is there, the owner's own too, stays.
    path.write_text("SALT=mine\n" + "\n".join(line for line in text.splitlines() if "SALT" not in line)[:-90])
    before = path.read_text()
    again = make_secrets(path)
    assert path.read_text().startswith(before)
    assert values(path)["SALT"] == "mine"
    assert values(path).keys() >= made.keys()
    assert "added" in again.stdout


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    done = make_secrets(tmp_path / "missing" / ".env")
    assert done.returncode == 1
    assert re.fullmatch(r"error: .*\.env: No such file or directory\n", done.stderr)


def test_make_secrets_is_that_script() -> None:
    done = subprocess.run(["make", "-n", "secrets"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "collector/make_secrets.py" in done.stdout
    ignored = subprocess.run(["git", "check-ignore", "collector/.env"], cwd=ROOT, check=False)
    assert ignored.returncode == 0


def test_everybody_has_the_same_project_keys(made: dict[str, str]) -> None:
    services = filled(made)["services"]
    web, bridge, collector = (
        services[name]["environment"] for name in ("langfuse-web", "bridge", "collector")
    )
    for half in ("PUBLIC_KEY", "SECRET_KEY"):
        same = {
            web[f"LANGFUSE_INIT_PROJECT_{half}"],
            bridge[f"LANGFUSE_{half}"],
            collector[f"LANGFUSE_{half}"],
        }
        assert same == {made[f"LANGFUSE_{half}"]}
    # Without the organisation's id Langfuse ignores all of LANGFUSE_INIT_*.
    assert web["LANGFUSE_INIT_ORG_ID"]
    assert services["grafana"]["environment"]["LANGFUSE_PROJECT"] == web["LANGFUSE_INIT_PROJECT_ID"]


def test_langfuse_has_what_it_cannot_start_without(made: dict[str, str]) -> None:
    services = filled(made)["services"]
    needed = [
        "DATABASE_URL",
        "NEXTAUTH_URL",
        "SALT",
        "ENCRYPTION_KEY",
        "REDIS_HOST",
        "REDIS_PORT",
        "REDIS_AUTH",
    ]
    for name in ("URL", "MIGRATION_URL", "USER", "PASSWORD", "CLUSTER_ENABLED"):
        needed.append(f"CLICKHOUSE_{name}")
    for kind in ("EVENT", "MEDIA"):
        for name in (
            "BUCKET",
            "REGION",
            "ENDPOINT",
            "ACCESS_KEY_ID",
            "SECRET_ACCESS_KEY",
            "FORCE_PATH_STYLE",
        ):
            needed.append(f"LANGFUSE_S3_{kind}_UPLOAD_{name}")
    for name in ("langfuse-web", "langfuse-worker"):
        environment = services[name]["environment"]
        assert [key for key in needed if not environment.get(key)] == []
    assert services["langfuse-web"]["environment"]["NEXTAUTH_SECRET"]
    server = services["minio"]["environment"]
    assert server["MINIO_ROOT_USER"] == environment["LANGFUSE_S3_EVENT_UPLOAD_ACCESS_KEY_ID"]
    assert server["MINIO_ROOT_PASSWORD"] == environment["LANGFUSE_S3_EVENT_UPLOAD_SECRET_ACCESS_KEY"]
    assert "noeviction" in " ".join(services["redis"]["command"])


def test_ports_are_open_to_this_machine_alone(made: dict[str, str]) -> None:
    published = [port for service in filled(made)["services"].values() for port in service.get("ports", [])]
    assert published
    assert [port for port in published if not port.startswith("127.0.0.1:")] == []
    hosts = [port.split(":")[1] for port in published]
    assert len(set(hosts)) == len(hosts)


def memory(service: dict[str, Any]) -> int:
    limit = str(service["deploy"]["resources"]["limits"]["memory"])
    assert limit.endswith("M")
    return int(limit[:-1])


def test_memory_is_limited_and_enough() -> None:
    limits = {name: memory(service) for name, service in SERVICES.items()}
    assert sum(limits[name] for name in LANGFUSE) >= 4096
    assert sum(limits.values()) <= 10 * 1024
    told = SERVICES["collector"]["environment"]
    assert int(told["OTELCOL_MEMORY_MIB"]) < int(told["GOMEMLIMIT"].removesuffix("MiB")) < limits["collector"]


def test_everything_that_runs_is_restarted_and_watched() -> None:
    for name, service in SERVICES.items():
        if name == ONE_SHOT:
            continue
        assert service["restart"] == "unless-stopped", name
        # The Collector's image has nothing that could ask; Prometheus does it.
        assert ("healthcheck" in service) == (name != "collector"), name


def test_health_is_asked_with_what_the_image_certainly_has() -> None:
    """A check that cannot run never passes, and what waits for it never starts."""
    programs = {
        "langfuse-web": "node",
        "langfuse-worker": "node",
        "postgres": "pg_isready",
        "clickhouse": "wget",  # as in Langfuse's own compose file
        "redis": "redis-cli",
        "minio": "mc",
        "bridge": "python",
        "prometheus": "promtool",  # the image may come without a shell
        "alertmanager": "wget",  # busybox: it is started by a shell script, too
        "grafana": "curl",
    }
    found = {}
    for name, service in SERVICES.items():
        if "healthcheck" in service:
            how, *command = service["healthcheck"]["test"]
            assert how in ("CMD", "CMD-SHELL")
            words = " ".join(command).split()
            found[name] = next(word for word in words if "=" not in word)  # variables may come first
    assert found == programs


@pytest.mark.parametrize(
    ("service", "path"), [("langfuse-web", "/api/public/health"), ("langfuse-worker", "/api/health")]
)
def test_the_check_of_langfuse_tells_well_from_ill(service: str, path: str) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node on this machine")
    answers = [200, 503]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(answers.pop(0) if self.path == path else 404)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    _, program, option, script = SERVICES[service]["healthcheck"]["test"]
    assert (program, option) == ("node", "-e")
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        here = re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{server.server_port}", script)
        statuses = [subprocess.run([node, "-e", here], check=False, timeout=30).returncode for _ in range(2)]
        server.shutdown()
    assert statuses == [0, 1]
    assert subprocess.run([node, "-e", here], check=False, timeout=30).returncode == 1  # nobody answers


def test_conditions_name_services_that_can_meet_them() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            condition = how["condition"]
            if condition == "service_healthy":
                assert "healthcheck" in SERVICES[other], (name, other)
            else:
                assert (condition, other) == ("service_completed_successfully", ONE_SHOT)


def test_volumes_are_declared_and_used() -> None:
    used = {
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if re.match(r"[a-z]", volume)
    }
    assert used == COMPOSE["volumes"].keys()


@pytest.mark.parametrize("service", SERVICES)
def test_mounted_files_are_there(service: str) -> None:
    for target, path in mounted(service).items():
        assert path.exists(), (target, path)
    if build := SERVICES[service].get("build"):
        assert (COLLECTOR / build["context"] / build["dockerfile"]).is_file()


@pytest.mark.collector
def test_the_collector_takes_its_configuration(made: dict[str, str], tmp_path: Path) -> None:
    collector = filled(made)["services"]["collector"]
    [config] = mounted("collector").values()
    assert collector["command"] == ["--config", "/etc/otel-agents/otel-collector.yaml"]
    assert list(mounted("collector")) == collector["command"][1:]
    here = {"OTELCOL_STORAGE_DIR": str(tmp_path), "OTELCOL_HOST_ROOT": "/"}
    environment = {**collector["environment"], **here}
    read = set(re.findall(r"\$\{env:(\w+)", config.read_text()))
    assert environment.keys() - {"GOMEMLIMIT"} <= read
    done = subprocess.run(
        [require("collector"), "validate", "--config", config],
        env={**environment, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.prometheus
def test_prometheus_takes_its_configuration_and_rules(tmp_path: Path) -> None:
    for target, path in mounted("prometheus").items():
        place = tmp_path / Path(target).relative_to("/etc/prometheus")
        (shutil.copytree if path.is_dir() else shutil.copyfile)(path, place)
    command = [require("promtool"), "check", "config", tmp_path / "prometheus.yml"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rules = sorted(path.name for path in (ROOT / "grafana" / "rules").glob("*.yaml"))
    assert sorted(re.findall(r"Checking .*/(\w+\.yaml)", done.stdout)) == rules


def test_prometheus_scrapes_as_the_local_stack_does(tmp_path: Path) -> None:
    from otel_agents.config import Settings
    from otel_agents.stack import prometheus
    from otel_agents.stack.ports import Ports

    ports = Ports.of(Settings())
    local = json.loads(prometheus.configuration(ports, 15, True, ports.collector_metrics_port))
    own = yaml.safe_load((COLLECTOR / "prometheus" / "prometheus.yml").read_text())

    def jobs(config: dict[str, Any]) -> dict[str, tuple[bool, str]]:
        return {
            job["job_name"]: (
                job.get("honor_labels", False),
                job["static_configs"][0]["targets"][0].split(":")[1],
            )
            for job in config["scrape_configs"]
        }

    assert jobs(own) == jobs(local)
    for job in own["scrape_configs"]:
        assert job["static_configs"][0]["targets"][0].split(":")[0] in SERVICES
    command = prometheus.command(Path("p"), tmp_path, tmp_path, 1)
    assert "--enable-feature=exemplar-storage" in command
    assert "--enable-feature=exemplar-storage" in SERVICES["prometheus"]["command"]


def test_alertmanager_takes_its_configuration() -> None:
    assert set(mounted("alertmanager")) == {
        "/etc/alertmanager/alertmanager.yaml",
        "/etc/alertmanager/start.sh",
    }
    command = [require("amtool"), "check-config", COLLECTOR / "alertmanager" / "alertmanager.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_grafana_is_provisioned(made: dict[str, str]) -> None:
    grafana = filled(made)["services"]["grafana"]
    folders = mounted("grafana")
    provisioning = folders["/etc/grafana/provisioning"]
    [sources] = (provisioning / "datasources").glob("*.yaml")
    text = sources.read_text()
    for name in re.findall(r"(?<!\$)\$\{(\w+)\}", re.sub(r"^ *#.*$", "", text, flags=re.MULTILINE)):
        assert grafana["environment"].get(name), name
    [source] = yaml.safe_load(text)["datasources"]
    assert (source["type"], source["uid"], source["access"], source["isDefault"]) == (
        "prometheus",
        "prometheus",
        "proxy",
        True,
    )
    assert grafana["environment"]["PROMETHEUS_URL"] == "http://prometheus:9090"
    [boards] = (provisioning / "dashboards").glob("*.yaml")
    loaded = yaml.safe_load(boards.read_text())
    assert loaded["apiVersion"] == yaml.safe_load(text)["apiVersion"] == 1
    [provider] = loaded["providers"]
    assert provider["type"] == "file"
    dashboards = folders[provider["options"]["path"]]
    uids = [json.loads(path.read_text())["uid"] for path in dashboards.glob("*.json")]
    assert len(uids) == len(set(uids)) >= 5


def test_the_bridge_image_holds_what_it_needs_and_no_secret() -> None:
    lines = (COLLECTOR / "bridge" / "Dockerfile").read_text().splitlines()
    copied = [word for line in lines if line.startswith("COPY") for word in line.split()[1:-1]]
    ignore = (COLLECTOR / "bridge" / "Dockerfile.dockerignore").read_text().splitlines()
    assert next(line for line in ignore if not line.startswith("#")) == "*"
    assert {line[1:] for line in ignore if line.startswith("!")} == set(copied)
    for path in copied:
        assert (ROOT / path).exists(), path
    # What the wheel takes from outside of the package has to be copied too.
    project = (ROOT / "pyproject.toml").read_text()
    forced = re.findall(r'^"([^"]+)" = "otel_agents/', project, re.MULTILINE)
    assert forced
    assert [path for path in forced if path not in copied] == []
    assert any(line.startswith("USER 10001") for line in lines)
