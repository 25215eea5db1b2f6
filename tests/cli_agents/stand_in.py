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
