"""Who may read the pages, and what the browser may do with them."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient
from ui_rig import ui_client
from ui_seed import trace_id

from otel_agents.local.api.http import is_loopback
from otel_agents.local.store import Store
from otel_agents.local.ui.guard import host_of

PAGES = [
    "/traces",
    f"/traces/{trace_id(1)}",
    "/sessions",
    "/findings",
    "/ui/changes",
    "/ui/static/ui.js",
    "/",
]


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "127.9.9.9", "[::1]", "::1", "app.localhost", "LOCALHOST."]
)
def test_loopback_hosts(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "0.0.0.0", "::", "192.168.1.2", "localhost.evil.example", "127.0.0.1.nip.example"]
)
def test_other_hosts(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("header", "host"),
    [
        ("localhost:3000", "localhost"),
        ("[::1]:3000", "[::1]"),
        ("[::1]", "[::1]"),
        ("::1", "::1"),
        ("x", "x"),
        ("", ""),
    ],
)
def test_host_headers(header: str, host: str) -> None:
    assert host_of(header) == host


@pytest.mark.parametrize("url", PAGES)
def test_on_loopback_there_is_no_login(client: TestClient, url: str) -> None:
    assert client.get(url).status_code == 200


@pytest.mark.parametrize("url", PAGES)
def test_a_foreign_host_name_is_refused(store: Store, url: str) -> None:
    client = ui_client(store, base="http://rebound.example:3000")
    answer = client.get(url, follow_redirects=False)
    assert answer.status_code == 421
    assert "nightly" not in answer.text


@pytest.mark.parametrize("url", PAGES)
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2"])
def test_bound_elsewhere_the_keys_are_asked_for(store: Store, host: str, url: str) -> None:
    client = ui_client(store, host=host, base="http://box.example:3000")
    answer = client.get(url, follow_redirects=False)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert client.get(url, auth=("pk-lf-local", "sk-lf-local")).status_code == 200
    assert client.get(url, auth=("", "sk-lf-local")).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        "Basic cGstbGYtbG9jYWw6d3Jvbmc=",  # right user, wrong password
        "Basic c2stbGYtbG9jYWw6",  # the secret as user name
        "Basic cGstbGYtb3RoZXI6c2stbGYtbG9jYWw=",  # wrong user, right password
        "Basic !!!",
        "Basic",
        "Bearer sk-lf-local",
        "",
    ],
)
def test_wrong_keys(store: Store, header: str) -> None:
    client = ui_client(store, host="0.0.0.0")
    assert client.get("/traces", headers={"authorization": header}).status_code == 401


@pytest.mark.parametrize("url", [*PAGES, "/traces/unknown"])
def test_every_answer_forbids_what_pages_do_not_need(client: TestClient, url: str) -> None:
    headers = client.get(url).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize("url", ["/traces", f"/traces/{trace_id(100)}", "/sessions/chat-2", "/findings"])
def test_pages_have_nothing_inline(client: TestClient, url: str) -> None:
    from ui_html import parse

    for element in parse(client.get(url).text).all():
        assert "style" not in element.attributes
        assert not [name for name in element.attributes if name.startswith("on")]
        assert element.tag != "style"
        if element.tag == "script":
            assert element.attributes["src"].startswith("/ui/static/")
            assert element.text == ""


def test_pages_are_not_stored(client: TestClient) -> None:
    assert client.get("/traces").headers["cache-control"] == "no-store"


def test_nothing_but_reading(client: TestClient) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert client.request(method, "/traces").status_code == 405
