"""Programs that stand in for real agents: small scripts under the agents' names."""

from __future__ import annotations

import stat
import sys
import textwrap
from pathlib import Path

CAPTURES = Path(__file__).parents[1] / "data" / "captures"


def program(folder: Path, name: str, code: str) -> Path:
    """An executable ``name`` that runs Python ``code``."""
    folder.mkdir(exist_ok=True, parents=True)
    path = folder / name
    path.write_text(f"#!{sys.executable}\n{textwrap.dedent(code)}", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def printing(folder: Path, name: str, text: str, status: int = 0, stderr: str = "") -> Path:
    """An executable that prints ``text`` whatever it is asked, and ends with ``status``."""
    (folder / f"{name}.txt").parent.mkdir(exist_ok=True, parents=True)
    (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return program(
        folder,
        name,
        f"""
        import sys
        sys.stdout.write(open({str(folder / f"{name}.txt")!r}).read())
        sys.stderr.write({stderr!r})
        sys.exit({status})
        """,
    )


def captured(agent: str) -> str:
    """What the real agent printed."""
    return (CAPTURES / agent / "stdout.txt").read_text(encoding="utf-8")


def exporting(folder: Path, name: str, agent: str, keep: str = "_") -> Path:
    """An executable that prints and exports what the real ``agent`` did.

    Args:
        keep: of its requests, those with this in their names, such as ``_logs``.
    """
    return program(
        folder,
        name,
        f"""
        import json, os, pathlib, re, sys, urllib.request
        captured = pathlib.Path({str(CAPTURES / agent)!r})
        words = " ".join(sys.argv)
        names = ("OTEL_EXPORTER_OTLP_ENDPOINT", "GEMINI_TELEMETRY_OTLP_ENDPOINT")
        url = next((os.environ[name] for name in names if name in os.environ), None)
        if (found := re.search(r'endpoint="(http://[^/]+)/v1/logs"', words)):
            url = found[1]
        for file in sorted(captured.glob("*.json")) if url else ():
            if {keep!r} in file.name:
                signal = file.stem.partition("_")[2]
                body = json.dumps(json.loads(file.read_text())["body"]).encode()
                headers = {{"content-type": "application/json"}}
                request = urllib.request.Request(f"{{url}}/v1/{{signal}}", body, headers)
                assert urllib.request.urlopen(request, timeout=10).status == 200
        sys.stdout.write((captured / "stdout.txt").read_text())
        """,
    )
