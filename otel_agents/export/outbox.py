"""Between the pipeline and the network: encoded spans wait here until their fate is decided.

One thread sends. A span is in memory, in memory and on disk (it has a ``row``), or on disk alone; what is
on disk alone is always older than what is in memory. Batches come in turn from memory, from this
process's file, and from files that other processes left, so that after an outage new spans need not
wait for all the old ones.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Final, Literal

from otel_agents.export import dead_letters, leftovers
from otel_agents.export.attempts import STEP, Attempts
from otel_agents.export.delivery import Report, deliver
from otel_agents.export.disk import WHOLE_FILE, Disk
from otel_agents.export.entries import Entry
from otel_agents.export.leftovers import Destination
from otel_agents.export.limits import Limits
from otel_agents.export.memory import Memory
from otel_agents.export.outcomes import Note, Outcomes
from otel_agents.export.sender import Answer, Sender
from otel_agents.export.tally import Tally, collect, is_any_left
from otel_agents.export.trim import trimmed
from otel_agents.export.untraced import untraced_thread

logger = logging.getLogger(__name__)

Mode = Literal["memory", "spill", "durable"]

#: Seconds between two looks at the time while there is nothing to send.
_IDLE: Final = 30.0
#: Seconds that a fork waits for a request that is under way: the first one, any later one.
_FORK: Final = (2.0, 0.2)
#: Seconds until a look at the disk that came to nothing is repeated.
_AGAIN: Final = 0.02


class Outbox:
    """Keeps entries until they are delivered, refused, or have to give way. Safe for threads.

    Args:
        connect: makes the sender; called when there is something to send.
        note: told of every outcome.
        mode: ``memory``, ``spill`` or ``durable``; without a destination it is ``memory``.
        root: the spool folder.
        destination: where the sender sends to.
        limits: see :class:`Limits`.
        changed: called now and then with spans in memory, spans on disk, bytes on disk.
        kind: of what is sent: ``spans``, which are tallied and whose refused ones are kept, ``logs`` or
            ``scores``.
        gather: seconds that what comes in one by one waits for company; by default it does not, but in
            ``durable``, where it is on disk already, for ``limits.checkpoint``.
    """

    def __init__(
        self,
        connect: Callable[[], Sender],
        note: Note,
        *,
        mode: Mode = "memory",
        root: Path | None = None,
        destination: Destination | None = None,
        limits: Limits | None = None,
        changed: Callable[[int, int, int], None] | None = None,
        kind: str = "spans",
        gather: float | None = None,
    ) -> None:
        self._kind = kind
        self._connect = connect
        self._note = note
        self._changed = changed
        self._folder = destination.folder(root) if root and destination and kind == "spans" else None
        self._place = None if mode == "memory" or not root or not destination else (destination, root)
        self._mode: Mode = "memory" if self._place is None else mode
        self._limits = limits or Limits()
        if gather is None:
            gather = self._limits.checkpoint if self.durable else 0.0
        self._gather = gather
        self._reset()

    def _reset(self) -> None:
        #: What a kill takes with it, for the next process to count.
        self.tally = Tally(self._folder)
        self._disk: Disk | None = None
        if self._place is not None:
            tally = self.tally if self._kind == "spans" else None
            self._disk = Disk(*self._place, self._kind, self.durable, self._limits, self._gone, tally)
        # Around the disk, and around what lands; taken before the memory's lock, never after it.
        self._guard = threading.RLock()
        self._memory = Memory(self._limits)
        self._attempts = Attempts()
        self._turn = 0
        self._flushing = 0
        self._sender: Sender | None = None
        self._sending = threading.Lock()
        self._held = False  # by a thread that forks
        self._tell = Outcomes(self._note, self._changed, self._kind)
        self._thread: threading.Thread | None = None
        self._start_lock = threading.Lock()
        self._stopping = self._closed = False

    # --- what comes in -------------------------------------------------------------------------

    @property
    def durable(self) -> bool:
        """Whether entries are on disk when :meth:`put` returns, should the disk take them."""
        return self._mode == "durable"

    def put(self, entries: Sequence[Entry]) -> None:
        """Takes entries over."""
        for entry in entries:
            if len(entry.body) > self._limits.span_bytes:
                size, entry.body = len(entry.body), trimmed(entry.body, self._limits.span_bytes)
                self._tell.say("trimmed", f"a span of {size} bytes was trimmed to {len(entry.body)}")
        if self.durable:
            with self._guard:  # nothing is sent before it is on disk
                self._memory.add(entries)
                self.save()
        else:
            self._memory.add(entries)
        self._relieve()

    def _relieve(self) -> None:
        """Keeps memory within its limits: what is on disk leaves it, else something gives way."""
        memory = self._memory
        if not memory.over() or memory.leave_to_disk():
            return
        self.save()
        if memory.leave_to_disk():
            return
        self._tell.lost(memory.give_way(), "memory_full" if self._disk is None else "disk_failed")

    # --- the disk ------------------------------------------------------------------------------

    def tick(self) -> float | None:
        """Saves what has been waiting for long; answers in how many seconds to come again, if at all."""
        self._report()
        if self._disk is None or self._closed:
            return None
        oldest = next(iter(self._memory.unsaved()), None)
        if oldest is None:
            return None
        left = oldest.queued + self._limits.checkpoint - time.monotonic()
        if left > 0 and not self._attempts.failures:
            return min(left, self._limits.checkpoint)
        return None if self.save() else self._limits.checkpoint

    def save(self) -> bool:
        """Writes what is in memory alone to disk; False when there is no disk, or it does not take it all."""
        if self._disk is None:
            return False
        with self._guard:
            unsaved = self._memory.unsaved()
            saved = self._disk.save(unsaved, self._in_flight())
            written = sum(one.row is not None for one in unsaved)
        if written and self._mode == "spill":
            self._note("spooled", written, None, True)
        return saved

    def _is_own(self) -> bool:
        """Whether what is in flight is of this process."""
        source = self._memory.source
        return source is None or (self._disk is not None and source is self._disk.own)

    def _in_flight(self) -> set[int]:
        """Rows of this process's file that are being sent."""
        return {one.row for one in self._memory.flying if one.row is not None} if self._is_own() else set()

    def _gone(self, rows: Collection[int], count: int, reason: str) -> None:
        """The disk gave something up: rows of our file, all of it (``WHOLE_FILE``), or rows of another's."""
        if rows is WHOLE_FILE:
            count = max(count - self._memory.lose_rows(), 0)
        elif rows:
            self._memory.drop_rows(rows)
        self._tell.lost(count, reason, bool(rows))

    # --- sending -------------------------------------------------------------------------------

    def start(self) -> bool:
        """Starts the sending thread; False when there can be none any more."""
        with self._start_lock:
            if self._thread is None and not self._stopping:
                thread = threading.Thread(target=self._run, name="otel-agents-send", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # the interpreter is at its end; whoever flushes does the work
                    return False
                self._thread = thread
            return self._thread is not None

    def start_for_leftovers(self) -> None:
        """Starts the sending thread if there are files that other processes may have left."""
        files = self._disk is not None and bool(leftovers.files(self._disk.folder, self._kind))
        if files or (self._folder is not None and is_any_left(self._folder)):
            self.start()

    def _run(self) -> None:
        untraced_thread()
        if self._disk is None and self._folder is not None:
            self._gone((), collect(self._folder, self.tally.found), "killed")
        while not self._stopping:
            try:
                if self._wait() and not self._step():
                    with self._memory.changed:
                        self._memory.changed.wait(_AGAIN)
                if self._disk is not None:
                    with self._guard:
                        self._disk.expire(self._in_flight(), self._attempts.failures > 0)
            except Exception:
                logger.exception("otel-agents: error while sending")
                time.sleep(1.0)

    def _wait(self) -> bool:
        """Waits for something to send and the time to send it; False to look again."""
        with self._memory.changed:
            work = len(self._memory) > 0 or (self._disk is not None and self._disk.has_work)
            left = max(self._attempts.ready_at(self._flushing > 0) - time.monotonic(), self._gathering())
            if work and left <= 0:
                return True
            self._memory.changed.wait(min(left, _IDLE) if work else _IDLE)
            return False

    def _gathering(self) -> float:
        """Seconds to wait for company: what comes in one by one need not go out so."""
        if not self._gather or self._flushing or not 0 < len(self._memory) < self._limits.batch_spans:
            return 0.0
        return self._memory.all()[0].queued + self._gather - time.monotonic()

    def _step(self, timeout: float | None = None) -> bool:
        """Sends one batch; False when there was none, or the backend did not take it."""
        if not self._sending.acquire(timeout=-1 if timeout is None else timeout):
            return False
        try:
            if not self._take():
                return False
            started, flying = time.monotonic(), self._memory.flying
            doubtful = self._attempts.doubtful
            try:
                sender = self._sender or self._connect()
                report = deliver(sender, flying, timeout, doubtful)
                self._sender = sender
            except Exception as error:
                logger.exception("otel-agents: the sender failed")
                report = Report(left=list(flying), problem=Answer("later", "error", repr(error)))
            if doubtful:
                (self._memory.source or self._memory).put_aside(report.left)
            self._settle(report, time.monotonic() - started)
            return report.problem is None
        finally:
            self._sending.release()

    def _take(self) -> bool:
        """Puts a batch in flight."""
        with self._guard:
            self._turn += 1
            if self._turn % 2 or self._flushing:
                return self._memory.take() or self._take_from_disk()
            return self._take_from_disk() or self._memory.take()

    def _take_from_disk(self) -> bool:
        if self._disk is None:
            return False
        batch = self._disk.front(self._limits.batch_spans, self._memory.first_row())
        if batch:
            return self._memory.fly(batch, self._disk.own)
        batch = self._disk.front_of_leftover(self._limits.batch_spans)
        return self._memory.fly(batch, self._disk.leftover)

    def _settle(self, report: Report, seconds: float) -> None:
        decided = [*report.delivered, *(entry for entry, _ in report.refused)]
        with self._guard:
            if self._closed:
                return  # it was saved, or counted as lost, when the outbox was closed
            own = self._is_own()
            kept = [self._keep(one, answer) for one, answer in report.refused]
            spool = self._memory.source or (self._disk.own if self._disk is not None else None)
            self._memory.land(report.left, decided)
            if self._disk is not None and spool is not None:
                self._disk.forget(spool, decided)
        self._tell.settled(report, kept, own)
        if report.problem is not None:
            self._failed(report.problem, seconds, bool(report.delivered))
        elif self._attempts.succeeded():
            logger.warning("otel-agents: the backend takes %s again", self._kind)
        self._memory.notify()
        self._report()

    def _keep(self, refused: Entry, answer: Answer) -> bool:
        if self._disk is None or self._kind != "spans":
            return False
        return dead_letters.write(self._disk.folder, refused, answer.reason, answer.message)

    def _failed(self, answer: Answer, seconds: float, in_part: bool) -> None:
        if self._attempts.failed(answer, seconds, in_part):
            logger.warning("otel-agents: %s wait for the backend: %s", self._kind, answer.message)
        if self._mode == "spill":
            self.save()
        self._relieve()

    # --- the end of waiting --------------------------------------------------------------------

    def flush(self, deadline: float) -> None:
        """Waits until what is in memory now is delivered, refused, or safe on disk while the backend fails.

        Args:
            deadline: of ``time.monotonic()``.
        """
        started = time.monotonic()
        with self._memory.changed:
            target = self._memory.newest
            self._flushing += 1
            self._memory.changed.notify_all()
        try:
            while (left := deadline - time.monotonic()) > 0 and not self._decided(target, started):
                if self.start():
                    with self._memory.changed:
                        self._memory.changed.wait(min(left, STEP))
                elif not self._step(min(left, 5.0)):
                    time.sleep(min(left, 0.05))
        finally:
            with self._memory.changed:
                self._flushing -= 1

    def _decided(self, target: int, since: float) -> bool:
        with self._memory.changed:
            if not any(one.number <= target for one in self._memory.all()):
                return True
            if not self._attempts.hopeless(since, self._stopping):
                return False
        return self.save()

    def close(self, deadline: float) -> tuple[int, int]:
        """Flushes until ``deadline``, then saves what is left, or counts it as lost.

        Returns:
            Spans that were lost now, and spans of this process that wait on disk.
        """
        if self._closed:
            return 0, 0
        self.flush(deadline)
        self._stopping = True
        self._memory.notify()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            # What is in flight from the disk would be sent again if its answer were not waited for.
            thread.join(timeout=max(deadline - time.monotonic(), 0.05))
        with self._guard:
            self._closed = True
            self.save()
            lost, spooled = self.waiting()
            self._report()
            self._memory.clear()
            if self._disk is not None:
                self._disk.close()
            self.tally.close(spooled)
        if lost:
            self._note("dropped", lost, "shutdown" if self._disk is None else "disk_failed", True)
            logger.warning("otel-agents: %d %s could not be sent before the end", lost, self._kind)
        if self._sender is not None:
            self._sender.close()
        return lost, spooled

    def waiting(self) -> tuple[int, int]:
        """Spans in memory alone, and spans of this process on disk."""
        own = self._disk.own if self._disk is not None else None
        return len(self._memory.unsaved()), own.count if own is not None else 0

    def _report(self) -> None:
        own = self._disk.own if self._disk is not None else None
        self._tell.waiting(len(self._memory), own.count if own else 0, own.bytes if own else 0)

    # --- fork ----------------------------------------------------------------------------------

    def before_fork(self) -> None:
        """Waits until no thread of ours is inside SQLite or an import: a child would inherit the locks, held.

        The first request imports what it needs. Later ones are only waited for if that is quick.
        """
        self._held = self._sending.acquire(timeout=_FORK[0] if self._sender is None else _FORK[1])
        self._guard.acquire(timeout=5.0)

    def after_fork_in_parent(self) -> None:
        """Goes on."""
        with contextlib.suppress(RuntimeError):  # it was not to be had in time
            self._guard.release()
        if self._held:
            self._held = False
            self._sending.release()

    def after_fork(self) -> None:
        """A child starts empty: its parent sends what the parent took over."""
        if self._disk is not None:
            self._disk.abandon()
        self.tally.abandon()
        self._reset()
