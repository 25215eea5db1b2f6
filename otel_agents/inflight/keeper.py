"""Notes on disk which runs are under way, so that a crash leaves more of them than their model calls.

A note is the run's span as it would be sent if nothing more came: ended at the time of the note, as
an error, ``abandoned``. Notes are in a file of the spool like any other. As long as the process lives it
holds the file's lock; after a crash the next process finds spans that nobody holds, and sends them.
Whoever ends a run takes its note away first, so no run that has ended is ever told to be abandoned.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_agents import semconv
from otel_agents.export import leftovers
from otel_agents.export.entries import Entry
from otel_agents.export.leftovers import Destination
from otel_agents.export.spool import Spool
from otel_agents.export.spool_file import SpoolError
from otel_agents.wire import others

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import Span

logger = logging.getLogger(__name__)

#: Begins as the names of files with spans do: whoever takes up those takes up these.
_KIND: Final = "spans-open"
_RUNS: Final = frozenset({semconv.OP_INVOKE_AGENT, semconv.OP_INVOKE_WORKFLOW})
#: Looks at the runs in the time between two notes of one.
_LOOKS: Final = 4
#: Seconds that the end of a run waits for a note that is being written.
_PATIENCE: Final = 1.0

#: A run's span as it is now, ready to be sent; None when it is not for the backend.
Encode = Callable[["Span"], Entry | None]


class Keeper:
    """Writes and deletes the notes. Safe for threads.

    Args:
        root: the spool folder.
        destination: where the spans go.
        every: seconds after which a run is noted, and between two notes of it.
        mine: whether a run is of the project that the keeper is for.
    """

    def __init__(
        self,
        root: Path,
        destination: Destination,
        every: float,
        mine: Callable[[Span], bool] = lambda _: True,
    ) -> None:
        self._mine = mine
        self._folder = destination.folder(root)
        self._destination = destination
        self._every = every
        self._spool: Spool | None = None
        self._since = 0  # runs that started earlier are those of the process that forked this one
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.RLock()
        self._writing = False
        self._stopped = threading.Event()
        self._failed = False
        self._thread: threading.Thread | None = None
        #: Span id -> its row, and when it was written.
        self._notes: dict[int, tuple[int, float]] = {}
        self._left_out: set[int] = set()
        self._taken_up: set[int] = set()

    def start(self, encode: Encode) -> None:
        """Begins to look at runs. Calling it again changes nothing."""
        if self._thread is not None or self._stopped.is_set():
            return
        with self._lock:
            if self._thread is not None:
                return
            name = "otel-agents-heartbeat"
            thread = threading.Thread(target=self._run, args=(encode,), name=name, daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the interpreter is at its end
                return
            self._thread = thread

    def _run(self, encode: Encode) -> None:
        while not self._stopped.wait(self._every / _LOOKS):
            try:
                self.look(encode)
            except Exception:
                logger.debug("otel-agents: could not note the runs under way", exc_info=True)

    def look(self, encode: Encode) -> None:
        """Notes what has been running for long enough, or was noted long enough ago."""
        now = time.time()
        for span in self.open_runs():
            identity = span.context.span_id
            row, noted = self._notes.get(identity, (None, 0.0))
            age = now - (span.start_time or 0) / 1e9
            if (row is None and age >= self._every) or (row is not None and now - noted >= self._every):
                self._note(span, encode)

    def open_runs(self) -> list[Span]:
        """Agents and workflows of this process that have not ended."""
        return [
            span
            for span in others.open_spans()
            if (span.attributes or {}).get(semconv.OPERATION_NAME) in _RUNS
            and self._mine(span)
            and span.context.trace_flags.sampled
            and span.context.span_id not in self._left_out
            and ((span.start_time or 0) >= self._since or span.context.span_id in self._taken_up)
        ]

    def noted(self, identity: int) -> bool:
        """Whether the run is on disk."""
        return identity in self._notes

    def _note(self, span: Span, encode: Encode) -> None:
        identity = span.context.span_id
        entry = encode(span)
        if entry is None:
            return
        with self._lock:
            self._writing = True
            try:
                # Its end is set before anybody is told of it, so either it shows here, or whoever ends
                # the run sees that a note is being written, and waits.
                if span.end_time is None and identity not in self._left_out:
                    self._write(identity, entry)
            finally:
                self._writing = False

    def _write(self, identity: int, entry: Entry) -> None:
        try:
            if self._spool is None:
                self._spool = Spool.create(self._folder, _KIND)
                leftovers.describe(self._folder, self._destination)
            before = self._notes.get(identity)
            self._spool.add([entry], instead_of=() if before is None else (before[0],))
        except SpoolError as error:
            if not self._failed:
                self._failed = True
                logger.warning("otel-agents: runs under way are not noted: %s", error)
            return
        if entry.row is not None:
            self._notes[identity] = (entry.row, time.time())

    def ended(self, identity: int) -> None:
        """Takes the note of a run away, which ends now. Costs nothing for those without."""
        if self._writing or identity in self._notes:
            with self._held():
                found = self._notes.pop(identity, None)
                if found is not None and self._spool is not None:
                    try:
                        self._spool.remove([found[0]])
                    except SpoolError as error:
                        logger.warning("otel-agents: a run is noted that has ended: %s", error)
        self._taken_up.discard(identity)

    def leave_out(self, identity: int) -> None:
        """Takes the note of a run away and makes no other: it is not this process's any more."""
        self._left_out.add(identity)
        self.ended(identity)

    def take_up(self, identity: int) -> None:
        """A run that another process has begun goes on here."""
        self._left_out.discard(identity)
        self._taken_up.add(identity)

    @contextmanager
    def _held(self) -> Iterator[None]:
        held = self._lock.acquire(timeout=_PATIENCE)  # a disk that hangs must not hold the app
        try:
            yield
        finally:
            if held:
                self._lock.release()

    def close(self) -> None:
        """Stops, and takes all notes away."""
        self._stopped.set()
        with self._held():
            spool, self._spool = self._spool, None
            if spool is not None:
                try:
                    spool.remove([row for row, _ in self._notes.values()])
                except SpoolError as error:
                    logger.warning("otel-agents: %s", error)
                spool.close()
            self._notes.clear()

    def after_fork(self) -> None:
        """In a forked child: the parent's runs and notes are the parent's."""
        if self._spool is not None:
            self._spool.abandon()
            self._spool = None
        self._since = time.time_ns()
        self._reset()
