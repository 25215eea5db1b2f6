"""The table of settings: name, environment variables, meaning, default, and whether it is secret.

Everything else is made from it: reading (``config``), ``.env.example``, docs/configuration.md and
``otel-agents config``. A new setting is one field here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from otel_agents.config import values as values
from otel_agents.config.projects import Project
from otel_agents.config.projects import projects as read_projects

DEFAULT_LANGFUSE_URL: Final = "https://cloud.langfuse.com"
DEFAULT_OTLP_HTTP: Final = "http://localhost:4318"
DEFAULT_OTLP_GRPC: Final = "http://localhost:4317"


class Source(NamedTuple):
    """An environment variable that can fill a setting."""

    name: str
    parse: values.Parser


@dataclass(frozen=True, slots=True)
class Declared:
    """What the table says about one setting, beside its type and default."""

    sources: tuple[Source, ...]
    parse: values.Parser
    help: str
    group: str
    secret: bool
    example: str


def _setting(
    group: str,
    parse: values.Parser,
    *sources: str | tuple[str, values.Parser],
    default: Any,
    help: str,
    secret: bool = False,
    example: str = "",
) -> Any:
    named = tuple(Source(one, parse) if isinstance(one, str) else Source(*one) for one in sources)
    metadata = {"declared": Declared(named, parse, help, group, secret, example)}
    if callable(default):
        return field(default_factory=default, repr=not secret, metadata=metadata)
    return field(default=default, repr=not secret, metadata=metadata)


def _default_home() -> Path:
    return Path.home() / ".otel-agents"


def _default_cache() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "otel-agents"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "otel-agents"


_MODE = "Where telemetry goes"
_OTLP = "OTLP exporter"
_LANGFUSE = "Langfuse"
_SERVICE = "What this service is"
_CONTENT = "Content and privacy"
_CALLS = "Model calls"
_MONEY = "Prices, plans, budgets and guards"
_METRICS = "Metrics"
_EXPORT = "Export of spans"
_ALERTS = "Alerts and the bridge"
_STACK = "Local stack"

_RESOURCE = "OTEL_RESOURCE_ATTRIBUTES"
_CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


def _per_signal(signal: str, what: str, parse: values.Parser, help: str, secret: bool = False) -> Any:
    name = f"OTEL_EXPORTER_OTLP_{signal.upper()}_{what.upper()}"
    return _setting(_OTLP, parse, name, default=None, help=help, secret=secret)


_protocol = values.choice("http/protobuf", "grpc")
_compression = values.choice("gzip", "none")


class Otlp(NamedTuple):
    """How one signal (traces, metrics or logs) is sent by OTLP."""

    endpoint: str
    """Full URL for http/protobuf (with ``/v1/<signal>``), base URL for grpc."""
    protocol: str
    headers: Mapping[str, str]
    timeout: float
    """Seconds for one request."""
    compression: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Resolved settings. ``Settings()`` is the passive state before anything was configured."""

    enabled: bool = _setting(
        _MODE,
        values.boolean,
        ("OTEL_SDK_DISABLED", values.otel_not_disabled),
        default=True,
        help="true turns everything off: no spans, no metrics, no hooks",
        example="false",
    )
    mode: str = _setting(
        _MODE,
        values.choice("auto", "collector", "direct", "disabled"),
        "OTEL_AGENTS_MODE",
        default="disabled",
        help="auto (collector when an OTLP endpoint is set, else direct when both Langfuse keys are, else "
        "disabled), collector, direct or disabled",
        example="auto",
    )

    otlp_endpoint: str | None = _setting(
        _OTLP,
        values.url,
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        default=None,
        help="the Collector, all signals; /v1/traces and so on are added for http/protobuf",
        example="http://127.0.0.1:4318",
    )
    otlp_protocol: str = _setting(
        _OTLP,
        _protocol,
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        default="http/protobuf",
        help="http/protobuf or grpc",
    )
    otlp_headers: Mapping[str, str] = _setting(
        _OTLP,
        values.encoded_pairs,
        "OTEL_EXPORTER_OTLP_HEADERS",
        default=dict,
        secret=True,
        help="headers of every request: name=value,name=value",
    )
    otlp_timeout: float = _setting(
        _OTLP,
        values.otlp_timeout,
        "OTEL_EXPORTER_OTLP_TIMEOUT",
        default=10.0,
        help="seconds for one request (1000 and more are read as milliseconds)",
    )
    otlp_compression: str = _setting(
        _OTLP,
        _compression,
        "OTEL_EXPORTER_OTLP_COMPRESSION",
        default="gzip",
        help="gzip or none",
    )
    otlp_traces_endpoint: str | None = _per_signal(
        "traces", "endpoint", values.url, "full URL for traces alone, used as it is"
    )
    otlp_traces_protocol: str | None = _per_signal("traces", "protocol", _protocol, "for traces alone")
    otlp_traces_headers: Mapping[str, str] | None = _per_signal(
        "traces", "headers", values.encoded_pairs, "for traces alone", secret=True
    )
    otlp_traces_timeout: float | None = _per_signal(
        "traces", "timeout", values.otlp_timeout, "for traces alone"
    )
    otlp_traces_compression: str | None = _per_signal(
        "traces", "compression", _compression, "for traces alone"
    )
    otlp_metrics_endpoint: str | None = _per_signal(
        "metrics", "endpoint", values.url, "full URL for metrics alone, used as it is"
    )
    otlp_metrics_protocol: str | None = _per_signal("metrics", "protocol", _protocol, "for metrics alone")
    otlp_metrics_headers: Mapping[str, str] | None = _per_signal(
        "metrics", "headers", values.encoded_pairs, "for metrics alone", secret=True
    )
    otlp_metrics_timeout: float | None = _per_signal(
        "metrics", "timeout", values.otlp_timeout, "for metrics alone"
    )
    otlp_metrics_compression: str | None = _per_signal(
        "metrics", "compression", _compression, "for metrics alone"
    )
    otlp_logs_endpoint: str | None = _per_signal(
        "logs", "endpoint", values.url, "full URL for logs alone, used as it is"
    )
    otlp_logs_protocol: str | None = _per_signal("logs", "protocol", _protocol, "for logs alone")
    otlp_logs_headers: Mapping[str, str] | None = _per_signal(
        "logs", "headers", values.encoded_pairs, "for logs alone", secret=True
    )
    otlp_logs_timeout: float | None = _per_signal("logs", "timeout", values.otlp_timeout, "for logs alone")
    otlp_logs_compression: str | None = _per_signal("logs", "compression", _compression, "for logs alone")
    traces_exporter: str = _setting(
        _OTLP,
        values.exporter,
        "OTEL_TRACES_EXPORTER",
        default="otlp",
        help="otlp (set explicitly, it chooses the Collector even without an endpoint), console or none",
    )
    metrics_exporter: str = _setting(
        _OTLP,
        values.exporter,
        "OTEL_METRICS_EXPORTER",
        default="otlp",
        help="otlp, prometheus (serve /metrics), console or none",
    )
    logs_exporter: str = _setting(
        _OTLP,
        values.exporter,
        "OTEL_LOGS_EXPORTER",
        default="otlp",
        help="otlp, console or none; evaluation results travel as log records",
    )

    langfuse_public_key: str | None = _setting(
        _LANGFUSE,
        values.text,
        "LANGFUSE_PUBLIC_KEY",
        default=None,
        help="the project's public key; needed in direct mode and by the Collector",
        example="pk-lf-...",
    )
    langfuse_secret_key: str | None = _setting(
        _LANGFUSE,
        values.text,
        "LANGFUSE_SECRET_KEY",
        default=None,
        secret=True,
        help="the project's secret key",
        example="sk-lf-...",
    )
    langfuse_base_url: str = _setting(
        _LANGFUSE,
        values.url,
        "LANGFUSE_BASE_URL",
        "LANGFUSE_HOST",
        default=DEFAULT_LANGFUSE_URL,
        help="Langfuse's address",
    )

    projects: Mapping[str, Project] = _setting(
        _LANGFUSE,
        read_projects,
        "OTEL_AGENTS_PROJECTS",
        default=dict,
        secret=True,
        help="further projects for `context(project=...)`: a TOML or JSON file of [name] tables with "
        "public_key, secret_key and base_url (docs/processes.md)",
        example='{"a": {"public_key": "pk-lf-...", "secret_key": "sk-lf-..."}}',
    )

    service_name: str = _setting(
        _SERVICE,
        values.text,
        "OTEL_SERVICE_NAME",
        (_RESOURCE, values.resource_attribute("service.name")),
        default="unknown_service",
        help="name of this service",
        example="my-agents",
    )
    environment: str | None = _setting(
        _SERVICE,
        values.text,
        "LANGFUSE_TRACING_ENVIRONMENT",
        (_RESOURCE, values.resource_attribute("deployment.environment.name", "deployment.environment")),
        default=None,
        help="environment, such as production",
        example="production",
    )
    release: str | None = _setting(
        _SERVICE,
        values.text,
        "LANGFUSE_RELEASE",
        (_RESOURCE, values.resource_attribute("service.version")),
        default=None,
        help="release of the app",
        example="1.4.2",
    )
    resource_attributes: Mapping[str, str] = _setting(
        _SERVICE,
        values.encoded_pairs,
        _RESOURCE,
        default=dict,
        help="service.name, service.version, deployment.environment.name and any others",
        example="service.name=my-agents,deployment.environment.name=production",
    )

    capture: str = _setting(
        _CONTENT,
        values.choice("all", "messages", "explicit", "none"),
        "OTEL_AGENTS_CAPTURE_CONTENT",
        (_CAPTURE, values.otel_capture),
        default="explicit",
        help="all (messages, and arguments and results of decorated functions), messages (of model calls), "
        "explicit (what the app hands over itself) or none; OTel's variable takes no_content, span_only, "
        "event_only or span_and_event",
        example="all",
    )
    capture_events: bool = _setting(
        _CONTENT,
        values.boolean,
        (_CAPTURE, values.otel_capture_events),
        default=False,
        help="content in events, as event_only and span_and_event ask",
        example="span_and_event",
    )
    eager_content: bool = _setting(
        _CONTENT,
        values.boolean,
        "OTEL_AGENTS_EAGER_CONTENT",
        default=False,
        help="set content before a span ends, for apps that have exporters of their own",
    )
    max_value_chars: int = _setting(
        _CONTENT,
        values.whole_number(64),
        "OTEL_AGENTS_MAX_VALUE_CHARS",
        default=262144,
        help="characters of one content attribute; the rest is cut, with a marker",
    )
    redact_keys: tuple[str, ...] = _setting(
        _CONTENT,
        values.words,
        "OTEL_AGENTS_REDACT_KEYS",
        default=(),
        help="further names whose values are redacted, parted by commas",
        example="iban,customer_number",
    )
    redact_patterns: tuple[str, ...] = _setting(
        _CONTENT,
        values.patterns,
        "OTEL_AGENTS_REDACT_PATTERNS",
        default=(),
        help="further regular expressions whose matches are redacted: a JSON list, or one a line",
        example='["ACME-[0-9]{8}"]',
    )

    normalize: str = _setting(
        _CALLS,
        values.choice("on", "keep", "off"),
        "OTEL_AGENTS_NORMALIZE",
        default="on",
        help="spans of other conventions (OpenInference, OpenLLMetry, older GenAI ...): rewritten in the "
        "conventions' words (on), those beside their own (keep), or left as they are (off)",
        example="keep",
    )
    provider_hosts: Mapping[str, str] = _setting(
        _CALLS,
        values.pairs,
        "OTEL_AGENTS_PROVIDER_HOSTS",
        default=dict,
        help="host:port=provider (or host=provider) for proxies and gateways, parted by commas",
        example="llm.internal:8080=openai",
    )
    propagate_hosts: tuple[str, ...] = _setting(
        _CALLS,
        values.words,
        "OTEL_AGENTS_PROPAGATE_HOSTS",
        default=(),
        help="model hosts that are sent traceparent; none are by default",
        example="llm.internal:8080",
    )
    http_spans: bool = _setting(
        _CALLS,
        values.boolean,
        "OTEL_AGENTS_HTTP_SPANS",
        default=False,
        help="HTTP spans of model calls beside ours",
    )
    cli_agents: tuple[str, ...] = _setting(
        _CALLS,
        values.words,
        "OTEL_AGENTS_CLI_AGENTS",
        default=(),
        help="TOML files that describe further command-line agents, parted by commas (docs/cli-agents.md)",
        example="agents/aider.toml",
    )
    cli_telemetry: bool = _setting(
        _CALLS,
        values.boolean,
        "OTEL_AGENTS_CLI_TELEMETRY",
        default=True,
        help="receive the OpenTelemetry of command-line agents that are run, and join it to the trace",
    )

    prices_file: Path | None = _setting(  # noqa: RUF009
        _MONEY,
        values.folder,
        "OTEL_AGENTS_PRICES_FILE",
        default=None,
        help="prices of your own contracts and aliases of models, TOML or YAML; they win over the price list",
        example="prices.toml",
    )
    plans_file: Path | None = _setting(  # noqa: RUF009
        _MONEY,
        values.folder,
        "OTEL_AGENTS_PLANS_FILE",
        default=None,
        help="flat monthly plans and free tiers, TOML or YAML, for what reports call effective cost",
        example="plans.toml",
    )
    budget: tuple[str, ...] = _setting(
        _MONEY,
        values.budgets,
        "OTEL_AGENTS_BUDGET",
        default=(),
        help="US dollars and a period (monthly, daily, hourly, run), parted by commas; for all processes of "
        "this service on this host; more kinds by set_budget()",
        example="30/monthly,0.5/run",
    )
    budget_on_exceeded: str = _setting(
        _MONEY,
        values.choice("warn", "block", "stop_run"),
        "OTEL_AGENTS_BUDGET_ON_EXCEEDED",
        default="warn",
        help="what those budgets do when they are used up: warn, block (no further model calls) or stop_run "
        "(no further model and tool calls inside of agent runs)",
    )
    guard: Mapping[str, float] = _setting(
        _MONEY,
        values.limits(
            "max_identical_tool_calls", "max_identical_model_calls", "max_depth", "max_seconds", "max_calls"
        ),
        "OTEL_AGENTS_GUARD",
        default=dict,
        help="limits of every agent run, name=number parted by commas: max_identical_tool_calls, "
        "max_identical_model_calls, max_depth, max_seconds, max_calls; a run beyond them is stopped",
        example="max_identical_tool_calls=5,max_seconds=1800",
    )

    older_metrics: bool = _setting(
        _METRICS,
        values.boolean,
        "OTEL_AGENTS_OLDER_METRICS",
        default=False,
        help="also record gen_ai.client.operation.duration and gen_ai.client.token.usage of model calls, for "
        "dashboards that were made for these names",
        example="true",
    )
    metrics_host: str = _setting(
        _METRICS,
        values.text,
        "OTEL_EXPORTER_PROMETHEUS_HOST",
        default="127.0.0.1",
        help="where direct mode serves /metrics",
    )
    metrics_port: int = _setting(
        _METRICS,
        values.port,
        "OTEL_EXPORTER_PROMETHEUS_PORT",
        default=9464,
        help="port of /metrics; 0 takes any free one",
    )
    metric_interval: float = _setting(
        _METRICS,
        values.milliseconds_as_seconds,
        "OTEL_METRIC_EXPORT_INTERVAL",
        default=10.0,
        help="milliseconds between two exports of metrics",
        example="10000",
    )
    label_limit: int = _setting(
        _METRICS,
        values.whole_number(1),
        "OTEL_AGENTS_LABEL_LIMIT",
        default=100,
        help="different values one label may take; further ones become `other`",
    )
    series_limit: int = _setting(
        _METRICS,
        values.whole_number(1),
        "OTEL_AGENTS_SERIES_LIMIT",
        default=2000,
        help="series (combinations of labels) of one metric; further ones are counted under `other`",
    )

    schedule_delay: float = _setting(
        _EXPORT,
        values.milliseconds_as_seconds,
        "OTEL_BSP_SCHEDULE_DELAY",
        default=1.0,
        help="milliseconds between two exports of spans",
        example="1000",
    )
    max_queue_size: int = _setting(
        _EXPORT,
        values.whole_number(1),
        "OTEL_BSP_MAX_QUEUE_SIZE",
        default=8192,
        help="spans kept in memory for export",
    )
    max_batch_size: int = _setting(
        _EXPORT,
        values.whole_number(1),
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
        default=256,
        help="spans of one request",
    )
    export_timeout: float = _setting(
        _EXPORT,
        values.milliseconds_as_seconds,
        "OTEL_BSP_EXPORT_TIMEOUT",
        default=10.0,
        help="milliseconds for the export of one batch, retries included",
        example="10000",
    )
    spool_mode: str = _setting(
        _EXPORT,
        values.choice("memory", "spill", "durable"),
        "OTEL_AGENTS_SPOOL",
        default="spill",
        help="where spans wait: memory, spill (on disk too while the backend does not answer, and at exit) "
        "or durable (on disk, with fsync, when a span's end returns)",
    )
    spool_dir: Path | None = _setting(  # noqa: RUF009
        _EXPORT,
        values.folder,
        "OTEL_AGENTS_SPOOL_DIR",
        default=None,
        help="folder of what waits on disk; `spool` under OTEL_AGENTS_HOME unless set",
        example="/var/lib/my-agents/spool",
    )
    spool_max_bytes: int = _setting(
        _EXPORT,
        values.whole_number(1024 * 1024),
        "OTEL_AGENTS_SPOOL_MAX_BYTES",
        default=1024**3,
        help="bytes on disk for one destination, all processes together",
    )
    spool_max_age: float = _setting(
        _EXPORT,
        values.seconds,
        "OTEL_AGENTS_SPOOL_MAX_AGE",
        default=604800.0,
        help="seconds that a span may wait on disk",
    )
    spool_eviction: str = _setting(
        _EXPORT,
        values.choice("oldest", "value"),
        "OTEL_AGENTS_SPOOL_EVICTION",
        default="oldest",
        help="what gives way when room is short: the oldest, or by value: infrastructure first, then agents "
        "and tools, model calls, errors last",
    )
    spool_checkpoint: float = _setting(
        _EXPORT,
        values.seconds,
        "OTEL_AGENTS_SPOOL_CHECKPOINT",
        default=1.0,
        help="seconds after which a span that still waits in memory is on disk too",
    )
    handle_signals: bool = _setting(
        _EXPORT,
        values.boolean,
        "OTEL_AGENTS_HANDLE_SIGNALS",
        default=True,
        help="send or save what is in memory when SIGTERM, SIGINT or SIGHUP, which the app does not handle, "
        "or `os._exit` ends the process",
    )
    heartbeat: float = _setting(
        _EXPORT,
        values.amount,
        "OTEL_AGENTS_HEARTBEAT",
        default=60.0,
        help="seconds after which, and in which, a run that goes on is noted on disk, so that it is seen as "
        "abandoned after a crash; 0 is never",
    )
    traces_sampler: str = _setting(
        _EXPORT,
        values.choice(
            "always_on",
            "always_off",
            "traceidratio",
            "parentbased_always_on",
            "parentbased_always_off",
            "parentbased_traceidratio",
        ),
        ("OTEL_TRACES_SAMPLER", values.text),  # the SDK's to judge
        default="parentbased_always_on",
        help="OTel's samplers by name, for the tracer provider that is made here; tokens and costs are "
        "counted for unsampled calls too",
    )
    traces_sampler_arg: float | str | None = _setting(
        _EXPORT,
        values.ratio,
        ("OTEL_TRACES_SAMPLER_ARG", values.text),
        default=None,
        help="the sampler's argument, such as a ratio",
        example="0.1",
    )

    alert_daily_cost: float = _setting(
        _ALERTS,
        values.amount,
        "OTEL_AGENTS_ALERT_DAILY_COST",
        default=5.0,
        help="US dollars a day above which `otel-agents alerts` tells; 0 is never",
    )
    alert_quality: float | None = _setting(
        _ALERTS,
        values.amount,
        "OTEL_AGENTS_ALERT_QUALITY",
        default=None,
        help="mean quality score below which it tells",
        example="0.8",
    )
    alert_error_share: float | None = _setting(
        _ALERTS,
        values.ratio,
        "OTEL_AGENTS_ALERT_ERROR_SHARE",
        default=None,
        help="share of failed tasks (0 to 1) above which it tells",
        example="0.2",
    )
    alert_webhook: str | None = _setting(
        _ALERTS,
        values.url,
        "OTEL_AGENTS_ALERT_WEBHOOK",
        default=None,
        secret=True,
        help="where `otel-agents alerts check` and the Alertmanager of `otel-agents up` post alerts",
        example="https://ops.example.com/alerts",
    )
    alert_slack: str | None = _setting(
        _ALERTS,
        values.url,
        "OTEL_AGENTS_ALERT_SLACK",
        default=None,
        secret=True,
        help="the same for an incoming webhook of Slack, or of what takes its format",
        example="https://hooks.slack.com/services/...",
    )
    alert_email: tuple[str, ...] = _setting(
        _ALERTS,
        values.words,
        "OTEL_AGENTS_ALERT_EMAIL",
        default=(),
        help="addresses that get alerts by e-mail, parted by commas; needs OTEL_AGENTS_SMTP_URL",
        example="ops@example.com",
    )
    smtp_url: str | None = _setting(
        _ALERTS,
        values.smtp_url,
        "OTEL_AGENTS_SMTP_URL",
        default=None,
        secret=True,
        help="mail server: smtp:// (STARTTLS when it is offered) or smtps://, with user and password when it "
        "asks for them (percent-encoded)",
        example="smtp://alerts:password@mail.example.com:587",
    )
    alert_sender: str | None = _setting(
        _ALERTS,
        values.text,
        "OTEL_AGENTS_ALERT_SENDER",
        default=None,
        help="sender of these e-mails; by default the mail server's user, else the first recipient",
        example="alerts@example.com",
    )
    prometheus_url: str | None = _setting(
        _ALERTS,
        values.url,
        "OTEL_AGENTS_PROMETHEUS_URL",
        default=None,
        help="Prometheus' address for `otel-agents doctor`; by default the local stack's",
        example="http://prometheus:9090",
    )
    summary_ttl: float = _setting(
        _ALERTS,
        values.seconds,
        "OTEL_AGENTS_SUMMARY_TTL",
        default=30.0,
        help="seconds for which an answer of /langfuse/summary is used again",
    )
    summary_interval: float = _setting(
        _ALERTS,
        values.amount,
        "OTEL_AGENTS_SUMMARY_INTERVAL",
        default=60.0,
        help="seconds between two reads of Langfuse for the bridge's /metrics; 0 reads nothing",
    )
    event_wait: float = _setting(
        _ALERTS,
        values.amount,
        "OTEL_AGENTS_EVENT_WAIT",
        default=2.0,
        help="seconds that the bridge lets a span wait for messages sent as log records; 0 never waits",
    )

    home: Path = _setting(  # noqa: RUF009
        _STACK,
        values.folder,
        "OTEL_AGENTS_HOME",
        default=_default_home,
        help="state of the local stack: data, logs, keys",
        example="~/.otel-agents",
    )
    cache_dir: Path = _setting(  # noqa: RUF009
        _STACK,
        values.folder,
        "OTEL_AGENTS_CACHE_DIR",
        default=_default_cache,
        help="what is slow to build, by version: the Collector",
        example="~/.cache/otel-agents",
    )
    backend_port: int = _setting(
        _STACK, values.port, "OTEL_AGENTS_UI_PORT", default=3000, help="local backend and its web UI"
    )
    otlp_grpc_port: int = _setting(
        _STACK, values.port, "OTEL_AGENTS_OTLP_GRPC_PORT", default=4317, help="Collector, OTLP by gRPC"
    )
    otlp_http_port: int = _setting(
        _STACK, values.port, "OTEL_AGENTS_OTLP_HTTP_PORT", default=4318, help="Collector, OTLP by HTTP"
    )
    collector_metrics_port: int = _setting(
        _STACK,
        values.port,
        "OTEL_AGENTS_COLLECTOR_METRICS_PORT",
        default=8889,
        help="Collector, the apps' metrics for Prometheus",
    )
    collector_self_port: int = _setting(
        _STACK,
        values.port,
        "OTEL_AGENTS_COLLECTOR_SELF_PORT",
        default=8888,
        help="Collector, metrics about itself",
    )
    collector_health_port: int = _setting(
        _STACK, values.port, "OTEL_AGENTS_COLLECTOR_HEALTH_PORT", default=13133, help="Collector, health"
    )
    prometheus_port: int = _setting(
        _STACK, values.port, "OTEL_AGENTS_PROMETHEUS_PORT", default=9090, help="Prometheus"
    )
    bridge_port: int = _setting(_STACK, values.port, "OTEL_AGENTS_BRIDGE_PORT", default=4319, help="bridge")
    model_server_port: int = _setting(
        _STACK, values.port, "OTEL_AGENTS_MODEL_SERVER_PORT", default=4010, help="demo's model server"
    )
    collector_bin: str | None = _setting(
        _STACK,
        values.text,
        "OTELCOL_BIN",
        default=None,
        help="the Collector's binary; else PATH, the cache, Docker or a build with Go",
        example="/usr/local/bin/otelcol-contrib",
    )
    prometheus_bin: str | None = _setting(
        _STACK,
        values.text,
        "PROMETHEUS_BIN",
        default=None,
        help="Prometheus' binary; else PATH",
        example="/usr/bin/prometheus",
    )

    origins: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """Where each setting's value came from, by the setting's name."""
    warnings: tuple[str, ...] = field(default=(), repr=False, compare=False)
    """What was odd but could be lived with; one line each, for a log."""

    def otlp(self, signal: str) -> Otlp | None:
        """How ``signal`` (``traces``, ``metrics`` or ``logs``) goes to the Collector; None when it does not.

        It does not when the signal's exporter is not ``otlp``, or when only other signals have endpoints.
        """
        if getattr(self, f"{signal}_exporter") != "otlp" or self.mode != "collector":
            return None
        own = {
            what: getattr(self, f"otlp_{signal}_{what}")
            for what in ("endpoint", "protocol", "headers", "timeout", "compression")
        }
        protocol = own["protocol"] or self.otlp_protocol
        endpoint, base = own["endpoint"], self.otlp_endpoint
        if endpoint is None and base is None:
            if self.otlp_traces_endpoint or self.otlp_metrics_endpoint or self.otlp_logs_endpoint:
                return None
            base = DEFAULT_OTLP_GRPC if protocol == "grpc" else DEFAULT_OTLP_HTTP
        if endpoint is None:
            endpoint = base if protocol == "grpc" else f"{base}/v1/{signal}"
        return Otlp(
            str(endpoint),
            protocol,
            self.otlp_headers if own["headers"] is None else own["headers"],
            own["timeout"] or self.otlp_timeout,
            own["compression"] or self.otlp_compression,
        )


@cache
def table() -> Mapping[str, Declared]:
    """What is declared about each setting, by field name, in the order of :class:`Settings`."""
    return {one.name: one.metadata["declared"] for one in fields(Settings) if "declared" in one.metadata}
