"""requests, urllib3, aiohttp and botocore are hooked whenever they come, and never because of us."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

LIBRARIES = {
    "requests": ("requests", "requests.Session.send"),
    "urllib3": ("urllib3", "urllib3.HTTPConnectionPool.urlopen"),
    "aiohttp": ("aiohttp", "aiohttp.ClientSession._request"),
    "botocore": ("botocore.httpsession", "botocore.httpsession.URLLib3Session.send"),
}


def run(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_nothing_is_imported() -> None:
    script = """
        import sys
        from otel_agents import wire
        wire.install()
        libraries = ("requests", "urllib3", "aiohttp", "botocore", "boto3")
        print([name for name in libraries if name in sys.modules])
    """
    assert run(script) == "[]"


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("first", ["library", "hooks"])
def test_imported_before_or_after(library: str, first: str) -> None:
    module, method = LIBRARIES[library]
    install = "from otel_agents import wire; wire.install()"
    lines = [f"import {module}", install] if first == "library" else [install, f"import {module}"]
    owner, _, name = method.rpartition(".")
    show = f"print(type(vars({owner})[{name!r}]).__name__)"
    assert run("\n".join([*lines, show, "wire.uninstall()", show])) == "FunctionWrapper\nfunction"
    assert run("\n".join([*lines, "wire.uninstall()", "wire.install()", show])) == "FunctionWrapper"
