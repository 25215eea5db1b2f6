"""Several Langfuse projects in one process: ``with context(project="a")`` says whose a span is.

In direct mode every project has a pipeline of its own: queue, threads, spool folder and keys. A span is
handed to one of them when it ends, so no other ever sees it, and a project whose Langfuse hangs holds up
no other. With a Collector the attribute ``otel_agents.project`` goes along, and the Collector routes.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from opentelemetry import trace

from otel_agents import semconv
from otel_agents.export import roots
from otel_agents.export.result import FlushResult, ScoreResult
from otel_agents.inflight.pipeline import LivePipeline

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span

    from otel_agents.config import Settings
    from otel_agents.langfuse.scores import ScoreSender

T = TypeVar("T")
logger = logging.getLogger(__name__)

_said: set[str] = set()


def settings_of(settings: Settings) -> dict[str, Settings]:
    """The settings of each project: those of the process, with its keys and address."""
    return {
        name: replace(
            settings,
            langfuse_public_key=project.public_key,
            langfuse_secret_key=project.secret_key,
            langfuse_base_url=project.base_url or settings.langfuse_base_url,
        )
        for name, project in settings.projects.items()
    }


def known(settings: Settings, name: str) -> bool:
    """Whether spans may say that they are of project ``name``; says once that it is not known.

    With a Collector and no projects in the settings, every name is the Collector's affair.
    """
    if name in settings.projects or (settings.mode != "direct" and not settings.projects):
        return True
    if name not in _said and len(_said) < 100:
        _said.add(name)
        logger.warning(
            "otel-agents: there is no project %r in OTEL_AGENTS_PROJECTS; its spans go to the default one",
            name,
        )
    return False


class ProjectPipeline(LivePipeline):
    """The default project's pipeline, which hands spans of other projects to theirs.

    Args:
        projects: pipelines by the projects' names.
        arguments, named: see :class:`LivePipeline`.
    """

    def __init__(self, *arguments: Any, projects: Mapping[str, LivePipeline], **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._projects = dict(projects)
        self._share()

    def _share(self) -> None:
        for one in self._projects.values():  # content is deferred before anybody knows whose it is
            one._late = self._late

    def _of(self, span: Any) -> LivePipeline | None:
        """The pipeline of a span's project; None for the default one."""
        name = (getattr(span, "attributes", None) or {}).get(semconv.PROJECT)
        return self._projects.get(name) if isinstance(name, str) else None

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        super().on_start(span, parent_context)
        try:
            own = self._of(span)
            if own is not None and own._keeper is not None:
                own._keeper.start(own.unfinished)
            above = trace.get_current_span(parent_context)
            if (
                span.parent is not None
                and above.is_recording()
                and self._of(above) is not own
                and roots.reaches_langfuse(span.attributes)
            ):
                span.set_attribute(semconv.APP_ROOT, True)  # its parent is in another project
        except Exception:
            logger.debug("otel-agents: could not tell a span's project", exc_info=True)

    def on_end(self, span: ReadableSpan) -> None:
        own = self._of(span)
        if own is None:
            super().on_end(span)
        else:
            own.on_end(span)

    def withhold(self, span_id: int) -> None:
        super().withhold(span_id)
        for one in self._projects.values():
            one.withhold(span_id)

    def take_up(self, span_id: int) -> None:
        super().take_up(span_id)
        for one in self._projects.values():
            one.take_up(span_id)

    def flush(self, timeout: float = 10.0) -> FlushResult:
        main = super().flush
        return added(_at_once([main, *(one.flush for one in self._projects.values())], timeout))

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        main = super().force_flush
        return all(_at_once([main, *(one.force_flush for one in self._projects.values())], timeout_millis))

    def close(self, timeout: float = 5.0) -> Any:
        main = super().close
        return added(_at_once([main, *(one.close for one in self._projects.values())], timeout))

    def save(self) -> bool:
        return all([super().save(), *(one.save() for one in self._projects.values())])

    def abandon(self, all_of_them: bool) -> None:
        super().abandon(all_of_them)
        for one in self._projects.values():
            one.abandon(all_of_them)

    def start_for_leftovers(self) -> None:
        super().start_for_leftovers()
        for one in self._projects.values():
            one.start_for_leftovers()

    def before_fork(self) -> None:
        super().before_fork()
        for one in self._projects.values():
            one.before_fork()

    def after_fork_in_parent(self) -> None:
        super().after_fork_in_parent()
        for one in self._projects.values():
            one.after_fork_in_parent()

    def after_fork(self) -> None:
        super().after_fork()
        for one in self._projects.values():
            one.after_fork()
        self._share()


class ProjectScores:
    """Score senders of all projects, as one.

    Args:
        default: of the default project.
        projects: by the projects' names.
    """

    def __init__(self, default: ScoreSender, projects: Mapping[str, ScoreSender]) -> None:
        self._default = default
        self._projects = dict(projects)
        self._all: Sequence[ScoreSender] = (default, *projects.values())

    def of(self, project: object) -> ScoreSender:
        """The sender of a project, by its name."""
        found = self._projects.get(project) if isinstance(project, str) else None
        return self._default if found is None else found

    def flush(self, timeout: float = 10.0) -> ScoreResult:
        return _scores(_at_once([one.flush for one in self._all], timeout))

    def finish(self, timeout: float) -> ScoreResult:
        return _scores(_at_once([one.finish for one in self._all], timeout))

    def start_for_leftovers(self) -> None:
        for one in self._all:
            one.start_for_leftovers()

    def before_fork(self) -> None:
        for one in self._all:
            one.before_fork()

    def after_fork_in_parent(self) -> None:
        for one in self._all:
            one.after_fork_in_parent()

    def after_fork(self) -> None:
        for one in self._all:
            one.after_fork()


def added(results: Iterable[FlushResult]) -> FlushResult:
    """Several results as one."""
    found = list(results)
    reasons: Counter[str] = Counter()
    for one in found:
        reasons.update(one.reasons)
    names = ("delivered", "spooled", "dropped", "pending", "filtered", "quarantined")
    sums = {name: sum(getattr(one, name) for one in found) for name in names}
    return FlushResult(**sums, reasons=dict(reasons), elapsed=max(one.elapsed for one in found))


def _scores(results: Iterable[ScoreResult]) -> ScoreResult:
    found = list(results)
    names = ("delivered", "pending", "dropped", "spooled")
    return ScoreResult(**{name: sum(getattr(one, name) for one in found) for name in names})


def _at_once(functions: Sequence[Callable[[Any], T]], timeout: Any) -> list[T]:
    """Runs the functions side by side, as one that hangs must not use up the others' time."""
    found: list[T | None] = [None] * len(functions)

    def run(index: int) -> None:
        found[index] = functions[index](timeout)

    threads = [threading.Thread(target=run, args=(index,), daemon=True) for index in range(1, len(functions))]
    for index, thread in enumerate(threads, 1):
        try:
            thread.start()
        except RuntimeError:  # the interpreter is at its end
            run(index)
    run(0)
    for thread in threads:
        if thread.ident is not None:
            thread.join()
    return [one for one in found if one is not None]
