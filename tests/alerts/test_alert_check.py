"""``otel-agents alerts check`` against the local backend, with receivers that are really there."""

from __future__ import annotations

import email
import email.policy
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alert_receivers import mail_server, webhook
from parts import free_port
from tasks_rig import add_task, environment_for

from otel_agents.alerts.conditions import Thresholds, Window, readings
from otel_agents.alerts.told import Told, remembered
from otel_agents.langfuse.tasks import Call, Rollup
from otel_agents.local.options import LocalOptions
from otel_agents.local.server import Running, running

COMMAND = Path(sys.executable).with_name("otel-agents")
#: A window that does not change at midnight.
DAY = ("--since", "24h")

Alerts = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def langfuse(tmp_path: Path) -> Iterator[Running]:
    with running(LocalOptions(db=tmp_path / "local.db", port=0)) as found:
        yield found


@pytest.fixture
def alerts(tmp_path: Path, langfuse: Running) -> Alerts:
    foreign = ("OTEL_", "LANGFUSE_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    own = {"OTEL_AGENTS_HOME": str(tmp_path / "home"), "OTEL_AGENTS_DOTENV": "off"}

    def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, "alerts", "check", *arguments],
            env={**inherited, **own, **environment_for(langfuse), **environ},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_within_the_thresholds(alerts: Alerts, langfuse: Running) -> None:
    add_task(langfuse, "claude", cost=4.99)
    done = alerts(*DAY)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("ok     Cost of the time since 20")
    assert done.stdout.endswith("is 4.99 USD (not more than 5)\n")


def test_nothing_at_all_is_within_them(alerts: Alerts) -> None:
    done = alerts("--min-quality", "0.8", "--max-error-share", "0.1", "--json")  # today
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["passed"] is False
    assert [(one["name"], one["value"]) for one in report["readings"]] == [
        ("cost", 0.0),
        ("quality", None),
        ("error_share", None),
    ]


def test_every_threshold_by_hand(alerts: Alerts, langfuse: Running) -> None:
    for quality in (0.5, 0.6, 0.7, 0.8, 0.9):
        add_task(langfuse, "claude", cost=1.5, quality=quality)
    add_task(langfuse, "gemini", cost=0.5, error=True)
    done = alerts(*DAY, "--min-quality", "0.75", "--max-error-share", "0.15", "--json")
    assert done.returncode == 3
    assert "nobody is told" not in done.stdout
    found = {one["name"]: one for one in json.loads(done.stdout)["readings"]}
    assert found["cost"]["value"] == pytest.approx(8.0)
    assert found["quality"]["value"] == pytest.approx(0.7)
    assert found["error_share"]["value"] == pytest.approx(1 / 6)
    assert all(one["passed"] for one in found.values())
    assert "1 of 6 tasks" in found["error_share"]["text"]


def test_few_tasks_say_nothing_of_quality_and_errors(alerts: Alerts, langfuse: Running) -> None:
    add_task(langfuse, "claude", quality=0.1, error=True)
    limits = (*DAY, "--min-quality", "0.8", "--max-error-share", "0.1")
    assert alerts(*limits).returncode == 0
    assert alerts(*limits, "--min-tasks", "1").returncode == 3


def test_webhook_and_slack_are_told_once(alerts: Alerts, langfuse: Running) -> None:
    add_task(langfuse, "claude", cost=6.0)
    with webhook() as hook, webhook() as slack:
        channels = {"OTEL_AGENTS_ALERT_WEBHOOK": hook.url, "OTEL_AGENTS_ALERT_SLACK": slack.url}
        rehearsed = alerts(*DAY, "--dry-run", **channels)
        assert rehearsed.returncode == 3
        assert (hook.bodies, slack.bodies) == ([], [])
        assert "would tell webhook http://127.0.0.1:" in rehearsed.stdout

        first = alerts(*DAY, **channels)
        second = alerts(*DAY, **channels)
        stricter = alerts(*DAY, "--cost", "1", **channels)
    assert (first.returncode, second.returncode, stricter.returncode) == (3, 3, 3)
    assert "told   slack http://127.0.0.1:" in first.stdout
    assert "has been told already" in second.stdout
    assert "secret-path" not in first.stdout + second.stdout + rehearsed.stdout
    # Once for each threshold.
    assert len(hook.bodies) == len(slack.bodies) == 2
    body = hook.bodies[0]
    assert (body["version"], body["status"]) == ("4", "firing")
    (alert,) = body["alerts"]
    assert alert["labels"]["alertname"] == "otel-agents cost"
    assert alert["annotations"]["summary"].endswith("is 6.00 USD (more than 5)")
    assert alert["annotations"]["value"] == "6"
    assert slack.bodies[0]["text"].startswith("otel-agents: Cost of the time since")


def test_another_window_is_told_again(alerts: Alerts, langfuse: Running, tmp_path: Path) -> None:
    add_task(langfuse, "claude", cost=6.0)
    with webhook() as hook:
        alerts(*DAY, OTEL_AGENTS_ALERT_WEBHOOK=hook.url)
        file = tmp_path / "home" / "alerts.json"
        noted = json.loads(file.read_text())["told"]
        assert len(noted) == 1
        assert "secret-path" not in file.read_text()
        yesterday = datetime.now(UTC) - timedelta(hours=24, minutes=1)
        file.write_text(json.dumps({"told": dict.fromkeys(noted, yesterday.isoformat())}))
        alerts(*DAY, OTEL_AGENTS_ALERT_WEBHOOK=hook.url)
    assert len(hook.bodies) == 2


