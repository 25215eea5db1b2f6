"""Where settings come from, which one wins, and what a bad one says."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from otel_agents.config import ConfigError, Settings, export_dotenv, resolve, table


def from_env(**environ: str) -> Settings:
    return resolve(environ=environ, dotenv=False)


@pytest.fixture
def dotenv(tmp_path: Path) -> Path:
    return tmp_path / ".env"


class TestPrecedence:
    def test_argument_over_environment_over_dotenv_over_default(self, dotenv: Path) -> None:
        dotenv.write_text("OTEL_SERVICE_NAME=file\nOTEL_AGENTS_LABEL_LIMIT=7\nLANGFUSE_RELEASE=r1\n")
        environ = {"OTEL_SERVICE_NAME": "environment", "OTEL_AGENTS_LABEL_LIMIT": "8"}
        settings = resolve({"service_name": "argument"}, environ, dotenv)
        assert (settings.service_name, settings.label_limit, settings.release) == ("argument", 8, "r1")
        assert settings.max_queue_size == 8192
        assert settings.origins["service_name"] == "argument"
        assert settings.origins["label_limit"] == "environment OTEL_AGENTS_LABEL_LIMIT"
        assert settings.origins["release"] == f"{dotenv} LANGFUSE_RELEASE"
        assert settings.origins["max_queue_size"] == "default"

    def test_none_as_argument_is_no_argument(self) -> None:
        settings = resolve({"service_name": None}, {"OTEL_SERVICE_NAME": "x"}, False)
        assert settings.service_name == "x"

    def test_empty_variable_is_an_unset_one(self) -> None:
        assert from_env(OTEL_SERVICE_NAME="  ", OTEL_AGENTS_LABEL_LIMIT="").service_name == "unknown_service"

    def test_unknown_argument(self) -> None:
        with pytest.raises(ConfigError, match="'servise_name' is not a setting"):
            resolve({"servise_name": "x"}, {}, False)

    @pytest.mark.parametrize(
        ("environ", "field", "expected"),
        [
            ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=a"}, "service_name", "a"),
            ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=a", "OTEL_SERVICE_NAME": "b"}, "service_name", "b"),
            ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=my%20app,x=1"}, "service_name", "my app"),
            ({"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=prod"}, "environment", "prod"),
            ({"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=old"}, "environment", "old"),
            (
                {
                    "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=a",
                    "LANGFUSE_TRACING_ENVIRONMENT": "b",
                },
                "environment",
                "b",
            ),
            ({"OTEL_RESOURCE_ATTRIBUTES": "service.version=1.2"}, "release", "1.2"),
            ({"OTEL_RESOURCE_ATTRIBUTES": "service.version=1.2", "LANGFUSE_RELEASE": "r"}, "release", "r"),
            ({"LANGFUSE_HOST": "http://a:1/"}, "langfuse_base_url", "http://a:1"),
            (
                {"LANGFUSE_HOST": "http://a:1", "LANGFUSE_BASE_URL": "http://b:2"},
                "langfuse_base_url",
                "http://b:2",
            ),
            ({}, "langfuse_base_url", "https://cloud.langfuse.com"),
            ({"OTEL_SDK_DISABLED": "TRUE"}, "enabled", False),
            ({"OTEL_SDK_DISABLED": "1"}, "enabled", True),  # OTel: only "true" is true
            ({"OTEL_BSP_SCHEDULE_DELAY": "250"}, "schedule_delay", 0.25),
            ({"OTEL_METRIC_EXPORT_INTERVAL": "60000"}, "metric_interval", 60.0),
            ({"OTEL_EXPORTER_OTLP_TIMEOUT": "5"}, "otlp_timeout", 5.0),
            ({"OTEL_EXPORTER_OTLP_TIMEOUT": "5000"}, "otlp_timeout", 5.0),
            ({"OTEL_EXPORTER_OTLP_HEADERS": "a=b%20c, d=e"}, "otlp_headers", {"a": "b c", "d": "e"}),
            (
                {"OTEL_AGENTS_PROVIDER_HOSTS": "a:80=openai,b=anthropic"},
                "provider_hosts",
                {"a:80": "openai", "b": "anthropic"},
            ),
            ({"OTEL_AGENTS_PROPAGATE_HOSTS": "a, b:1 ,"}, "propagate_hosts", ("a", "b:1")),
            ({"OTEL_AGENTS_REDACT_PATTERNS": '["a{1,2}", "b"]'}, "redact_patterns", ("a{1,2}", "b")),
            ({"OTEL_AGENTS_REDACT_PATTERNS": "[a-c]{1,2}\nb"}, "redact_patterns", ("[a-c]{1,2}", "b")),
            ({"OTEL_AGENTS_HTTP_SPANS": "yes"}, "http_spans", True),
            ({"OTEL_AGENTS_HOME": "/x/y"}, "home", Path("/x/y")),
            ({"OTEL_TRACES_EXPORTER": "console,otlp"}, "traces_exporter", "otlp"),
            ({"OTEL_METRICS_EXPORTER": "prometheus"}, "metrics_exporter", "prometheus"),
            ({"OTEL_EXPORTER_PROMETHEUS_PORT": "0"}, "metrics_port", 0),
        ],
    )
    def test_value(self, environ: dict[str, str], field: str, expected: object) -> None:
        assert getattr(resolve(environ=environ, dotenv=False), field) == expected

    @pytest.mark.parametrize(
        ("field", "value", "expected"),
        [
            ("enabled", False, False),
            ("schedule_delay", 0.25, 0.25),
            ("redact_keys", ["a", "b"], ("a", "b")),
            ("provider_hosts", {"a": "b"}, {"a": "b"}),
            ("home", Path("/x"), Path("/x")),
            ("metrics_port", 0, 0),
            ("capture", "ALL", "all"),
        ],
    )
    def test_arguments_may_be_of_their_own_type(self, field: str, value: object, expected: object) -> None:
        assert getattr(resolve({field: value}, {}, False), field) == expected


class TestMode:
    KEYS: ClassVar = {"LANGFUSE_PUBLIC_KEY": "pk-lf-1", "LANGFUSE_SECRET_KEY": "sk-lf-1"}

    @pytest.mark.parametrize(
        ("environ", "mode"),
        [
            ({}, "disabled"),
            (KEYS, "direct"),
            ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, "collector"),
            ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, "collector"),
            ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", **KEYS}, "collector"),
            ({"OTEL_TRACES_EXPORTER": "otlp", **KEYS}, "collector"),
            ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c:4318/v1/metrics", **KEYS}, "direct"),
            ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c:4318/v1/metrics"}, "collector"),
            ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "LANGFUSE_PUBLIC_KEY": "pk"}, "collector"),
            ({"OTEL_SDK_DISABLED": "true", **KEYS}, "disabled"),
            ({"OTEL_SDK_DISABLED": "true", "LANGFUSE_PUBLIC_KEY": "pk"}, "disabled"),
            (
                {"OTEL_AGENTS_MODE": "direct", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", **KEYS},
                "direct",
            ),
            ({"OTEL_AGENTS_MODE": "auto", **KEYS}, "direct"),
            ({"OTEL_AGENTS_MODE": "disabled", **KEYS}, "disabled"),
        ],
    )
    def test_is_chosen_by_what_is_set(self, environ: dict[str, str], mode: str) -> None:
        assert resolve(environ=environ, dotenv=False).mode == mode

    def test_nothing_set_is_one_warning(self) -> None:
        (warning,) = from_env().warnings
        assert "OTEL_EXPORTER_OTLP_ENDPOINT" in warning
        assert "\n" not in warning

    def test_switched_off_is_no_warning(self) -> None:
        assert from_env(OTEL_SDK_DISABLED="true").warnings == ()
        assert from_env(OTEL_AGENTS_MODE="disabled").warnings == ()

    def test_grpc_port_with_http_protocol_is_a_warning(self) -> None:
        (warning,) = from_env(OTEL_EXPORTER_OTLP_ENDPOINT="http://c:4317").warnings
        assert "OTEL_EXPORTER_OTLP_PROTOCOL" in warning


class TestOtlp:
    def test_signal_paths_are_added_for_http_only(self) -> None:
        base = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318/base/"}
        http = from_env(**base).otlp("metrics")
        assert http is not None
        assert http.endpoint == "http://c:4318/base/v1/metrics"
        grpc = from_env(**base, OTEL_EXPORTER_OTLP_PROTOCOL="grpc").otlp("metrics")
        assert grpc is not None
        assert grpc.endpoint == "http://c:4318/base"

    def test_signal_variables_win_and_are_used_as_they_are(self) -> None:
        settings = from_env(
            OTEL_EXPORTER_OTLP_ENDPOINT="http://c:4318",
            OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="http://d:9/custom",
            OTEL_EXPORTER_OTLP_HEADERS="a=1",
            OTEL_EXPORTER_OTLP_TRACES_HEADERS="b=2",
            OTEL_EXPORTER_OTLP_TRACES_TIMEOUT="3",
            OTEL_EXPORTER_OTLP_TRACES_COMPRESSION="none",
        )
        assert settings.otlp("traces") == ("http://d:9/custom", "http/protobuf", {"b": "2"}, 3.0, "none")
        assert settings.otlp("logs") == ("http://c:4318/v1/logs", "http/protobuf", {"a": "1"}, 10.0, "gzip")

    def test_exporter_asked_for_without_endpoint_goes_to_the_default_one(self) -> None:
        otlp = from_env(OTEL_TRACES_EXPORTER="otlp").otlp("traces")
        assert otlp is not None
        assert otlp.endpoint == "http://localhost:4318/v1/traces"

    def test_no_endpoint_for_this_signal(self) -> None:
        settings = from_env(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="http://c:4318/v1/traces")
        assert settings.otlp("metrics") is None

    def test_exporter_none(self) -> None:
        settings = from_env(OTEL_EXPORTER_OTLP_ENDPOINT="http://c:4318", OTEL_LOGS_EXPORTER="none")
        assert settings.otlp("logs") is None


class TestCapture:
    OTEL = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
    OURS = "OTEL_AGENTS_CAPTURE_CONTENT"

    @pytest.mark.parametrize(
        ("environ", "capture", "events"),
        [
            ({}, "explicit", False),
            ({OTEL: "no_content"}, "explicit", False),
            ({OTEL: "SPAN_ONLY"}, "all", False),
            ({OTEL: "event_only"}, "explicit", True),
            ({OTEL: "span_and_event"}, "all", True),
            ({OTEL: "span_only", OURS: "none"}, "none", False),
            ({OTEL: "event_only", OURS: "none"}, "none", False),
            ({OTEL: "no_content", OURS: "messages"}, "messages", False),
        ],
    )
    def test_modes(self, environ: dict[str, str], capture: str, events: bool) -> None:
        settings = resolve(environ=environ, dotenv=False)
        assert (settings.capture, settings.capture_events) == (capture, events)

    def test_true_is_not_a_mode_of_otel(self) -> None:
        settings = resolve(environ={self.OTEL: "true", "OTEL_AGENTS_MODE": "disabled"}, dotenv=False)
        assert settings.capture == "explicit"
        (warning,) = settings.warnings
        assert self.OTEL in warning
        assert "span_only" in warning


class TestErrors:
    @pytest.mark.parametrize(
        ("environ", "message"),
        [
            ({"LANGFUSE_PUBLIC_KEY": "pk-lf-1"}, "LANGFUSE_SECRET_KEY is not set"),
            ({"LANGFUSE_SECRET_KEY": "sk-lf-1"}, "LANGFUSE_PUBLIC_KEY is not set"),
            ({"LANGFUSE_PUBLIC_KEY": "sk-lf-1", "LANGFUSE_SECRET_KEY": "pk-lf-1"}, "swapped"),
            ({"LANGFUSE_HOST": "localhost:3000"}, "LANGFUSE_HOST must be a URL"),
            ({"LANGFUSE_HOST": "http://localhost:port"}, "LANGFUSE_HOST must be a URL"),
            ({"OTEL_AGENTS_MODE": "direct"}, "set LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY"),
            ({"OTEL_AGENTS_CAPTURE_CONTENT": "true"}, "all, messages, explicit, none, not 'true'"),
            (
                {"OTEL_AGENTS_LABEL_LIMIT": "0"},
                "OTEL_AGENTS_LABEL_LIMIT must be a whole number of at least 1",
            ),
            ({"OTEL_AGENTS_UI_PORT": "70000"}, "from 0 to 65535"),
            ({"OTEL_AGENTS_PROVIDER_HOSTS": "a:80"}, "name=value"),
            ({"OTEL_AGENTS_REDACT_PATTERNS": "("}, "regular expressions"),
            ({"OTEL_AGENTS_HTTP_SPANS": "maybe"}, "true or false"),
        ],
    )
    def test_ours_and_langfuses_say_what_and_what_next(self, environ: dict[str, str], message: str) -> None:
        with pytest.raises(ConfigError) as raised:
            resolve(environ=environ, dotenv=False)
        assert message in str(raised.value)
        assert "\n" not in str(raised.value)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("OTEL_BSP_SCHEDULE_DELAY", "soon"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "-1"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "nan"),
            ("OTEL_EXPORTER_PROMETHEUS_PORT", "http"),
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name"),
        ],
    )
    def test_otels_own_are_ignored_with_a_warning(self, name: str, value: str) -> None:
        settings = resolve(environ={name: value, "OTEL_AGENTS_MODE": "disabled"}, dotenv=False)
        (warning,) = settings.warnings
        assert warning.startswith(name)
        assert warning.endswith("ignored")
        plain = from_env(OTEL_AGENTS_MODE="disabled")
        assert settings == plain

    def test_secret_values_are_in_no_message_and_no_repr(self) -> None:
        environ = {
            "LANGFUSE_PUBLIC_KEY": "pk-lf-1",
            "LANGFUSE_SECRET_KEY": "sk-lf-canary",
            "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer%20canary",
        }
        assert "canary" not in repr(resolve(environ=environ, dotenv=False))
        bad = resolve(
            environ={"OTEL_EXPORTER_OTLP_HEADERS": "canary", "OTEL_AGENTS_MODE": "disabled"}, dotenv=False
        )
        assert "canary" not in " ".join(bad.warnings)


class TestDotenv:
    def test_in_the_working_folder_is_read(self, dotenv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        dotenv.write_text("export OTEL_SERVICE_NAME='from file' # comment\n")
        monkeypatch.chdir(dotenv.parent)
        settings = resolve(environ={})
        assert settings.service_name == "from file"
        assert settings.origins["service_name"] == ".env OTEL_SERVICE_NAME"

    def test_off(self, dotenv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        dotenv.write_text("OTEL_SERVICE_NAME=file\n")
        monkeypatch.chdir(dotenv.parent)
        assert resolve(environ={"OTEL_AGENTS_DOTENV": "off"}).service_name == "unknown_service"

    def test_named(self, tmp_path: Path) -> None:
        other = tmp_path / "other.env"
        other.write_text("OTEL_SERVICE_NAME=other\n")
        assert resolve(environ={"OTEL_AGENTS_DOTENV": str(other)}).service_name == "other"

    def test_named_but_missing(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"does not exist; point OTEL_AGENTS_DOTENV"):
            resolve(environ={"OTEL_AGENTS_DOTENV": str(tmp_path / "none")})

    def test_unreadable(self, dotenv: Path) -> None:
        dotenv.mkdir()
        with pytest.raises(ConfigError, match="is a directory"):
            resolve(environ={}, dotenv=dotenv)

    def test_not_text(self, dotenv: Path) -> None:
        dotenv.write_bytes(b"\xff\xfe\x00A")
        with pytest.raises(ConfigError, match="not UTF-8"):
            resolve(environ={}, dotenv=dotenv)

    def test_windows_file_with_byte_order_mark(self, dotenv: Path) -> None:
        dotenv.write_bytes(b"\xef\xbb\xbfOTEL_SERVICE_NAME=a\r\nLANGFUSE_RELEASE=b\r\n")
        settings = resolve(environ={}, dotenv=dotenv)
        assert (settings.service_name, settings.release) == ("a", "b")

    def test_export_sets_only_unset_names_of_otel_and_langfuse(self, dotenv: Path) -> None:
        dotenv.write_text(
            "OTEL_A=file\nOTEL_B=file\nLANGFUSE_HOST=file\nPATH=evil\nOTEL_AGENTS_X=file\nOTEL_E\n"
        )
        environ = {"OTEL_A": "set", "OTEL_B": "", "PATH": "/bin"}
        assert export_dotenv(environ, dotenv) == ("OTEL_B", "LANGFUSE_HOST", "OTEL_AGENTS_X")
        assert environ == {
            "OTEL_A": "set",
            "OTEL_B": "file",
            "LANGFUSE_HOST": "file",
            "OTEL_AGENTS_X": "file",
            "PATH": "/bin",
        }


class TestTable:
    def test_every_field_is_declared(self) -> None:
        assert set(Settings.__dataclass_fields__) - set(table()) == {"origins", "warnings"}

    def test_every_setting_has_a_variable_and_a_meaning(self) -> None:
        for name, declared in table().items():
            assert declared.sources, name
            assert declared.help, name

    def test_defaults_are_what_nothing_resolves_to(self) -> None:
        assert from_env() == Settings()
