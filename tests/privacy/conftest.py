"""Secrets as they look in the wild; none of them was ever valid."""

from __future__ import annotations

import pytest

# Put together at run time, so that no scanner of repositories takes them for real ones.
_TAIL = "Q7w9" * 10

SECRETS: dict[str, str] = {
    "openai": "sk-" + "proj-" + _TAIL,
    "openai old": "sk-" + _TAIL,
    "anthropic": "sk-" + "ant-api03-" + _TAIL,
    "langfuse secret": "sk-" + "lf-1a2b3c4d-0000-1111-2222-333344445555",
    "langfuse public": "pk-" + "lf-1a2b3c4d-0000-1111-2222-333344445555",
    "langfuse short": "sk-" + "lf-local",
    "aws": "AKIA" + "IOSFODNN7EXAMPLE",
    "github": "ghp_" + _TAIL[:36],
    "github fine": "github_" + "pat_" + "11ABCDEFG0" * 2 + "zz_" + _TAIL,
    "gitlab": "glpat-" + _TAIL[:20],
    "slack": "xoxb-" + "123456789012-abcdefABCDEF",
    "slack hook": "hooks.slack.com/" + "services/T0000/B0000/" + _TAIL[:24],
    "google": "AIza" + _TAIL[:35],
    "google oauth": "ya29." + _TAIL,
    "hugging face": "hf_" + _TAIL[:34],
    "stripe": "sk_" + "live_" + _TAIL[:24],
    "npm": "npm_" + _TAIL[:36],
    "xai": "xai-" + _TAIL,
    "sendgrid": "SG." + _TAIL[:22] + "." + _TAIL,
    "vault": "hvs." + _TAIL,
    "jwt": "eyJ" + "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0." + _TAIL,
    "telegram": "110201543:" + "AA" + _TAIL[:33],
    "pem": "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEow" + _TAIL + "\n-----END RSA PRIVATE KEY-----",
}


@pytest.fixture(params=SECRETS.values(), ids=SECRETS.keys())
def secret(request: pytest.FixtureRequest) -> str:
    """One secret that is known by its shape alone."""
    value = request.param
    assert isinstance(value, str)
    return value