def test_a_receiver_that_is_busy_or_broken(alerts: Alerts, langfuse: Running) -> None:
    add_task(langfuse, "claude", cost=6.0)
    with webhook() as hook, webhook() as slack:
        channels = {"OTEL_AGENTS_ALERT_WEBHOOK": hook.url, "OTEL_AGENTS_ALERT_SLACK": slack.url}
        hook.statuses = [404]
        slack.statuses = [503]
        broken = alerts(*DAY, **channels)
        assert broken.returncode == 1
        (line,) = broken.stderr.splitlines()
        assert line.startswith("error: webhook http://127.0.0.1:")
        assert line.endswith("does not take the alert (status 404: ); check OTEL_AGENTS_ALERT_WEBHOOK")
        assert len(slack.bodies) == 2  # busy once

        mended = alerts(*DAY, **channels)
    assert mended.returncode == 3
    assert (len(hook.bodies), len(slack.bodies)) == (2, 2)


def test_by_e_mail(alerts: Alerts, langfuse: Running) -> None:
    add_task(langfuse, "claude", cost=6.0)
    with mail_server() as mail:
        done = alerts(
            *DAY, OTEL_AGENTS_ALERT_EMAIL="a@example.com,b@example.com", OTEL_AGENTS_SMTP_URL=mail.url
        )
    assert done.returncode == 3, done.stderr
    ((sender, recipients, text),) = mail.mails
    assert (sender, recipients) == ("alerts@example.com", ["a@example.com", "b@example.com"])
    message = email.message_from_string(text, policy=email.policy.default)
    assert message["Subject"].endswith("is 6.00 USD (more than 5)")
    assert "Cost of" in message.get_content()
    assert len(mail.logins) == 1
    assert "pa/ss" not in done.stdout + done.stderr


def test_a_mail_server_that_refuses(alerts: Alerts, langfuse: Running) -> None:
    add_task(langfuse, "claude", cost=6.0)
    with mail_server() as mail:
        mail.refuse = True
        done = alerts(*DAY, "--email", "a@example.com", OTEL_AGENTS_SMTP_URL=mail.url)
    assert done.returncode == 1
    assert "e-mail a@example.com does not get the alert (SMTP" in done.stderr
    assert "go away" in done.stderr
    assert done.stderr.rstrip().endswith("check OTEL_AGENTS_SMTP_URL")


@pytest.mark.parametrize(
    ("arguments", "environ", "status", "message"),
    [
        (("--since", "nonsense"), {}, 2, "--since 'nonsense' is no time"),
        (("--since", "6h"), {}, 2, "give --cost for another time"),
        (("--since", "now"), {}, 2, "is not in the past"),
        (("--cost", "0"), {"OTEL_AGENTS_ALERT_DAILY_COST": "0"}, 2, "no threshold is set"),
        (("--cost", "-1"), {}, 2, "see `otel-agents alerts check --help`"),
        ((), {"OTEL_AGENTS_ALERT_DAILY_COST": "-1"}, 2, "must be a number of at least 0"),
        (("--email", "a@example.com"), {}, 2, "OTEL_AGENTS_SMTP_URL is not set"),
        ((), {"OTEL_AGENTS_SMTP_URL": "mail"}, 2, "must be a URL such as smtp://"),
        ((), {"LANGFUSE_SECRET_KEY": "sk-lf-wrong"}, 1, "refuses the keys (status 401)"),
        ((), {"LANGFUSE_BASE_URL": f"http://127.0.0.1:{free_port()}"}, 1, "is unreachable"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_one_line(
    alerts: Alerts, arguments: tuple[str, ...], environ: dict[str, str], status: int, message: str
) -> None:
    done = alerts(*arguments, **environ)
    assert done.returncode == status, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert message in line


def test_a_broken_memory_is_set_aside(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    (tmp_path / "alerts.json").write_text('{"told": {"a": "yester')
    with remembered(tmp_path, now) as told:
        assert not told.since("a", now - timedelta(days=1))
        told.note("a", now)
    assert len(list(tmp_path.glob("alerts.json.broken-*"))) == 1
    with remembered(tmp_path, now) as told:
        assert told.since("a", now)


def test_calls_without_a_price_are_told_of_whether_in_a_task_or_not() -> None:
    now = datetime.now(UTC)
    outside = [
        Call("house-model", now, 1.0, cost, tokens, 0, tokens, failed=False)
        for cost, tokens in ((None, 5), (0.25, 5), (None, 0))
    ]
    window = Window(now - timedelta(days=1), now, "today")
    thresholds = Thresholds(cost=5.0)
    [found] = readings(Rollup([], outside), thresholds, window)
    assert found.value == 0.25
    assert "1 model call(s) without a price" in found.text


def test_what_is_long_past_is_forgotten(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    with remembered(tmp_path, now) as told:
        told.note("old", now - timedelta(days=70))
        told.note("new", now)
    with remembered(tmp_path, now) as told:
        assert isinstance(told, Told)
        assert list(told.times) == ["new"]
