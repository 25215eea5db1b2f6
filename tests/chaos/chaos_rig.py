"""What a scenario works with: the app's process, the faults around it, and the verdict over span ids."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collector_rig import Collector
from fault_proxy import PASS, Decide, Fault, FaultProxy
from parts import wait_for

from otel_agents.export import dead_letters
from otel_agents.export.leftovers import Destination
from otel_agents.export.limits import Limits
from otel_agents.export.outbox import Outbox
from otel_agents.export.sender import HttpSender

APP = Path(__file__).with_name("chaos_app.py")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of every span that an app has ended.

    Attributes:
        ended: how many.
        delivered: of these.
        repeated: of these, more than once.
        refused: kept as dead letters.
        missing: none of that.
        counted: spans that were counted as lost, by reason.
        unsafe_for: seconds between the end of the oldest missing one and that of the last span.
    """

    ended: int
    delivered: int
    repeated: int
    refused: int
    missing: int
    counted: dict[str, int]
    unsafe_for: float


@dataclass
class Rig:
    """One scenario's run. Everything random comes from ``random``.

    Attributes:
        proxy: in front of what the app sends to.
        arrived: ids of the spans that arrived behind all faults, repeated ones repeatedly.
        folder: of this run.
        random: of this run's seed.
    """

    proxy: FaultProxy
    arrived: Callable[[], Iterable[str]]
    folder: Path
    random: random.Random
    processes: list[subprocess.Popen[str]] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)
    #: Of the proxy's address, before ``/v1/traces``.
    path: str = ""
    of_collector: Collector | None = None

    @property
    def collector(self) -> Collector:
        assert self.of_collector is not None
        return self.of_collector

    @property
    def address(self) -> str:
        return self.proxy.url + self.path

    @property
    def spool(self) -> Path:
        return self.folder / "spool"

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger"

    def start(self, spans: int = 250, rate: float = 400.0, **rest: Any) -> subprocess.Popen[str]:
        """Starts the app; it is ready, and ends spans, when this returns."""
        environ = rest.pop("environ", {})
        given = {
            "address": self.address,
            "ledger": str(self.ledger),
            "spans": spans,
            "rate": rate,
            **rest,
        }
        process = subprocess.Popen(
            [sys.executable, str(APP), json.dumps(given)],
            env={
                **os.environ,
                "OTEL_AGENTS_DOTENV": "off",
                "OTEL_AGENTS_SPOOL_DIR": str(self.spool),
                **environ,
            },
            stdout=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        self.said(process, "ready")
        return process

    def said(self, process: subprocess.Popen[str], word: str) -> None:
        """Waits until the app has said so."""
        assert process.stdout is not None
        assert process.stdout.readline() == f"{word}\n", process.poll()

    def play(self, *faults: Fault | Decide | None, seconds: float = 0.5) -> None:
        """Has each fault for about so long, and then none; None: nobody listens."""
        for fault in faults:
            if fault is None:
                self.proxy.refuse()
            else:
                self.proxy.fault = fault
            time.sleep(seconds * self.random.uniform(0.5, 1.5))
            if fault is None:
                self.proxy.accept()
        self.proxy.fault = PASS

    def ended(self) -> dict[str, float]:
        """The ledger: ids, and when each was ended."""
        lines = self.ledger.read_text().splitlines() if self.ledger.exists() else []
        return {one: float(at) for one, at in (line.split() for line in lines)}

    def wait_for_spans(self, spans: int) -> None:
        """Waits until the app has ended so many."""
        wait_for(lambda: len(self.ended()) >= spans, f"{spans} spans", 60, 0.01)

    def end(self, process: subprocess.Popen[str], how: int = 0) -> int:
        """Waits for the app's end, after a signal if ``how`` is one; answers its exit status."""
        if how:
            process.send_signal(how)
        process.communicate(timeout=90)
        return process.returncode

    def succeed(self) -> None:
        """A next process takes over what was left, until nothing is; what it counts, counts."""
        url = f"{self.address}/v1/traces"
        destination = Destination("collector", url, "")

        def note(outcome: str, spans: int, reason: str | None, own: bool) -> None:
            if outcome == "dropped":
                self.counted[str(reason)] += spans

        outbox = Outbox(
            lambda: HttpSender(url, {}, 10.0, "gzip"),
            note,
            mode="spill",
            root=self.spool,
            destination=destination,
            limits=Limits(),
        )
        folder = destination.folder(self.spool)
        outbox.start_for_leftovers()
        try:
            wait_for(lambda: not _left(folder), f"{folder} to be emptied", 60)
        finally:
            outbox.close(time.monotonic() + 5)

    def verdict(self) -> Verdict:
        """Adds everything up."""
        ended = self.ended()
        arrivals = Counter(self.arrived())
        dead = {one.span_id for folder in self.spool.glob("*") for one in dead_letters.read(folder)}
        missing = [one for one in ended if one not in arrivals and one not in dead]
        counted = Counter(self.counted)
        counts = self.folder / "ledger.counts"
        for line in counts.read_text().splitlines() if counts.exists() else ():
            outcome, spans, reason = line.split()
            if outcome == "dropped":
                counted[reason] += int(spans)
        last = max(ended.values(), default=0.0)
        return Verdict(
            ended=len(ended),
            delivered=sum(1 for one in ended if one in arrivals),
            repeated=sum(1 for one in ended if arrivals[one] > 1),
            refused=len(dead),
            missing=len(missing),
            counted=dict(counted),
            unsafe_for=last - min((ended[one] for one in missing), default=last),
        )

    def judge(
        self,
        *,
        lost: Sequence[str] = (),
        repeats: bool = False,
        refused: int = 0,
        window: float | None = None,
    ) -> Verdict:
        """The verdict, held to what is promised.

        Args:
            lost: reasons for which spans may have been lost.
            repeats: some outcomes were unknown, so spans may have arrived twice.
            refused: spans that have to be kept as dead letters.
            window: seconds before the end from which on spans may be missing.
        """
        self.succeed()
        found = self.verdict()
        assert found.ended > 0, found
        assert found.refused == refused, found
        assert set(found.counted) <= set(lost), found
        counted = sum(found.counted.values())
        if "killed" in lost:  # what was under way then may have arrived, and is counted all the same
            assert found.missing <= counted <= found.missing + 2 * Limits().batch_spans, found
        else:
            assert found.missing == counted, found
        if not repeats:
            assert found.repeated == 0, found
        if window is not None:
            assert found.unsafe_for <= window, found
        return found

    def stop(self) -> None:
        """Ends what still runs."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.communicate()


def _left(folder: Path) -> list[Path]:
    return [*folder.glob("spans-*.db"), *folder.glob("spans-*.lock")]
