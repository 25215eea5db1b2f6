"""The rules file: valid for Prometheus, and right about series that are new."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from parts import require

from otel_agents.alerts.rules import rules, rules_file
from otel_agents.config import resolve

COMMAND = Path(sys.executable).with_name("otel-agents")

ALL = {
    "OTEL_AGENTS_ALERT_DAILY_COST": "7.5",
    "OTEL_AGENTS_ALERT_QUALITY": "0.8",
    "OTEL_AGENTS_ALERT_ERROR_SHARE": "0.25",
}


def text(**environ: str) -> str:
    return rules_file(resolve({"mode": "disabled"}, environ=environ, dotenv=False))


def names(content: str) -> list[str]:
    return [rule["alert"] for group in yaml.safe_load(content)["groups"] for rule in group["rules"]]


def test_a_rule_for_each_threshold() -> None:
    assert names(text()) == ["AgentsCostPerDay"]  # 5 USD, the default
    assert names(text(**ALL)) == ["AgentsCostPerDay", "AgentsQualityLow", "AgentsErrorShare"]
    assert names(text(OTEL_AGENTS_ALERT_DAILY_COST="0")) == []


@pytest.mark.parametrize(
    "environ", [{}, ALL, {"OTEL_AGENTS_ALERT_DAILY_COST": "0"}], ids=["one", "all", "none"]
)
def test_promtool_accepts_the_file(tmp_path: Path, environ: dict[str, str]) -> None:
    file = tmp_path / "rules.yaml"
    done = subprocess.run(
        [COMMAND, "alerts", "rules", "-o", file],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "OTEL_AGENTS_DOTENV": "off", **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("warning: no threshold is set") == ("0" in environ.values())
    checked = subprocess.run(
        [require("promtool"), "check", "rules", file], capture_output=True, text=True, timeout=60, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def hold(tmp_path: Path, series: dict[str, str], expected: list[dict[str, Any]], at: str) -> None:
    """Runs the rules over ``series`` (one value an hour) and compares what fires."""
    (tmp_path / "rules.yaml").write_text(text(**ALL))
    by_name = {alert["labels"]["alertname"]: alert for alert in expected}
    made = rules(resolve({"mode": "disabled"}, environ=ALL, dotenv=False))
    test = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1h",
        "tests": [
            {
                "interval": "1h",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "alert_rule_test": [
                    {
                        "eval_time": at,
                        "alertname": rule.name,
                        "exp_alerts": [
                            {
                                "exp_labels": {"severity": "ticket"},
                                "exp_annotations": {
                                    **by_name[rule.name]["annotations"],
                                    "runbook_url": f"docs/runbooks.md#{rule.name.lower()}",
                                },
                            }
                        ]
                        if rule.name in by_name
                        else [],
                    }
                    for rule in made
                ],
            }
        ],
    }
    (tmp_path / "test.yaml").write_text(json.dumps(test))
    done = subprocess.run(
        [require("promtool"), "test", "rules", "test.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_processes_that_live_for_one_scrape_are_counted_in_full(tmp_path: Path) -> None:
    """Eight processes, each with 1 USD and one scrape: increase() would see nothing."""
    series = {
        f'otel_agents_cost_total{{instance="{number}"}}': "_ " * (30 + number) + "1" for number in range(8)
    }
    summary = "Model calls of the last 24 hours cost 8.00 USD, more than 7.5"
    fires = [{"labels": {"alertname": "AgentsCostPerDay"}, "annotations": {"summary": summary}}]
    hold(tmp_path, series, fires, "40h")


def test_what_was_spent_before_the_day_does_not_count(tmp_path: Path) -> None:
    series = {
        'otel_agents_cost_total{instance="old"}': "0+10x9 100x60",
        'otel_agents_cost_total{instance="b"}': "7x70",
    }
    hold(tmp_path, series, [], "60h")


def test_quality_and_errors(tmp_path: Path) -> None:
    quality = 'gen_ai_evaluation_name="quality",instance="a"'
    series = {
        f"otel_agents_evaluation_score_sum{{{quality}}}": "0 3",
        f"otel_agents_evaluation_score_count{{{quality}}}": "0 6",
        'otel_agents_task_count_total{status="error",instance="a"}': "0 3",
        'otel_agents_task_count_total{status="success",instance="a"}': "0 3",
    }
    fires = [
        {
            "labels": {"alertname": "AgentsQualityLow"},
            "annotations": {"summary": "The mean quality of the last 24 hours is 0.50, below 0.8"},
        },
        {
            "labels": {"alertname": "AgentsErrorShare"},
            "annotations": {"summary": "50% of the last 24 hours' tasks failed, more than 25%"},
        },
    ]
    hold(tmp_path, series, fires, "1h")


def test_few_tasks_say_nothing(tmp_path: Path) -> None:
    hold(tmp_path, {'otel_agents_task_count_total{status="error",instance="a"}': "0 4"}, [], "1h")
