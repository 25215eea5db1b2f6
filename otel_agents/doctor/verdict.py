"""What became of the probe, as findings and as the times of its way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_agents.doctor.findings import Finding, Hop
from otel_agents.doctor.probe import SERIES

if TYPE_CHECKING:
    from otel_agents.doctor.probe import Probe
    from otel_agents.doctor.subject import Subject


def findings(subject: Subject, probe: Probe, timeout: float, looked: tuple[bool, bool]) -> list[Finding]:
    """What became of the probe, before anybody has looked at why.

    Args:
        looked: whether Langfuse and Prometheus were looked at.
    """
    direct = subject.settings.mode == "direct"
    first = "Langfuse" if direct else "the Collector"
    made = []
    if probe.trace_id:
        details = {"trace_id": probe.trace_id}
        if probe.span_sent is None:
            made.append(
                Finding(
                    "probe.span",
                    "fail",
                    f"{first} does not take a span ({probe.span_problem})",
                    "mend what is said of it above, then try again",
                    details,
                )
            )
        elif not looked[0]:
            made.append(
                Finding(
                    "probe.span", "skip", f"{first} took a span; Langfuse cannot be looked at", "", details
                )
            )
        elif probe.span_seen is None:
            why = f" ({probe.read_problem})" if probe.read_problem else ""
            made.append(
                Finding(
                    "probe.span",
                    "fail",
                    f"{first} took a span, and Langfuse does not show it after {timeout:g} s{why}",
                    "a busy server may take longer: --timeout 120; else see the log of Langfuse's worker"
                    if direct
                    else "check LANGFUSE_OTLP_ENDPOINT, LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY of the "
                    "Collector, and its log",
                    details,
                )
            )
        else:
            total = probe.span_sent + probe.span_seen
            made.append(
                Finding("probe.span", "ok", f"a span arrived in Langfuse after {total:.1f} s", "", details)
            )
    if probe.metric_sent is not None or probe.metric_problem:
        made.append(_metric_finding(probe, timeout, looked[1]))
    return made


def _metric_finding(probe: Probe, timeout: float, looked: bool) -> Finding:
    details = {"instance": probe.instance, "series": SERIES}
    if probe.metric_sent is None:
        return Finding(
            "probe.metric",
            "fail",
            f"the Collector does not take metrics ({probe.metric_problem})",
            "check that its configuration has a metrics pipeline for otlp",
            details,
        )
    if not looked:
        return Finding(
            "probe.metric", "skip", "the Collector took a count; Prometheus cannot be looked at", "", details
        )
    if probe.renamed:
        return Finding(
            "probe.metric",
            "fail",
            "a count arrived in Prometheus with its instance renamed to exported_instance",
            "add `honor_labels: true` to the job that scrapes the Collector",
            details,
        )
    if probe.metric_seen is None:
        return Finding(
            "probe.metric",
            "fail",
            f"the Collector took a count, and Prometheus does not have it after {timeout:g} s",
            "see prometheus.scrape above; a scrape interval longer than that needs a longer --timeout",
            details,
        )
    total = probe.metric_sent + probe.metric_seen
    return Finding("probe.metric", "ok", f"a count arrived in Prometheus after {total:.1f} s", "", details)


def hops(subject: Subject, probe: Probe, looked: tuple[bool, bool]) -> list[Hop]:
    """The parts of the way and the time of each."""
    made = []
    if probe.trace_id:
        if subject.settings.mode == "direct":
            made.append(Hop("app → Langfuse", probe.span_sent))
            last = "Langfuse → readable"
        else:
            made.append(Hop("app → Collector (span)", probe.span_sent))
            last = "Collector → Langfuse"
        if probe.span_sent is not None and looked[0]:
            made.append(Hop(last, probe.span_seen))
    if probe.metric_sent is not None or probe.metric_problem:
        made.append(Hop("app → Collector (count)", probe.metric_sent))
        if probe.metric_sent is not None and looked[1]:
            made.append(Hop("Collector → Prometheus", probe.metric_seen))
    return made
