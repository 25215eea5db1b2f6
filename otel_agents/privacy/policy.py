r"""What counts as a secret: names and shapes, written once for the SDK and for the Collector.

Every expression keeps to what Go's RE2 and Python's ``re`` (with ``re.ASCII``) read alike: no
lookaround, no back-references, no possessive quantifiers. A pattern never asks for something
behind an unbounded run, so that a search is linear in Python's backtracking engine too: after its
literal start it either fails within a bounded number of steps or succeeds with what it has.

The groups of a :class:`SecretPattern` are what stays in front of a secret (the name, the
opening quote); without groups the whole match is the secret.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

REDACTED: Final = "[redacted]"


@dataclass(frozen=True, slots=True)
class SecretPattern:
    """A shape of secret inside text.

    Attributes:
        name: for logs and tests.
        regex: RE2 and Python; starts with ``(?i)`` when case does not matter.
        hints: substrings, every match holds at least one of them (in lower case where case does not
            matter). They make clean text cheap.
        groups: how many groups hold what is kept in front of the secret.
        tail: text that is part of the match and kept behind the secret.
    """

    name: str
    regex: str
    hints: tuple[str, ...]
    groups: int = 0
    tail: str = ""

    @property
    def replacement(self) -> str:
        """What a match is replaced by, in Go's notation (``${1}``): ``collector/redaction.py`` uses it."""
        return "".join(f"${{{number}}}" for number in range(1, self.groups + 1)) + REDACTED + self.tail


# --- names ---------------------------------------------------------------------------------------
#: A key (attribute, JSON member, header) that one of these is found in has a secret for a value.
KEY_PATTERNS: Final = (
    r"(?i)pass(?:word|wd|phrase|code)",
    r"(?i)secret(?:[^a]|$)",  # not "secretary"
    r"(?i)api[._\- ]?key",
    r"(?i)(?:private|signing|encryption|access|account|subscription|master|ssh|deploy)[._\- ]?key",
    r"(?i)credentials?$",
    r"(?i)authorization$",
    r"(?i)cookies?$",
    r"(?i)token$",  # never "tokens", "token_count", "token.type": those are numbers
    r"(?i)(?:access|refresh|auth|api|session|bearer|id)[._\- ]?tokens$",
    r"(?i)(?:^|[._\- ])(?:auth|bearer|jwt|pwd|connection[._\- ]?string)$",
)

#: Keys that look like the above and are numbers or plain words; these win.
SAFE_KEY_PATTERNS: Final = (
    r"^gen_ai\.usage\.",
    r"(?i)(?:^|[._\- ])(?:max|min|num|n|input|output|total|prompt|completion|cached|cache|reasoning|per"
    r"|stop|eos|bos|pad|unk|mask|first|last)[._\- ]?token$",
)

# --- shapes --------------------------------------------------------------------------------------
# Names inside running text: stricter than KEY_PATTERNS, because prose holds words like "token" too.
_NAME = (
    r"(?:passw(?:or)?d|passphrase|passcode|secret|credentials?|api[_\- ]?key|access[_\-]?key"
    r"|account[_\-]?key|private[_\-]?key|signing[_\-]?key|encryption[_\-]?key|subscription[_\-]?key"
    r"|master[_\-]?key|access[_\-]?token|refresh[_\-]?token|auth[_\-]?token|id[_\-]?token"
    r"|session[_\-]?token|bearer[_\-]?token|api[_\-]?token|bot[_\-]?token|csrf[_\-]?token"
    r"|security[_\-]?token|sas[_\-]?token)"
)
_NAME_END = r"(?:[_\-][a-z0-9_\-]{0,24}|[0-9]{1,4}|s)?"
_CLOSE = r"""(?:\\{0,4}["'`])?\]?"""  # what closes the name: "password":  ['password'] =  \"password\":
_SEPARATOR = r"\s{0,8}(?::=|=>|={1,2}|:|>)\s{0,8}"
# A value in double quotes (plain, or escaped inside a JSON string), in single quotes, or bare.
_PLAIN = r'("""|")(?:[^"\\\r\n]|\\.)[^"\\\r\n]*(?:\\.[^"\\\r\n]*)*'
_ESCAPED = r'(\\{1,4}")(?:[^"\\\r\n]|\\\\\\"|\\\\|\\[^"\\])+'
_SINGLE = r"(\\{0,4}(?:'''|'|`))[^'`\r\n][^'`\r\n]*"
_BARE = r"""[^\s"'`,;&<>()\[\]{}\\|][^\s"'`,;&<>)\]}\\]*"""
# password: str = "hunter2"; the annotation goes with the value.
_ANNOTATED = r"""(?:(?:[A-Za-z_.|\[\] ]{0,60}=\s{0,4})?(?:"[^"\r\n]*"|'[^'\r\n]*'))?"""


