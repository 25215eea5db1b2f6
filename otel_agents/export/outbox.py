"""Between the pipeline and the network: encoded spans wait here until their fate is decided.

One thread sends. A span is in memory (``_fresh``, in order of arrival), in memory and on disk (it has a
``row``), or on disk alone; what is on disk alone is always older than what is in memory. Batches come
in turn from memory, from this process's file, and from files that other processes left, so that after
an outage new spans need not wait for all the old ones.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Final, Literal

from otel_agents.export import dead_letters, leftovers
from otel_agents.export.delivery import Report, deliver
from otel_agents.export.disk import Disk
from otel_agents.export.entries import Entry
from otel_agents.export.leftovers import Destination
from otel_agents.export.limits import Limits
from otel_agents.export.sender import Answer, Sender
from otel_agents.export.spool import Spool
from otel_agents.export.trim import trimmed
from otel_agents.export.waits import pause

logger = logging.getLogger(__name__)

Mode = Literal["memory", "spill", "durable"]
#: Told of every outcome: what, how many spans, why, and whether they were this process's own.
Note = Callable[[str, int, str | None, bool], None]

#: Seconds between two attempts while somebody waits in ``flush()``.
_FLUSH_STEP: Final = 0.25
#: Failures in a row after which a batch that the backend fails at is tried in parts.
_DOUBT: Final = 3
#: Seconds between two looks at the time while there is nothing to send.
_IDLE: Final = 30.0


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
    ) -> None:
        self._connect = connect
        self._note = note
        self._place = None if mode == "memory" or not root or not destination else (destination, root)
        self._mode: Mode = "memory" if self._place is None else mode
        self._limits = limits or Limits()
        self._tell = changed
        self._reset()

    def _reset(self) -> None:
        self._disk: Disk | None = None
        if self._place is not None:
            self._disk = Disk(*self._place, "spans", self._mode == "durable", self._limits, self._gone)
        self._guard = threading.RLock()  # of the disk, and of what is in flight
        self._changed = threading.Condition(threading.RLock())  # taken after the guard, never before it
        self._fresh: deque[Entry] = deque()
        self._bytes = 0
        self._flying: list[Entry] = []
        self._source: Spool | None = None  # of what is in flight; None when it came from memory
        self._number = 0
        self._turn = 0
        self._flushing = 0
        self._sender: Sender | None = None
        self._sending = threading.Lock()
        self._failures = 0
        self._failed_at = self._took = 0.0
        self._not_before = 0.0
        self._asked_until = 0.0
        self._said: set[str] = set()
        self._told = (0, 0, 0)
        self._thread: threading.Thread | None = None
        self._start_lock = threading.Lock()
        self._stopping = self._closed = False

    # --- what comes in -------------------------------------------------------------------------

    def put(self, entries: Sequence[Entry]) -> None:
        """Takes entries over. In ``durable`` they are on disk when it returns."""
        for entry in entries:
            if len(entry.body) > self._limits.span_bytes:
                size, entry.body = len(entry.body), trimmed(entry.body, self._limits.span_bytes)
                self._say("trimmed", f"a span of {size} bytes was trimmed to {len(entry.body)}")
        if self._mode == "durable":
            with self._guard:  # nothing is sent before it is on disk
                self._append(entries)
                self.save()
        else:
            self._append(entries)
        self._relieve()

    def _append(self, entries: Sequence[Entry]) -> None:
        with self._changed:
            now = time.monotonic()
            for entry in entries:
                entry.queued = now
                self._number += 1
                entry.number = self._number
                self._bytes += entry.size
            self._fresh.extend(entries)
            self._changed.notify_all()

    def _relieve(self) -> None:
        """Keeps memory within its limits: what is on disk leaves it, else something gives way."""
        if not self._over() or self._leave_to_disk() or (self.save() and self._leave_to_disk()):
            return
        with self._changed:
            order = sorted(self._fresh, key=lambda one: one.rank if self._limits.by_value else 0)
            gone = 0
            for one in order:
                if not self._over(gone):
                    break
                one.settled = True
                self._bytes -= one.size
                gone += 1
            self._fresh = deque(one for one in self._fresh if not one.settled)
            self._changed.notify_all()
        self._lose(gone, "memory_full" if self._disk is None else "disk_failed")

    def _over(self, less: int = 0) -> bool:
        # What is in flight comes on top for as long as it is: it is older, but cannot give way.
        spans = len(self._fresh) - less
        return spans > self._limits.memory_spans or self._bytes > self._limits.memory_bytes

    def _leave_to_disk(self) -> bool:
        with self._changed:
            while self._over() and self._fresh and self._fresh[0].row is not None:
                self._bytes -= self._fresh.popleft().size
            return not self._over()

    # --- the disk ------------------------------------------------------------------------------

    def tick(self) -> float | None:
        """Saves what has been waiting for long; answers in how many seconds to come again, if at all."""
        self._report()
        if self._disk is None or self._closed:
            return None
        oldest = next((one for one in self._in_memory() if one.row is None), None)
        if oldest is None:
            return None
        left = oldest.queued + self._limits.checkpoint - time.monotonic()
        if left > 0 and not self._failures:
            return min(left, self._limits.checkpoint)
        return None if self.save() else self._limits.checkpoint

    def save(self) -> bool:
        """Writes what is in memory alone to disk; False when there is no disk, or it takes nothing."""
        if self._disk is None:
            return False
        with self._guard:
            unsaved = [one for one in self._in_memory() if one.row is None]
            saved = self._disk.save(unsaved, self._in_flight())
        if saved and unsaved and self._mode == "spill":
            self._note("spooled", len(unsaved), None, True)
        return saved

    def _in_memory(self) -> list[Entry]:
        with self._changed:
            flying = self._flying if self._source is None else ()
            return [*(one for one in flying if not one.settled), *self._fresh]

    def _in_flight(self) -> set[int]:
        """Rows of this process's file that are being sent."""
        own = self._source is None or (self._disk is not None and self._source is self._disk.own)
        return {one.row for one in self._flying if one.row is not None} if own else set()

    def _gone(self, rows: Collection[int], count: int, reason: str) -> None:
        """The disk gave something up: ``rows`` of our file (-1: all), or of another's."""
        if rows == {-1}:  # those that are still in memory get a place in the next file
            with self._changed:
                kept = [one for one in self._in_memory() if one.row is not None]
                for one in kept:
                    one.row = None
            count = max(count - len(kept), 0)
        elif rows:
            with self._changed:
                for one in self._fresh:
                    if one.row in rows:
                        one.settled = True
                        self._bytes -= one.size
                self._fresh = deque(one for one in self._fresh if not one.settled)
        self._lose(count, reason, bool(rows))

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
        if self._disk is not None and leftovers.files(self._disk.folder, "spans"):
            self.start()

    def _run(self) -> None:
        _untraced()
        while not self._stopping:
            try:
                if self._wait():
                    self._step()
                if self._disk is not None:
                    with self._guard:
                        self._disk.expire(self._in_flight())
            except Exception:
                logger.exception("otel-agents: error while sending")
                time.sleep(1.0)

    def _wait(self) -> bool:
        """Waits for something to send and the time to send it; False to look again."""
        with self._changed:
            now = time.monotonic()
            disk = self._disk
            work = bool(self._fresh) or (disk is not None and disk.has_work)
            ready = self._ready_at()
            if work and now >= ready:
                return True
            self._changed.wait(min(ready - now, _IDLE) if work else _IDLE)
            return False

    def _ready_at(self) -> float:
        if self._flushing and self._failures:  # somebody waits: soon again, unless the server minds
            return max(min(self._not_before, self._failed_at + _FLUSH_STEP), self._asked_until)
        return self._not_before

    def _step(self, timeout: float | None = None) -> bool:
        """Sends one batch; False when there was none, or the backend did not take it."""
        if not self._sending.acquire(timeout=-1 if timeout is None else timeout):
            return False
        try:
            if not self._take():
                return False
            started = time.monotonic()
            try:
                self._sender = self._sender or self._connect()
                report = deliver(self._sender, self._flying, timeout, self._failures >= _DOUBT)
            except Exception as error:
                logger.exception("otel-agents: the sender failed")
                report = Report(left=list(self._flying), problem=Answer("later", "error", repr(error)))
            self._settle(report, time.monotonic() - started)
            return report.problem is None
        finally:
            self._sending.release()

    def _take(self) -> bool:
        """Puts a batch in flight."""
        with self._guard:
            self._turn += 1
            if self._turn % 2 or self._flushing:
                return self._take_from_memory() or self._take_from_disk()
            return self._take_from_disk() or self._take_from_memory()

    def _take_from_memory(self) -> bool:
        with self._changed:
            batch: list[Entry] = []
            size = 0
            while self._fresh and len(batch) < self._limits.batch_spans:
                size += self._fresh[0].size
                if batch and size > self._limits.batch_bytes:
                    break
                batch.append(self._fresh.popleft())
            self._flying, self._source = batch, None
            return bool(batch)

    def _take_from_disk(self) -> bool:
        if self._disk is None:
            return False
        with self._changed:
            before = self._fresh[0].row if self._fresh else None
        batch = self._disk.front(self._limits.batch_spans, before)
        source = self._disk.own
        if not batch:
            batch = self._disk.front_of_leftover(self._limits.batch_spans)
            source = self._disk.leftover
        with self._changed:
            self._flying, self._source = batch, source
        return bool(batch)

    def _settle(self, report: Report, seconds: float) -> None:
        decided = [*report.delivered, *(entry for entry, _ in report.refused)]
        with self._guard:
            if self._closed:
                return  # it was saved, or counted as lost, when the outbox was closed
            kept = [
                self._disk is not None
                and dead_letters.write(self._disk.folder, one, answer.reason, answer.message)
                for one, answer in report.refused
            ]
            own = self._land(report.left, decided)
        if delivered := len(report.delivered) - report.rejected:
            self._note("delivered", delivered, None, own)
        if report.rejected:
            self._say("rejected", f"the backend threw {report.rejected} spans away: {report.message}")
            self._lose(report.rejected, "rejected", own)
        for (_, answer), is_kept in zip(report.refused, kept, strict=True):
            self._say(answer.reason, f"a span was refused for good: {answer.message}")
            self._note("quarantined" if is_kept else "dropped", 1, answer.reason, own)
        if report.problem is not None:
            self._failed(report.problem, seconds, bool(report.delivered))
            self._relieve()
        elif self._failures:
            logger.warning("otel-agents: the backend takes spans again")
            self._failures, self._not_before, self._asked_until = 0, 0.0, 0.0
        with self._changed:
            self._changed.notify_all()
        self._report()

    def _land(self, left: Sequence[Entry], decided: Sequence[Entry]) -> bool:
        """Nothing is in flight any more. Answers whether it was of this process."""
        source = self._source
        spool = source or (self._disk.own if self._disk is not None else None)
        own = source is None or (self._disk is not None and source is self._disk.own)
        with self._changed:
            for one in decided:
                one.settled = True
            if source is None:
                self._bytes -= sum(one.size for one in decided)
                self._fresh.extendleft(reversed(left))
            self._flying, self._source = [], None
        if self._disk is not None and spool is not None:
            self._disk.forget(spool, decided)
        return own

    def _failed(self, answer: Answer, seconds: float, in_part: bool) -> None:
        now = time.monotonic()
        self._failures = _DOUBT if in_part else self._failures + 1
        self._failed_at, self._took = now, seconds
        self._not_before = now + pause(1 if in_part else self._failures, answer.wait)
        self._asked_until = self._not_before if answer.wait else 0.0
        if self._failures == 1:
            logger.warning("otel-agents: spans wait for the backend: %s", answer.message)
        if self._mode == "spill":
            self.save()

    # --- the end of waiting --------------------------------------------------------------------

    def flush(self, deadline: float) -> None:
        """Waits until what is in memory now is delivered, refused, or safe on disk while the backend fails.

        Args:
            deadline: of ``time.monotonic()``.
        """
        started = time.monotonic()
        with self._changed:
            target = self._number
            self._flushing += 1
            self._changed.notify_all()
        try:
            while (left := deadline - time.monotonic()) > 0:
                if self._decided(target, started):
                    return
                if not self.start():
                    if not self._step(min(left, 5.0)):
                        time.sleep(min(left, 0.05))
                    continue
                with self._changed:
                    self._changed.wait(min(left, _FLUSH_STEP))
        finally:
            with self._changed:
                self._flushing -= 1

    def _decided(self, target: int, since: float) -> bool:
        with self._changed:
            if not any(one.number <= target for one in self._in_memory()):
                return True
            # A backend that is known to hang need not hold up everybody who asks.
            known = _FLUSH_STEP if self._took < 1.0 or self._stopping else 10 * self._took
            tried = self._failed_at >= since - known or self._asked_until > time.monotonic()
            if not (self._failures and tried):
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
        with self._changed:
            self._changed.notify_all()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            # What is in flight from the disk would be sent again if its answer were not waited for.
            thread.join(timeout=max(deadline - time.monotonic(), 0.05))
        with self._guard:
            self._closed = True
            self.save()
            lost = sum(1 for one in self._in_memory() if one.row is None)
            _, spooled = self.waiting()
            self._report()
            with self._changed:
                self._fresh.clear()
                self._flying, self._source, self._bytes = [], None, 0
            if self._disk is not None:
                self._disk.close()
        if lost:
            self._note("dropped", lost, "shutdown" if self._disk is None else "disk_failed", True)
            logger.warning("otel-agents: %d spans could not be sent before the end", lost)
        if self._sender is not None:
            self._sender.close()
        return lost, spooled

    def waiting(self) -> tuple[int, int]:
        """Spans in memory alone, and spans of this process on disk."""
        pending = sum(1 for one in self._in_memory() if one.row is None)
        own = self._disk.own if self._disk is not None else None
        return pending, own.count if own is not None else 0

    # --- fork ----------------------------------------------------------------------------------

    def before_fork(self) -> None:
        """Waits until no thread of ours is inside SQLite: a child would inherit its locks, held."""
        self._guard.acquire(timeout=5.0)

    def after_fork_in_parent(self) -> None:
        """Goes on."""
        try:
            self._guard.release()
        except RuntimeError:
            pass  # it was not to be had in time

    def after_fork(self) -> None:
        """A child starts empty: its parent sends what the parent took over."""
        if self._disk is not None:
            self._disk.abandon()
        self._reset()

    # --- telling -------------------------------------------------------------------------------

    def _lose(self, count: int, reason: str, own: bool = True) -> None:
        if count:
            self._note("dropped", count, reason, own)
            self._say(reason, f"{count} spans are lost: {reason} (further ones are only counted)")

    def _say(self, what: str, message: str) -> None:
        if what not in self._said and len(self._said) < 100:
            self._said.add(what)
            logger.warning("otel-agents: %s", message)

    def _report(self) -> None:
        if self._tell is None:
            return
        own = self._disk.own if self._disk is not None else None
        now = (len(self._fresh), own.count if own else 0, own.bytes if own else 0)
        if now != self._told:
            self._told = now
            self._tell(*now)


def _untraced() -> None:
    """Has nothing trace this thread's requests."""
    from opentelemetry import context
    from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY

    context.attach(context.set_value(_SUPPRESS_INSTRUMENTATION_KEY, True, context.Context()))
