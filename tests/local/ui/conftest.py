"""A seeded store, a client without a network, a served UI and a browser in front of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import ui_seed
import uvicorn
from parts import free_port, require, wait_for
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright
from starlette.applications import Starlette
from starlette.testclient import TestClient
from ui_rig import Watch, ui_client

from otel_agents.local.options import LocalOptions
from otel_agents.local.store import Store
from otel_agents.local.ui import routes

CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
def empty_store(tmp_path: Path) -> Iterator[Store]:
    """A store without a trace; a missing parent counts at once."""
    store = Store(tmp_path / "local.db", orphan_grace_s=0)
    yield store
    store.close()


@pytest.fixture
def store(empty_store: Store) -> Store:
    """A store with the 46 traces of `ui_seed.fill`."""
    ui_seed.fill(empty_store)
    return empty_store


@pytest.fixture
def client(store: Store) -> TestClient:
    """The seeded UI."""
    return ui_client(store)


@pytest.fixture
def three(empty_store: Store) -> TestClient:
    """Three tasks with round numbers, from 2026-01-15 10:00 UTC on."""
    empty_store.add_observations(
        [
            *ui_seed.task(
                1,
                ui_seed.T0,
                "claude",
                "security",
                cost=0.5,
                quality=0.9,
                tokens=1000,
                took=10_000,
                session="s 1/x",
                user="ada",
            ),
            *ui_seed.task(
                2,
                ui_seed.T0 + 60 * ui_seed.S,
                "gemini",
                "docs",
                cost=0.0,
                quality=0.4,
                tokens=2000,
                took=20_000,
                error=True,
                switched=True,
                tags=("nightly",),
            ),
            *ui_seed.task(
                3,
                ui_seed.T0 + 120 * ui_seed.S,
                "claude",
                "docs",
                cost=0.25,
                quality=None,
                tokens=3000,
                took=30_000,
                environment="staging",
                user=None,
            ),
        ]
    )
    return ui_client(empty_store)


@pytest.fixture
def serve() -> Iterator[Callable[[Store], str]]:
    """Serves a store's UI on loopback; answers its URL."""
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(store: Store) -> str:
        port = free_port()
        app = Starlette(routes=routes(store, LocalOptions(db=Path("unused.db"), port=port)))
        server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning"))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        running.append((server, thread))
        wait_for(lambda: server.started, "the UI's server")
        return f"http://127.0.0.1:{port}"

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join(timeout=10)


@pytest.fixture
def served(store: Store, serve: Callable[[Store], str]) -> str:
    """URL of the seeded UI."""
    return serve(store)


# Playwright's driver keeps an event loop running in its thread, in which no other test could use
# asyncio.run: it ends with each file, not with the session.
@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """Playwright's driver."""
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """One Chromium for all tests of a file."""
    found = playwright.chromium.launch(executable_path=require("chromium"), args=CHROMIUM_ARGS)
    yield found
    found.close()


@pytest.fixture
def watch() -> Watch:
    """Problems and requests of the test's pages."""
    return Watch()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A fresh browser profile, light, 1440 by 900."""
    found = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light")
    found.set_default_timeout(15_000)
    yield found
    found.close()


@pytest.fixture
def page(context: BrowserContext, served: str, watch: Watch) -> Iterator[Page]:
    """A page on the seeded UI. After the test: no console message, no error, no request to elsewhere."""
    found = context.new_page()
    watch.on(found)
    yield found
    assert watch.problems == []
    assert [url for url in watch.requests if not url.startswith((served, "data:"))] == []
