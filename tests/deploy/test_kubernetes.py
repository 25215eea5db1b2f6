"""collector/k8s: of the schemas, of files that are there, and consistent with each other."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from compose_file import COLLECTOR, ROOT, SERVICES
from modelserver import running
from parts import require
from referencing import Registry, Resource
from stub_backend import StubBackend
from tiers import OVERLAYS, validated

K8S = COLLECTOR / "k8s"
SCHEMAS = {
    path.name: json.loads(path.read_text()) for path in (Path(__file__).parent / "schemas").glob("*.json")
}
REGISTRY = Registry().with_resources(
    (name, Resource.from_contents(one)) for name, one in SCHEMAS.items() if "$schema" in one
)
NAMESPACE = "observability"


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((K8S / name).read_text()))


def values(tier: str) -> dict[str, Any]:
    [loaded] = documents(f"{tier}-values.yaml")
    return loaded


def strict(schema: Any) -> Any:
    """A CRD's schema that refuses what the API server would silently leave out."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(one) for key, one in schema.items()}
    open_ended = made.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in made
    if isinstance(made.get("properties"), dict) and made.get("type") == "object" and not open_ended:
        made["additionalProperties"] = False
    return made


def crd(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = strict(SCHEMAS[name])
    schema["properties"]["metadata"] = {**SCHEMAS["workloads.json"]["$defs"]["metadata"]}
    schema["$defs"] = SCHEMAS["workloads.json"]["$defs"]
    return schema


@pytest.mark.parametrize(
    ("file", "schema"),
    [
        ("instrumentation.yaml", "instrumentation.json"),
        ("servicemonitor.yaml", "servicemonitor.json"),
        ("prometheusrule.yaml", "prometheusrule.json"),
    ],
)
def test_resources_are_of_their_schema(file: str, schema: str) -> None:
    validator = jsonschema.Draft202012Validator(crd(schema))
    for document in documents(file):
        validator.validate(document)
        document["spec"]["surprise"] = 1
        assert [error.message for error in validator.iter_errors(document)]


@pytest.mark.parametrize("tier", ["agent", "gateway"])
def test_values_are_of_the_chart(tier: str) -> None:
    validator = jsonschema.Draft202012Validator(SCHEMAS["chart-values.json"], registry=REGISTRY)
    validator.validate(values(tier))
    assert list(validator.iter_errors({**values(tier), "extraEnv": []}))


def test_the_bridge_is_of_the_schema() -> None:
    validator = jsonschema.Draft202012Validator(SCHEMAS["workloads.json"], registry=REGISTRY)
    for document in documents("bridge.yaml"):
        validator.validate(document)


def test_every_file_is_tested() -> None:
    assert {path.name for path in K8S.iterdir() if path.is_file()} == {
        "agent-values.yaml",
        "gateway-values.yaml",
        "bridge.yaml",
        "instrumentation.yaml",
        "servicemonitor.yaml",
        "prometheusrule.yaml",
        "generate.py",
    }


def test_the_rules_are_those_of_grafana() -> None:
    done = subprocess.run(
        [sys.executable, K8S / "generate.py", "--check"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
    [rule] = documents("prometheusrule.yaml")
    groups = []
    for path in sorted((ROOT / "grafana" / "rules").glob("*.yaml")):
        groups += yaml.safe_load(path.read_text())["groups"]
    assert rule["spec"]["groups"] == groups


@pytest.mark.prometheus
def test_promtool_takes_the_rules(tmp_path: Path) -> None:
    [rule] = documents("prometheusrule.yaml")
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rule["spec"]))
    command = [require("promtool"), "check", "rules", tmp_path / "rules.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("tier", ["agent", "gateway"])
def test_a_collector_has_a_volume_for_its_queue_and_fits(tier: str) -> None:
    given = values(tier)
    environment = {one["name"]: one["value"] for one in given["extraEnvs"]}
    mounts = {one["name"]: one["mountPath"] for one in given["extraVolumeMounts"]}
    assert environment["OTELCOL_STORAGE_DIR"].startswith(mounts["queues"])
    assert given["image"]["repository"] + ":" + given["image"]["tag"] == SERVICES["collector"]["image"]
    assert given["configMap"] == {"create": False, "existingName": "otel-agents-collector"}
    limit = given["resources"]["limits"]["memory"]
    mebibytes = int(limit[:-2]) * (1024 if limit.endswith("Gi") else 1)
    # The Collector waits before the kernel kills it; what is not Go's heap comes on top.
    assert int(environment["OTELCOL_MEMORY_MIB"]) <= mebibytes / 2
    used = set(re.findall(r"\$\{env:(\w+)", (ROOT / "otel-collector.yaml").read_text()))
    used |= set(re.findall(r"\$\{env:(\w+)", (OVERLAYS / f"{tier}.yaml").read_text()))
    assert environment.keys() <= used
    if tier == "gateway":
        [claim] = given["statefulset"]["volumeClaimTemplates"]
        assert claim["metadata"]["name"] == "queues"
        size = int(claim["spec"]["resources"]["requests"]["storage"].removesuffix("Gi")) << 30
        assert size > 2 * int(environment["OTELCOL_QUEUE_BYTES"])  # compaction writes a second file


@pytest.mark.collector
@pytest.mark.parametrize("tier", ["agent", "gateway"])
def test_the_collector_takes_its_configuration(tier: str, tmp_path: Path) -> None:
    assert values(tier)["command"]["extraArgs"] == [f"--config=/overlays/{tier}.yaml"]
    assert validated(require("collector"), tmp_path, tier) == (0, "")


def services() -> dict[str, set[int]]:
    """What can be reached in the cluster: names with ports."""
    found = {
        given["fullnameOverride"]: {one["servicePort"] for one in given["ports"].values() if one["enabled"]}
        for given in (values("agent"), values("gateway"))
    }
    for document in documents("bridge.yaml"):
        if document["kind"] == "Service":
            found[document["metadata"]["name"]] = {one["port"] for one in document["spec"]["ports"]}
    return found


def test_every_address_is_of_a_service_that_is_there() -> None:
    given = [one["value"] for tier in ("agent", "gateway") for one in values(tier)["extraEnvs"]]
    addresses = [one for one in given if "://" in one]
    addresses.append(documents("instrumentation.yaml")[0]["spec"]["exporter"]["endpoint"])
    addresses = [one.replace("dns:///", "dns://") for one in addresses]
    assert len(addresses) == 4
    for address in addresses:
        found = re.fullmatch(r"\w+://([\w-]+)\.(\w+)(?:\.svc\.cluster\.local)?:(\d+)(/.*)?", address)
        assert found is not None, address
        assert found[2] == NAMESPACE
        assert int(found[3]) in services()[found[1]], address


def test_scraped_as_by_the_compose_file() -> None:
    jobs: dict[str, set[tuple[int, bool]]] = {}
    ports = {
        "otel-agent": {name: one.get("servicePort") for name, one in values("agent")["ports"].items()},
        "otel-gateway": {name: one.get("servicePort") for name, one in values("gateway")["ports"].items()},
        "otel-agents-bridge": {"http": 4319},
    }
    for monitor in documents("servicemonitor.yaml"):
        [target] = monitor["spec"]["selector"]["matchLabels"].values()
        for endpoint in monitor["spec"]["endpoints"]:
            [relabel] = endpoint["relabelings"]
            assert relabel["targetLabel"] == "job"
            port = ports[target][endpoint["port"]]
            assert port
            jobs.setdefault(relabel["replacement"], set()).add((port, endpoint.get("honorLabels", False)))
    own = yaml.safe_load((COLLECTOR / "prometheus" / "prometheus.yml").read_text())
    assert jobs == {
        job["job_name"]: {
            (int(job["static_configs"][0]["targets"][0].split(":")[1]), job.get("honor_labels", False))
        }
        for job in own["scrape_configs"]
    }


@pytest.mark.parametrize("folder", ["bridge", "k8s/autoinstrumentation"])
def test_images_get_no_more_than_they_need(folder: str) -> None:
    ignored = (COLLECTOR / folder / "Dockerfile.dockerignore").read_text()
    assert ignored == (COLLECTOR / "bridge" / "Dockerfile.dockerignore").read_text()
    assert ignored.split("\n*\n")[0].startswith("#")


def test_an_app_that_is_injected_sends(tmp_path: Path) -> None:
    """As the operator does it: packages on PYTHONPATH, settings in the environment, the app untouched."""
    packages = sysconfig.get_path("purelib")
    spec = documents("instrumentation.yaml")[0]["spec"]
    app = tmp_path / "app.py"
    with StubBackend() as backend, running(latency="none") as server:
        app.write_text(
            "import openai\n"
            f"client = openai.OpenAI(base_url='{server.url}/v1', api_key='sk-any', max_retries=0)\n"
            "client.chat.completions.create(model='gpt-4o', messages=[{'role': 'user', 'content': 'hi'}])\n"
        )
        # Not the environment's own Python: that one would find the packages without help.
        python = Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "PYTHONPATH": f"{packages}/opentelemetry/instrumentation/auto_instrumentation:{packages}:{ROOT}",
            "OTEL_SERVICE_NAME": "app",
            "OTEL_EXPORTER_OTLP_ENDPOINT": backend.url,
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_AGENTS_DOTENV": "off",
            **{one["name"]: one["value"] for one in spec["python"]["env"]},
        }
        done = subprocess.run(
            [python, app],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        spans = [one for one in backend.spans() if one.name == "chat gpt-4o"]
        assert len(spans) == 1
        assert "hi" not in str(spans[0].attributes)  # the resource says that content is not captured
        assert {request.path for request in backend.requests} >= {"/v1/traces", "/v1/metrics"}