def _assigned(name: str, names: str, hints: tuple[str, ...]) -> SecretPattern:
    """``name = value`` in its many spellings; the name, separator and opening quote stay."""
    value = f"(?:{_PLAIN}|{_ESCAPED}|{_SINGLE}|{_BARE}{_ANNOTATED})"
    return SecretPattern(name, f"(?i)({names}{_NAME_END}{_CLOSE}{_SEPARATOR}){value}", hints, groups=4)


def assignment_of(words: Sequence[str]) -> SecretPattern | None:
    """The pattern of a user's own name in text (``iban: DE...``), given its words in lower case."""
    if not words:
        return None
    name = r"(?:\b|_)" + r"[_\-. ]?".join(re.escape(word) for word in words)
    return _assigned(" ".join(words), name, (max(words, key=len),))


VALUE_PATTERNS: Final = (
    SecretPattern(
        "private key",
        # Up to the next double dash: a key whose end was cut off is still a key.
        r"-{4,5} ?BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10} ?-{4,5}[^-]*(?:-[^-]+)*"
        r"(?:-{4,5} ?END [A-Z0-9 ]{0,60}-{4,5})?",
        ("PRIVATE KEY",),
    ),
    SecretPattern("langfuse key", r"\b[sp]k-lf-[A-Za-z0-9_][A-Za-z0-9_\-]{3,}", ("k-lf-",)),
    # OpenAI, Anthropic, OpenRouter, DeepSeek and others.
    SecretPattern("sk key", r"\bsk-[A-Za-z0-9_][A-Za-z0-9_\-]{15,}", ("sk-",)),
    SecretPattern(
        "aws key id",
        r"\b(?:AKIA|ASIA|ABIA|ACCA|AROA|AIDA)[A-Z0-9]{16,}",
        ("AKIA", "ASIA", "ABIA", "ACCA", "AROA", "AIDA"),
    ),
    SecretPattern(
        "github token",
        r"\b(?:gh[pousr]|github_pat)_[A-Za-z0-9]{16}[A-Za-z0-9_]*",
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
    ),
    SecretPattern(
        "gitlab token",
        r"\bgl(?:pat|dt|rt|cbt|ptt|ft|soat|oas)-[A-Za-z0-9_][A-Za-z0-9_\-]{15,}",
        ("glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "glsoat-", "gloas-"),
    ),
    SecretPattern("slack token", r"\bx(?:ox[a-z]|app)-[A-Za-z0-9][A-Za-z0-9\-]{9,}", ("xox", "xapp-")),
    SecretPattern(
        "slack hook",
        r"\bhooks\.slack\.com/[a-z]{4,20}/[A-Za-z0-9/_\-]{8,}",
        ("hooks.slack.com",),
    ),
    SecretPattern(
        "google key",
        r"\b(?:AIza[A-Za-z0-9_\-]{30,}|ya29\.[A-Za-z0-9_\-]{16,}(?:\.[A-Za-z0-9_\-]+)?)",
        ("AIza", "ya29."),
    ),
    # Hugging Face, Groq, Replicate, npm, DigitalOcean, Grafana, Linear, Notion, Supabase, Stripe, Shopify.
    SecretPattern(
        "vendor token",
        r"\b(?:hf|gsk|r8|npm|dop_v1|glsa|glc|lin_api|ntn|sbp|whsec|[sr]k_live|[sr]k_test|shpat|shpss)_"
        r"[A-Za-z0-9+/=]{16,}",
        (
            *("hf_", "gsk_", "r8_", "npm_", "dop_v1_", "glsa_", "glc_", "lin_api_", "ntn_", "sbp_"),
            *("whsec_", "k_live_", "k_test_", "shpat_", "shpss_"),
        ),
    ),
    # xAI, Perplexity, NVIDIA, Tailscale, PyPI, Google OAuth clients.
    SecretPattern(
        "vendor key",
        r"\b(?:xai|pplx|nvapi|tskey|pypi|GOCSPX)-[A-Za-z0-9_][A-Za-z0-9_\-]{15,}",
        ("xai-", "pplx-", "nvapi-", "tskey-", "pypi-", "GOCSPX-"),
    ),
    # SendGrid, HashiCorp Vault.
    SecretPattern(
        "dotted token", r"\b(?:SG|hv[sb])\.[A-Za-z0-9_\-]{16,}(?:\.[A-Za-z0-9_\-]+)?", ("SG.", "hvs.", "hvb.")
    ),
    # Any base64 of a JSON object: JWTs, JWEs, registry credentials.
    SecretPattern("jwt", r"\beyJ[A-Za-z0-9_\-]{16,}(?:\.[A-Za-z0-9_\-]+){0,4}", ("eyJ",)),
    SecretPattern("telegram token", r"\b[0-9]{8,10}:AA[A-Za-z0-9_\-]{32,}", (":AA",)),
    SecretPattern(
        "url credentials",
        r"""(://)[^\s/?#@:"'<>\\]{0,512}:[^\s/?#"'<>\\]{1,512}@""",
        ("://",),
        groups=1,
        tail="@",
    ),
    SecretPattern(
        "url signature",
        r"(?i)([?&](?:sig|signature|key|token|auth|x-amz-(?:signature|credential|security-token)"
        r"""|x-goog-(?:signature|credential))=)[^&\s"'<>\\]+""",
        ("sig", "key", "token", "auth", "credential"),
        groups=1,
    ),
    # The value of a header, to the end of its line; before the schemes below, which are shorter.
    SecretPattern(
        "header",
        r"(?i)((?:authorization|cookie|x-api-key|api-key)(?:" + _CLOSE + r"\s{0,8}(?::|={1,2}|=>)\s{0,8}"
        r"""(?:b?\\{0,4}["'`])?|["'],\s{0,4}b?["']))[^\s"'`\\\[{(][^\r\n"'`\\]*""",
        ("auth", "cookie", "key"),
        groups=1,
    ),
    SecretPattern(
        "bearer",
        r"(?i)(\bbearer\s{1,4})(?:[a-z0-9._~+/=\-]{16,}|[a-z_\-]{0,15}[0-9~+/=][a-z0-9._~+/=\-]{4,})",
        ("bearer",),
        groups=1,
    ),
    SecretPattern(
        "basic",
        r"(\b[Bb]asic\s{1,4})[A-Za-z][a-z]{0,20}[A-Z0-9+/=][A-Za-z0-9+/=_\-]{10,}",
        ("asic",),
        groups=1,
    ),
    _assigned("assignment", _NAME, ("pass", "secret", "credential", "key", "token")),
    # "token" alone is a word of this trade: only values that look made by a machine.
    SecretPattern(
        "token assignment",
        r"(?i)(token" + _CLOSE + _SEPARATOR + r"""(?:\\{0,4}["'`])?)"""
        r"(?:[a-z0-9._~+/=\-]{16,}|[a-z_\-]{1,15}[0-9][a-z0-9._~+/=\-]{4,}|[0-9]{1,12}[a-z][a-z0-9._~+/=\-]{5,})",
        ("token",),
        groups=1,
    ),
    SecretPattern(
        "flag",
        r"""(?i)(--[a-z0-9\-]{0,24}(?:password|passphrase|secret|token|api-?key|credentials?)\s{1,4}["']?)"""
        + _BARE,
        ("--",),
        groups=1,
    ),
)
