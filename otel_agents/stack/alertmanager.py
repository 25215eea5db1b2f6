"""Alertmanager for the local stack: started when there is somebody to tell, told whom."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from otel_agents.config import Settings
from otel_agents.stack.collector import config_path
from otel_agents.stack.ports import LOOPBACK

#: What stands in ``alertmanager.yaml`` where the webhook's address belongs.
PLACEHOLDER: Final = '"http://127.0.0.1:9095/alerts"'
#: Debian's package has the longer name.
_NAMES: Final = ("alertmanager", "prometheus-alertmanager")


def find(settings: Settings) -> Path | None:
    """Alertmanager's binary on PATH; None when there is none, or no webhook that it could tell."""
    if not settings.alert_webhook:
        return None
    return next((Path(found) for name in _NAMES if (found := shutil.which(name))), None)


def write_configuration(path: Path, webhook: str) -> None:
    """Writes ``alertmanager.yaml`` with the webhook's address; only the user can read it: tokens are in such.

    Raises:
        StackError: the installation is incomplete.
    """
    text = config_path("alertmanager.yaml").read_text(encoding="utf-8")
    path.unlink(missing_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "w", encoding="utf-8") as output:
        output.write(text.replace(PLACEHOLDER, json.dumps(webhook)))


def command(binary: Path, config: Path, data: Path, port: int) -> Sequence[str | Path]:
    """How it is started: alone, without looking for others of its kind."""
    return [
        binary,
        f"--config.file={config}",
        f"--storage.path={data}",
        f"--web.listen-address={LOOPBACK}:{port}",
        "--cluster.listen-address=",
        "--log.level=warn",
    ]
