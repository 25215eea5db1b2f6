"""What the UI's tests share besides fixtures."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Page
from starlette.applications import Starlette
from starlette.testclient import TestClient

from otel_agents.local.options import LocalOptions
from otel_agents.local.store import Store
from otel_agents.local.ui import routes


def ui_client(store: Store, host: str = "127.0.0.1", base: str = "http://127.0.0.1:3000") -> TestClient:
    """The UI's routes, called without a network."""
    app = Starlette(routes=routes(store, LocalOptions(db=Path("unused.db"), host=host)))
    return TestClient(app, base_url=base)


@dataclass
class Watch:
    """What a page did that it must not do."""

    problems: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def on(self, page: Page) -> None:
        page.on("console", lambda m: self.problems.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on(
            "dialog", lambda dialog: (self.problems.append(f"dialog: {dialog.message}"), dialog.dismiss())
        )
        page.on("request", lambda request: self.requests.append(request.url))
