"""The whole examination, in an order in which every finding may rest on those before it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from otel_agents.doctor import app, collector, disk, probe, selfhosted, verdict
from otel_agents.doctor.findings import Finding, Report
from otel_agents.doctor.langfuse import langfuse
from otel_agents.doctor.prometheus import prometheus

if TYPE_CHECKING:
    from otel_agents.doctor.collector import Vitals
    from otel_agents.doctor.subject import Subject
    from otel_agents.langfuse.reading import LangfuseReader

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """What is examined.

    Attributes:
        timeout: seconds that the probe is waited for.
        with_probe: whether one is sent.
        self_hosted: whether Langfuse's containers on this machine are looked at.
    """

    timeout: float = 60.0
    with_probe: bool = True
    self_hosted: bool = False


def examine(
    subject: Subject,
    shown: Mapping[str, Mapping[str, str]],
    options: Options,
    say: Callable[[str], None] = lambda what: None,
) -> Report:
    """Makes every check. Never raises; a check that breaks is a finding.

    Args:
        shown: every setting with its ``value`` (secrets masked) and where it came ``from``.
        say: told what is looked at, before it is.
    """
    report = Report()

    def make(name: str, what: str, work: Callable[[], Iterable[Finding]]) -> None:
        say(what)
        report.add(_safely(name, work))

    make("settings", "settings", lambda: app.settings(subject, shown))
    make("settings.files", "price and plan files", lambda: app.files(subject))
    make("instrumentations", "instrumentations", app.instrumentations)
    make("spool", "spool", lambda: disk.spool(subject.settings))
    if subject.settings.mode == "disabled":
        return report
    make("langfuse", "Langfuse", lambda: langfuse(subject))
    make("collector", "Collector", lambda: collector.reachable(subject))
    scraped: dict[str, str] = {}

    def ask_prometheus() -> list[Finding]:
        found, pages = prometheus(subject)
        scraped.update(pages)
        return found

    make("prometheus", "Prometheus", ask_prometheus)
    vitals: list[Vitals] = []

    def ask_collector() -> list[Finding]:
        found = collector.vitals(subject, scraped)
        if found is not None:
            vitals.append(found)
        return list(collector.health(subject, found))

    if report.status("collector.reachable") == "ok":
        make("collector", "Collector's queue", ask_collector)
        make("bridge", "bridge", lambda: collector.bridge(subject))
    if options.with_probe:
        make("probe", "probe", lambda: _probe(subject, report, options, vitals))
    if options.self_hosted:
        make("self_hosted", "containers", selfhosted.self_hosted)
    return report


def _probe(subject: Subject, report: Report, options: Options, vitals: list[Vitals]) -> list[Finding]:
    direct = subject.settings.mode == "direct"
    first = "langfuse.keys" if direct else "collector.reachable"
    if report.status(first) != "ok":
        return [Finding("probe.span", "skip", f"nothing was sent, because {first} is not well")]
    scraped = report.status("prometheus.scrape") == "ok"
    # One that nobody has named and that does not scrape us is somebody else's.
    asked = report.status("prometheus.reachable") == "ok" and (subject.prometheus_named or scraped)
    looked = (report.status("langfuse.read") == "ok", asked)
    sent = probe.send(subject.settings, spans=True, counts=not direct)
    probe.wait(
        subject,
        sent,
        options.timeout,
        prometheus=looked[1],
        open_reader=_reader(subject) if looked[0] else None,
    )
    report.hops = verdict.hops(subject, sent, looked)
    found = verdict.findings(subject, sent, options.timeout, looked)
    if vitals and not direct:
        found = [_with_cause(one, subject, vitals[0]) for one in found]
    if sent.metric_seen is not None and not scraped:
        report.findings = [_by_another_way(one) for one in report.findings]
    return found


def _by_another_way(finding: Finding) -> Finding:
    """No target, and yet the count has arrived: by remote write, or through a tier that we cannot see."""
    if finding.check != "prometheus.scrape":
        return finding
    text = f"{finding.text}, but metrics arrive by another way"
    return replace(finding, status="ok", text=text, fix="")


def _with_cause(finding: Finding, subject: Subject, before: Vitals) -> Finding:
    """The probe's failure with what the Collector says of it."""
    if finding.check != "probe.span" or finding.status != "fail":
        return finding
    now = collector.vitals(subject, {"collector": before.address})
    if now is None:
        return finding
    lost = {name: count - before.lost.get(name, 0) for name, count in now.lost.items()}
    if any(count > 0 for count in lost.values()):
        why = "it has given the span up, because Langfuse refused it"
    elif now.waiting():
        why = f"{now.waiting():.0f} bytes wait in its queue, because it cannot get them to Langfuse"
    elif sum(now.sent.values()) > sum(before.sent.values()):
        why = "it has sent the span on, to another project or a server that has not stored it yet"
    else:
        return finding
    return replace(finding, text=f"{finding.text}; {why}")


def _reader(subject: Subject) -> Callable[[], LangfuseReader]:
    from otel_agents.langfuse.reading import LangfuseReader

    return lambda: LangfuseReader.from_settings(subject.settings, timeout=10.0, patience=5.0)


def _safely(name: str, work: Callable[[], Iterable[Finding]]) -> list[Finding]:
    found: list[Finding] = []
    try:
        found.extend(work())
    except Exception as error:
        logger.debug("the check %s broke", name, exc_info=True)
        said = " ".join(str(error).split())[:200]
        found.append(
            Finding(
                name,
                "fail",
                f"this check broke ({type(error).__name__}: {said})",
                "please report it, with what `otel-agents doctor --json` prints",
            )
        )
    return found
