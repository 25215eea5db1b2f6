"""The README's code blocks, and the words that stand in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"

_FENCE = re.compile(r"^```(?P<info>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    language: str
    file: str | None
    text: str

    def commands(self) -> list[str]:
        """A shell block's commands, without comments and with continued lines joined."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [line for raw in lines if (line := re.sub(r"\s+#.*|^#.*", "", raw).strip())]


def blocks() -> list[Block]:
    """Every fenced block of the README, in order."""
    found = []
    for match in _FENCE.finditer(README.read_text()):
        language, _, rest = match["info"].strip().partition(" ")
        name = re.search(r"file=(\S+)", rest)
        found.append(Block(language, name[1] if name else None, match["text"]))
    return found


def python_files() -> dict[str, str]:
    """The Python blocks by the file name that they are given."""
    return {block.file: block.text for block in blocks() if block.language == "python" and block.file}


def metric_names() -> list[str]:
    """The Prometheus names that the README's table promises: the codes of its first column."""
    section = README.read_text().split("## What is measured")[1].split("\n## ")[0]
    first_columns = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return re.findall(r"`([a-z_]+)`", " ".join(first_columns))
