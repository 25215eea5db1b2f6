"""`otel-agents report` as a user runs it: every format, and one line for whatever goes wrong."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from parts import free_port
from report_history import SINCE, Book
from report_rig import Report, client_of

from otel_agents.cli import main
from otel_agents.local.faults import Fault
from otel_agents.local.options import LocalOptions
from otel_agents.local.server import Running, running
from otel_agents.reports.period import period
from otel_agents.stack import state

APRIL = ("--since", "2026-04-01", "--until", "2026-05-01")

PLANS = """
[plans.claude-pro]
fee = 20
agents = ["claude"]

[plans.copilot]
fee = 10
agents = ["copilot"]
"""


@pytest.fixture
def plans(tmp_path: Path) -> dict[str, str]:
    path = tmp_path / "plans.toml"
    path.write_text(PLANS)
    return {"OTEL_AGENTS_PLANS_FILE": str(path)}


def test_table(report: Report, month: Running, plans: dict[str, str]) -> None:
    done = report(*APRIL, backend=month, env=plans)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "tasks 700 succeeded 90.3 % attempts 700 model calls 700" in lines
    assert "cost by the token $1.02 a month $1.02 a year $12.24 a task $0.0015" in lines
    assert "cost with plans $30.00 a month $30.00 a year $360.00" in lines
    assert "response time mean 7.8 s p50 7.0 s p95 13.0 s" in lines
    assert "quality 0.875 of 550 scored tasks" in lines
    assert "compression 3.8x 73.7 % fewer tokens" in lines
    assert "agent switches 10 quality gained +0.200 of 10" in lines
    assert "claude 150 $0.69 $0.0046 $20.00 $0.1333 $0.0276 228,450 1,523" in lines
    assert "gemini 88.0 % 7.0 s 7.0 s 8.0 s 0.850 300 0 – –" in lines
    assert "claude-pro $20.00 $20.00 150 $0.1333 $0.69 -$19.31 –" in lines
    assert (
        "• Plan copilot cost $10.00 for 100 tasks that would have been $0.33 by the token: $9.67 more."
        in lines
    )


def test_json(report: Report, month: Running, plans: dict[str, str]) -> None:
    done = report(*APRIL, "--format", "json", "--by", "task_type", backend=month, env=plans)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert list(found) == [
        "schema",
        "source",
        "generated",
        "since",
        "until",
        "environments",
        "by",
        "total",
        "groups",
        "projection",
        "plans",
        "step",
        "timeline",
        "insights",
        "notes",
        "outside",
    ]
    assert (found["schema"], found["by"], found["source"]) == ("otel-agents/report/1", "task_type", month.url)
    assert (found["since"], found["until"]) == ("2026-04-01T00:00:00.000Z", "2026-05-01T00:00:00.000Z")
    assert found["projection"] == {
        "days": 30.0,
        "metered_month": pytest.approx(1.02),
        "metered_year": pytest.approx(12.24),
        "paid_month": pytest.approx(30.0),
        "paid_year": pytest.approx(360.0),
    }
    security = next(group for group in found["groups"] if group["key"] == "security")
    assert {name: security[name] for name in ("tasks", "succeeded", "failed", "attempts", "calls")} == {
        "tasks": 90,
        "succeeded": 87,
        "failed": 3,
        "attempts": 90,
        "calls": 90,
    }
    assert security["cost"] == {
        "metered": pytest.approx(0.414),
        "metered_mean": pytest.approx(0.0046),
        "paid": pytest.approx(12.0),
        "paid_mean": pytest.approx(20 / 150),
        "failed": pytest.approx(0.0138),
        "unpriced_calls": 0,
    }
    assert security["response_time"] == {"mean": 12.0, "p50": 12.0, "p95": 14.0}
    assert security["switches"] == {"count": 10, "measured": 10, "quality_gained": pytest.approx(0.2)}
    assert found["outside"] == {"calls": 0, "cost": 0.0}
    assert all(set(one) == {"kind", "text", "numbers"} for one in found["insights"])


def test_every_key_of_the_json_is_documented(report: Report, month: Running, plans: dict[str, str]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "reports.md").read_text()
    documented = set(re.findall(r"`([a-z0-9_]+)`", page))
    done = report(*APRIL, "--format", "json", backend=month, env=plans)

    def keys(value: object) -> set[str]:
        if isinstance(value, dict):
            return set(value).union(*map(keys, value.values()))
        return set().union(*map(keys, value)) if isinstance(value, list) else set()

    found = json.loads(done.stdout)
    for insight in found["insights"]:
        insight["numbers"] = {}
    assert keys(found) - documented == set()
    assert {one["kind"] for one in found["insights"]} - documented == set()


def test_csv(report: Report, month: Running) -> None:
    done = report(*APRIL, "--format", "csv", backend=month)
    assert (done.returncode, done.stderr) == (0, "")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["agent"] for row in rows] == ["claude", "copilot", "gemini", "(total)"]
    claude, total = rows[0], rows[-1]
    assert (claude["tasks"], claude["success_rate"]) == ("150", "0.96")
    assert float(claude["cost_metered"]) == pytest.approx(0.69)
    assert (claude["cost_paid"], claude["response_time_p95"]) == ("", "14.0")
    assert float(total["cost_metered"]) == pytest.approx(1.02)


class Page(HTMLParser):
    """Collects what a page holds, and complains about tags that do not close."""

    VOID = frozenset({"meta", "line", "rect", "circle"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "action")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data.strip())


def test_html(report: Report, month: Running, plans: dict[str, str], tmp_path: Path) -> None:
    done = report(*APRIL, "--format", "html", "-o", "report.html", backend=month, env=plans)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "report.html written: 700 tasks\n"
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert page.open == []
    assert page.tags.count("svg") == 6  # cost and tasks by day; cost, success, time and quality by agent
    assert page.links == []  # nothing is loaded from anywhere
    assert "script" not in page.tags
    for expected in ("700", "90.3 %", "$1.02", "$12.24 a year", "$360.00 a year", "0.875", "3.8x", "-$19.31"):
        assert expected in page.text, expected


def test_names_of_others_are_text_in_every_format(report: Report, backend: Running) -> None:
    book = Book()
    name = "<img src=x onerror=alert(1)>[bold]\x1b[31m"
    for kind in (name, "=1+1"):
        book.task(f"t {kind}", "claude", SINCE, 2.0, task_type=kind, quality=0.9)
    with client_of(backend) as client:
        book.send(client)
    by = (*APRIL, "--by", "task_type")
    page = Page(report(*by, "--format", "html", backend=backend).stdout)
    assert "img" not in page.tags
    assert any("<img src=x" in text for text in page.text)
    table = report(*by, backend=backend).stdout
    assert "[bold]" in table
    assert "\x1b" not in table
    rows = list(csv.DictReader(io.StringIO(report(*by, "--format", "csv", backend=backend).stdout)))
    assert "'=1+1" in [row["task_type"] for row in rows]  # no spreadsheet takes it for a formula
    keys = [
        group["key"]
        for group in json.loads(report(*by, "--format", "json", backend=backend).stdout)["groups"]
    ]
    assert name in keys


@pytest.mark.parametrize("form", ["table", "json", "csv", "html"])
def test_an_empty_project_is_no_error(report: Report, backend: Running, form: str) -> None:
    done = report("--format", form, backend=backend)
    assert (done.returncode, done.stderr) == (0, "")
    if form == "json":
        found = json.loads(done.stdout)
        assert (found["total"]["tasks"], found["total"]["success_rate"], found["groups"]) == (0, None, [])
        assert found["notes"] == ["There are no tasks in this period, so there are no figures."]
    elif form != "csv":
        assert "There are no tasks in this period" in done.stdout


def test_only_one_environment(report: Report, backend: Running) -> None:
    book = Book()
    for number, environment in enumerate(("production", "production", "staging")):
        trace, top = book.id(), 0
        shared = {"deployment.environment.name": environment}
        top = book.span(
            trace, "invoke_agent a", SINCE, 2.0, {"gen_ai.operation.name": "invoke_agent", **shared}
        )
        cost = {"gen_ai.usage.cost": 0.5 + number, "gen_ai.usage.input_tokens": 1}
        book.span(
            trace, "chat m", SINCE, 1.0, {"gen_ai.operation.name": "chat", **cost, **shared}, parent=top
        )
    with client_of(backend) as client:
        book.send(client)
    done = report(*APRIL, "--environment", "production", "--format", "json", backend=backend)
    found = json.loads(done.stdout)
    assert (found["total"]["tasks"], found["total"]["cost"]["metered"]) == (2, 2.0)
    assert found["environments"] == ["production"]
    both = report(
        *APRIL, "--environment", "production", "--environment", "staging", "--format", "json", backend=backend
    )
    assert json.loads(both.stdout)["total"]["cost"]["metered"] == 4.5


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--since", "soon"), "--since 'soon' is no time; give a length such as 90m, 24h or 30d, a date"),
        (("--since", "-3d"), "--since '-3d' is no time"),
        (("--since", "2026-13-01"), "--since '2026-13-01' is no time"),
        (("--since", "0d"), "is not before now"),
        (("--since", "2999-01-01"), "is not before now"),
        (("--since", "2999-01-01", "--until", "2999-02-01"), "is not before now"),
        (("--since", "30d", "--until", "2020-01-01"), "is not before --until 2020-01-01"),
        (("--since", "99999999d"), "is more than ten years"),
        (
            ("--by", "colour"),
            "--by 'colour' is not known; choose from agent, task_type, model, project, user",
        ),
        (("--format", "pdf"), "--format 'pdf' is not known; choose from table, json, csv, html"),
        (("--what",), "No such option: --what"),
    ],
)
def test_bad_usage_is_one_line(
    arguments: tuple[str, ...], expected: str, capsys: pytest.CaptureFixture[str], clean_globals: None
) -> None:
    assert main(["report", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert expected in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_a_period_that_is_not_over_is_projected_by_what_has_passed() -> None:
    now = datetime(2026, 3, 11, tzinfo=UTC)
    assert period("2026-03-01", "2026-04-01", now) == (datetime(2026, 3, 1, tzinfo=UTC), now)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, "refuses the keys (status 401); check LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY"),
        (404, "has no /api/public/v2/observations (status 404); check LANGFUSE_BASE_URL"),
    ],
)
def test_a_server_that_refuses_is_one_line(
    report: Report, backend: Running, status: int, expected: str
) -> None:
    backend.backend.faults.add(Fault(path="/api/public/v2/observations", status=status, times=0))
    done = report(backend=backend)
    assert (done.returncode, done.stdout) == (1, "")
    assert expected in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_server_that_limits_or_fails_for_a_moment(report: Report, backend: Running) -> None:
    backend.backend.faults.add(Fault(path="/api/public/v2/observations", status=429, retry_after=0.1))
    backend.backend.faults.add(Fault(path="/api/public/v3/scores", status=500))
    done = report(backend=backend)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_long_read_shows_its_progress_on_the_terminal_alone(backend: Running, tmp_path: Path) -> None:
    """Standard error is a terminal here, standard output a pipe, as in `otel-agents report > file`."""
    book = Book()
    for number in range(3):
        book.task(f"t{number}", "claude", SINCE, 2.0)
    with client_of(backend) as client:
        book.send(client)
    backend.backend.faults.add(Fault(path="/api/public/v3/scores", delay_ms=700))
    ours, theirs = pty.openpty()
    environment = {
        **os.environ,
        "LANGFUSE_BASE_URL": backend.url,
        "LANGFUSE_PUBLIC_KEY": backend.public_key,
        "LANGFUSE_SECRET_KEY": backend.secret_key,
        "OTEL_AGENTS_DOTENV": "off",
        "TERM": "xterm",
        "COLUMNS": "100",
    }
    done = subprocess.run(
        [Path(sys.executable).with_name("otel-agents"), "report", *APRIL, "--format", "json"],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=environment,
        timeout=60,
        check=True,
    )
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert json.loads(done.stdout)["total"]["tasks"] == 3
    assert "reading from Langfuse" in shown
    assert "6 rows" in shown


def test_a_rate_limit_beyond_patience(report: Report, backend: Running) -> None:
    backend.backend.faults.add(
        Fault(path="/api/public/v2/observations", status=429, times=0, retry_after=250.0)
    )
    done = report(backend=backend)
    assert done.returncode == 1
    assert "limits the rate of reads (status 429); try again in 250 s" in done.stderr


def test_no_server(report: Report) -> None:
    keys = {"LANGFUSE_PUBLIC_KEY": "pk", "LANGFUSE_SECRET_KEY": "sk"}
    done = report(env={**keys, "LANGFUSE_BASE_URL": f"http://127.0.0.1:{free_port()}"})
    assert done.returncode == 1
    assert "is unreachable (connection refused); check LANGFUSE_BASE_URL" in done.stderr
    assert done.stderr.count("\n") == 1


def test_no_keys_and_no_stack(report: Report) -> None:
    done = report()
    assert done.returncode == 1
    assert done.stderr == (
        "error: LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY are not set; set both keys, or start the local "
        "stack by `otel-agents up`\n"
    )


def test_a_file_that_cannot_be_written_is_told_before_anything_is_read(
    report: Report, backend: Running
) -> None:
    backend.backend.faults.add(Fault(path="/api/public", status=401, times=0))
    done = report("--format", "json", "-o", "no/such/folder/report.json", backend=backend)
    assert done.returncode == 1
    assert done.stderr == (
        "error: no/such/folder/report.json cannot be written (no such file or directory); "
        "give -o another file\n"
    )


def test_a_plans_file_that_is_wrong(report: Report, backend: Running, tmp_path: Path) -> None:
    (tmp_path / "plans.toml").write_text("[plans.x]\nfee = -1\nagents = ['a']\n")
    done = report(backend=backend, env={"OTEL_AGENTS_PLANS_FILE": "plans.toml"})
    assert done.returncode == 2
    assert "plans.toml" in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_keys_the_local_stack_is_read(report: Report, tmp_path: Path) -> None:
    home = tmp_path / "home"  # the one that `report` has as OTEL_AGENTS_HOME
    keys = state.local_keys(home)
    options = LocalOptions(db=tmp_path / "local.db", port=0, public_key=keys.public, secret_key=keys.secret)
    with running(options) as backend, state.held(home):
        book = Book()
        book.task("t", "claude", SINCE, 2.0)
        with client_of(backend) as client:
            book.send(client)
        state.write(home, state.State(os.getpid(), backend.url, None, None, None, "", "", 5.0, ""))
        done = report(*APRIL, "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["total"]["tasks"] == 1
