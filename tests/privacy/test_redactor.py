"""The redactor: what goes, what stays, and that nothing makes it raise."""

from __future__ import annotations

import copy
import json
import logging
import math
import time
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_agents import config, semconv
from otel_agents.privacy import REDACTED, Redactor
from otel_agents.privacy.redactor import CALLBACK_FAILED, CIRCULAR, FAILED, TOO_DEEP, TOO_LARGE

REDACTOR = Redactor()


# --- text ----------------------------------------------------------------------------------------


def test_a_secret_is_replaced_wherever_it_stands_and_no_part_is_left(secret: str) -> None:
    for before, after in (
        ("", ""),
        ("key: ", ""),
        ("(", ")"),
        ('"', '"'),
        ("", "."),
        ("a ", " b"),
        ("é", "é"),
    ):
        redacted = REDACTOR.text(f"{before}{secret}{after}")
        assert REDACTED in redacted
        assert not any(secret[at : at + 9] in redacted for at in range(8, len(secret) - 8)), redacted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Authorization: Bearer abc.def", "Authorization: [redacted]"),
        ("authorization: Token x\nnext: line", "authorization: [redacted]\nnext: line"),
        ("{'Authorization': 'Bearer abc'}", "{'Authorization': '[redacted]'}"),
        ("(b'authorization', b'Bearer abc')", "(b'authorization', b'[redacted]')"),
        ("Set-Cookie: sid=1; Path=/", "Set-Cookie: [redacted]"),
        ("sent Bearer 0123456789abcdef", "sent Bearer [redacted]"),
        ("Basic dXNlcjpwYXNz", "Basic [redacted]"),
        ("postgres://joe:hunter2@db:5432/x", "postgres://[redacted]@db:5432/x"),
        ("redis://:hunter2@cache", "redis://[redacted]@cache"),
        ("GET https://x/y?a=1&api_key=hunter2&b=2", "GET https://x/y?a=1&api_key=[redacted]&b=2"),
        ("https://s3/x?X-Amz-Signature=abcdef&b=1", "https://s3/x?X-Amz-Signature=[redacted]&b=1"),
        ("https://maps/api?key=hunter2", "https://maps/api?key=[redacted]"),
        ("DB_PASSWORD=hunter2", "DB_PASSWORD=[redacted]"),
        ("password: hunter2", "password: [redacted]"),
        ("PASSWORD_PROD => 'hunter2'", "PASSWORD_PROD => '[redacted]'"),
        ('client_secret = "hunter two"', 'client_secret = "[redacted]"'),
        ('password: str = "hunter2"', "password: [redacted]"),
        ('password: str | None = "hunter2"', "password: [redacted]"),
        ('os.environ["OPENAI_API_KEY"] = "abc"', 'os.environ["OPENAI_API_KEY"] = "[redacted]"'),
        ('{"password": "hunter \\" two", "n": 1', '{"password": "[redacted]", "n": 1'),
        ('"{\\"password\\": \\"hunter two\\"}"', '"{\\"password\\": \\"[redacted]\\"}"'),
        ("password = '''hunter2'''", "password = '''[redacted]'''"),
        ("<password>hunter2</password>", "<password>[redacted]</password>"),
        ("run --api-key hunter2 --verbose", "run --api-key [redacted] --verbose"),
        ("AccountKey=abc123==;EndpointSuffix=x", "AccountKey=[redacted];EndpointSuffix=x"),
        ("token=abc123def", "token=[redacted]"),
        ("token: 'a-very-long-opaque-value'", "token: '[redacted]'"),
        ("API key: hunter2", "API key: [redacted]"),
    ],
)
def test_values_of_secret_names_are_replaced_in_text(text: str, expected: str) -> None:
    assert REDACTOR.text(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The model may return 4096 tokens; max_tokens: 100 and token_count=17",
        "the next token: the one with the highest probability",
        "token: 128000",
        '{"usage":{"prompt_tokens":1200,"completion_tokens":30,"total_tokens":1230}}',
        "secretary: Bob, basic authentication, Basic Understanding, bearer of news",
        "see https://example.com:8080/a?page=2 or mail joe@example.com",
        "a task-force-management-plan on disk-usage-statistics",
        "password reset mails are sent; passwords are hashed",
        'api_key=""',
        "----------------------------------------",
        "def keys(self) -> list[str]: return sorted(self._keys)",
        "2026-11-23T12:00:00Z gpt-5-mini claude-sonnet-4-5-20250929",
        "0af7651916cd43dd8448eb211c80319c",
        "\ud800 lone \x00 nul é 漢字 İ",
    ],
)
def test_clean_text_is_the_same_object(text: str) -> None:
    assert REDACTOR.text(text) is text


def test_redacting_twice_changes_nothing_more(secret: str) -> None:
    once = REDACTOR.text(f"password: {secret}; Authorization: Bearer {secret} https://u:{secret}@h {secret}")
    assert REDACTOR.text(once) == once


def test_a_character_that_grows_in_lower_case_does_not_shift_the_cut() -> None:
    assert REDACTOR.text("İİİİ password=hunter2 end") == "İİİİ password=[redacted] end"


def test_text_beyond_the_limit_is_cut_and_a_key_across_the_cut_is_seen() -> None:
    redactor = Redactor(limit=100)
    text = "x" * 95 + " sk-" + "a" * 40 + "y" * 5000
    redacted = redactor.text(text)
    assert redacted.startswith("x" * 95)
    assert "sk-" not in redacted
    assert redacted.endswith(f"[cut: {len(text)} characters]")
    assert redactor.text("y" * 100) == "y" * 100


# --- keys ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    [
        *[
            "authorization",
            "Authorization",
            "http.request.header.authorization",
            "proxy-authorization",
            "api_key",
        ],
        *["apiKey", "apikey", "x-api-key", "X-Goog-Api-Key", "OPENAI_API_KEY"],
        *["api.key", "password", "passwd", "dbPassword", "password_hash"],
        *["passphrase", "pwd", "db.pwd", "secret", "client_secret"],
        *["clientSecret", "aws_secret_access_key", "my-secrets", "secretKey", "token"],
        *["access_token", "refreshToken", "id_token", "bot-token", "api_tokens"],
        *["bearer", "private_key", "ssh_key", "access_key_id", "signing-key"],
        *["SharedAccessKey", "cookie", "set-cookie", "Cookies", "credentials"],
        *["credential", "auth", "jwt", "connection_string"],
    ],
)
def test_secret_names(key: str) -> None:
    assert REDACTOR.is_secret_key(key)
    assert REDACTOR.value({key: "hunter2", "n": 1}) == {key: REDACTED, "n": 1}
    assert REDACTOR.attributes({key: "hunter2"}) == {key: REDACTED}


@pytest.mark.parametrize(
    "key",
    [
        *(value for name, value in vars(semconv).items() if name.isupper() and isinstance(value, str)),
        *["max_tokens", "max_completion_tokens", "prompt_tokens", "total_tokens", "tokens", "token_count"],
        *["cached_tokens", "reasoning_tokens", "tokens_per_second", "tokenizer", "token_type", "maxTokens"],
        *["max_token", "total_token", "output.token", "stop_token", "gen_ai.token.type", "token.limit"],
        *["llm.token_count.prompt", "llm.usage.total_tokens", "gen_ai.usage.cache_read.input_tokens"],
        *["key", "keys", "primary_key", "public_key", "keyboard", "secretary", "author", "session.id"],
        *["session_id", "monkey", "passenger", "compass", "user.id", "code.function.name", "authority"],
    ],
)
def test_names_that_only_look_like_secrets_stay(key: str) -> None:
    assert not REDACTOR.is_secret_key(key)
    assert REDACTOR.attributes({key: 1234}) == {key: 1234}


def test_own_names_match_by_words_in_attributes_structures_json_and_text() -> None:
    redactor = Redactor(keys=["account_number", "ssn", ""])
    for key in ("accountNumber", "customer.account-number", "ACCOUNT_NUMBER", "otel_agents.metadata.ssn"):
        assert redactor.attributes({key: "12345"}) == {key: REDACTED}
        assert json.loads(redactor.json(json.dumps({"a": [{key: "12345"}]}))) == {"a": [{key: REDACTED}]}
    assert redactor.text("ssn: 123-45-6789, lesson: 4") == "ssn: [redacted], lesson: 4"
    assert redactor.text("Account number = 12345;") == "Account number = [redacted];"
    for key in ("accountant_number", "session", "classname"):
        assert not redactor.is_secret_key(key)


def test_names_made_from_data_do_not_fill_the_memory() -> None:
    redactor = Redactor()
    for number in range(10_000):
        redactor.value({f"key {number}": f"value {number}"})
    assert len(redactor._names._answers) <= 4096
    assert len(redactor._clean) <= 4096


# --- structures ----------------------------------------------------------------------------------


def test_structures_are_copied_only_where_they_change(secret: str) -> None:
    original = {
        "a": [1, {"b": f"x {secret}", "password": {"deep": 1}}],
        "clean": {"n": [1, 2]},
        "t": (secret,),
    }
    before = copy.deepcopy(original)
    redacted = REDACTOR.value(original)
    assert original == before
    assert redacted["a"][1]["password"] == REDACTED
    assert secret not in repr(redacted)
    assert redacted["clean"] is original["clean"]
    assert isinstance(redacted["t"], tuple)
    assert REDACTOR.value(redacted) is redacted


def test_none_and_booleans_under_a_secret_name_stay() -> None:
    value = {"password": None, "secret": True}
    assert REDACTOR.value(value) is value


def test_a_secret_used_as_a_key_goes_too(secret: str) -> None:
    assert secret not in repr(REDACTOR.value({secret: 1}))
    assert secret not in repr(REDACTOR.attributes({f"x.{secret}": "y"}))


def test_structures_without_end_stay_bounded() -> None:
    circular: dict[str, Any] = {"a": 1}
    circular["self"] = circular
    assert REDACTOR.value(circular) == {"a": 1, "self": CIRCULAR}
    deep: Any = "x"
    for _ in range(200):
        deep = [deep]
    assert TOO_DEEP in repr(REDACTOR.value(deep))
    laughs: Any = ["ha"]
    for _ in range(50):
        laughs = [laughs, laughs]
    started = time.monotonic()
    assert TOO_LARGE in _leaves(REDACTOR.value(laughs))
    assert time.monotonic() - started < 60


def _leaves(tree: Any) -> set[object]:
    """Leaves of a tree that shares its branches."""
    seen: set[int] = set()
    found: set[object] = set()
    todo = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, list):
            if id(node) not in seen:
                seen.add(id(node))
                todo.extend(node)
        else:
            found.add(node)
    return found


class _Odd:
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


class _OddMapping(Mapping[str, int]):
    def __getitem__(self, key: str) -> int:
        raise KeyError(key)

    def __iter__(self) -> Any:
        raise RuntimeError("no")

    def __len__(self) -> int:
        return 1


class _Config:
    def __repr__(self) -> str:
        return "Config(password='hunter2')"


def test_odd_objects_are_replaced_and_nothing_raises() -> None:
    assert REDACTOR.value({"a": _Odd(), "b": 1}) == {"a": FAILED, "b": 1}
    assert REDACTOR.value(_OddMapping()) == FAILED
    assert REDACTOR.attributes(_OddMapping()) == {"otel_agents.redaction": FAILED}
    assert REDACTOR.value(_Config()) == "Config(password='[redacted]')"
    assert REDACTOR.value(b"password=hunter2") == "password=[redacted]"
    assert REDACTOR.text(12) == FAILED  # type: ignore[arg-type]
    assert math.isnan(REDACTOR.value(math.nan))


# --- JSON ----------------------------------------------------------------------------------------


def test_json_stays_json_and_loses_secrets_by_name_and_by_shape(secret: str) -> None:
    messages = [
        {"role": "user", "parts": [{"type": "text", "content": f"use {secret} é"}]},
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "arguments": {"password": "hunter2", "n": 1.5}}],
        },
    ]
    for dumped in (
        json.dumps(messages),
        json.dumps(messages, ensure_ascii=False),
        json.dumps(messages, indent=1),
    ):
        redacted = REDACTOR.json(dumped)
        assert secret not in redacted
        assert "hunter2" not in redacted
        decoded = json.loads(redacted)
        assert decoded[1]["parts"][0]["arguments"] == {"password": REDACTED, "n": 1.5}
        assert decoded[0]["parts"][0]["content"].endswith("é")


def test_json_in_json_is_looked_into_and_stays_json() -> None:
    inner = json.dumps({"password": 'hunter "two"', "city": "Ulm"})
    redacted = REDACTOR.json(json.dumps({"arguments": inner, "list": json.dumps([inner])}))
    decoded = json.loads(redacted)
    assert json.loads(decoded["arguments"]) == {"password": REDACTED, "city": "Ulm"}
    assert json.loads(json.loads(decoded["list"])[0]) == {"password": REDACTED, "city": "Ulm"}


@pytest.mark.parametrize(
    "document",
    ['{"\\u0070assword":"hunter2"}', '{"url":"https:\\/\\/joe:hunter2@db"}', '{"pass\\u0077ord":"hunter2"}'],
)
def test_escapes_hide_nothing(document: str) -> None:
    assert "hunter2" not in REDACTOR.json(document)


def test_clean_json_is_the_same_object() -> None:
    for value in ({"max_tokens": 5, "role": "user", "token_count": 7}, ["a", 1], [], {}, "text"):
        document = json.dumps(value)
        assert REDACTOR.json(document) is document


def test_what_is_no_json_is_text() -> None:
    assert REDACTOR.json('{"password": "hunter2", "cut') == '{"password": "[redacted]", "cut'
    assert REDACTOR.json("password=hunter2") == "password=[redacted]"
    assert REDACTOR.json("[" * 100_000 + "password=hunter2").endswith("password=[redacted]")
    assert REDACTOR.json('{"n":NaN,"password":"x"}') == '{"n":NaN,"password":"[redacted]"}' or (
        "password" in REDACTOR.json('{"n":NaN,"password":"x"}')
    )


# --- attributes ----------------------------------------------------------------------------------


def test_attributes_of_every_type(secret: str) -> None:
    given = {
        "a": f"x {secret}",
        "b": [f"{secret}", "clean"],
        "c": json.dumps({"password": "hunter2"}),
        "d": True,
        "e": 3,
        "f": 1.5,
        "g": {"nested": secret},
        "h": None,
        "token": 5,
        "gen_ai.usage.input_tokens": 7,
    }
    before = copy.deepcopy(given)
    redacted = REDACTOR.attributes(given)
    assert given == before
    assert secret not in repr(redacted)
    assert redacted["b"] == [REDACTED, "clean"]
    assert json.loads(str(redacted["c"])) == {"password": REDACTED}
    assert (redacted["d"], redacted["e"], redacted["f"]) == (True, 3, 1.5)
    assert list(json.loads(str(redacted["g"]))) == ["nested"]
    assert "h" not in redacted
    assert redacted["token"] == REDACTED
    assert redacted["gen_ai.usage.input_tokens"] == 7
    assert REDACTOR.attributes(None) == {}


# --- the user's own rules ------------------------------------------------------------------------


def test_own_patterns_replace_the_whole_match() -> None:
    redactor = Redactor(patterns=[r"ACME-\d{4}", r"(?i)project (x)"])
    assert redactor.text("see ACME-1234 and Project X") == "see [redacted] and [redacted]"
    assert redactor.json('{"a":"ACME-1234"}') == '{"a":"[redacted]"}'


@pytest.mark.parametrize("pattern", ["(", "[a", "*", "(?P<x>a)(?P<x>b)"])
def test_a_bad_pattern_is_named(pattern: str) -> None:
    with pytest.raises(ValueError, match="is not a regular expression") as caught:
        Redactor(patterns=["fine", pattern])
    assert repr(pattern) in str(caught.value)


def test_the_callback_is_asked_about_every_leaf_with_its_path() -> None:
    asked: list[tuple[str, Any]] = []

    def callback(path: str, value: Any) -> Any:
        asked.append((path, value))
        return value.replace("Joe", "J.") if isinstance(value, str) else value

    redactor = Redactor(callback=callback)
    assert redactor.attributes({"who": "Joe", "doc": '{"list":[{"name":"Joe"}]}', "n": 3}) == {
        "who": "J.",
        "doc": '{"list":[{"name":"J."}]}',
        "n": 3,
    }
    assert asked == [("who", "Joe"), ("doc.list[0].name", "Joe"), ("n", 3)]


def test_the_callback_sees_no_secrets_and_is_not_asked_about_token_counts(secret: str) -> None:
    asked: list[Any] = []
    redactor = Redactor(callback=lambda path, value: asked.append(value) or value)
    redactor.attributes({"a": secret, "password": "hunter2", "gen_ai.usage.input_tokens": 5})
    assert asked == [redactor._text(secret)]


def test_a_failing_callback_redacts_and_says_so_once_without_the_value(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def callback(path: str, value: Any) -> Any:
        raise RuntimeError(f"cannot handle {value}")

    redactor = Redactor(callback=callback)
    with caplog.at_level(logging.DEBUG):
        assert redactor.text("hello") == CALLBACK_FAILED
        assert redactor.attributes({"a": "canary", "b": ["canary"]}) == {
            "a": CALLBACK_FAILED,
            "b": [CALLBACK_FAILED],
        }
        assert redactor.json('{"a":"canary"}') == json.dumps({"a": CALLBACK_FAILED}, separators=(",", ":"))
    assert len(caplog.records) == 1
    assert "canary" not in caplog.text
    assert "RuntimeError" in caplog.text


@pytest.mark.parametrize("answer", [object(), {"a": 1}, [1], b"x"])
def test_a_callback_that_answers_something_odd_redacts(answer: object) -> None:
    assert Redactor(callback=lambda path, value: answer).text("x") == CALLBACK_FAILED


def test_made_from_settings() -> None:
    settings = config.resolve(
        {"redact_keys": ("iban",), "redact_patterns": ("ACME-[0-9]+",), "max_value_chars": 64}, {}, False
    )
    redactor = Redactor.from_settings(settings, lambda path, value: value)
    assert redactor.value({"iban": "DE1", "x": "ACME-1"}) == {"iban": REDACTED, "x": REDACTED}
    assert len(redactor.text("y" * 100)) < 100


# --- nothing raises, nothing is slow -------------------------------------------------------------

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(_json, st.text())
def test_anything_goes_through_and_a_second_time_changes_nothing(value: Any, text: str) -> None:
    once = REDACTOR.value(value)
    assert REDACTOR.value(once) == once
    redacted = REDACTOR.text(text)
    assert REDACTOR.text(redacted) == redacted
    dumped = json.dumps(value, ensure_ascii=False)
    decoded = json.loads(REDACTOR.json(dumped))
    assert decoded == json.loads(json.dumps(once))


_HOSTILE = ["sk-", "eyJ", "-eyJ-", "-----BEGIN PRIVATE KEY-----", "://", "://a:", "http://u:p", "password"]
_HOSTILE += [
    "password=",
    'password:"',
    'password="\\',
    'password=\\"\\\\',
    "secret_",
    "api_key-_-",
    "--",
    "token=",
]
_HOSTILE += [
    "password: str = ",
    "bearer a",
    "Basic Aa",
    "authorization:",
    "?key=",
    "12345678:AA",
    "_",
    "-",
    "\\",
]
_HOSTILE += ["'", '"', "passworD İ", "password_a_b_c", "--token ", "hooks.slack.com/aaaa", "a", "é", "\t=\t"]


@pytest.mark.parametrize("part", _HOSTILE)
@pytest.mark.parametrize("start", ["", 'password="', "-----BEGIN PRIVATE KEY-----"])
def test_text_made_to_be_slow_costs_time_in_proportion(start: str, part: str) -> None:
    def seconds(size: int) -> float:
        text = start + (part * (size // len(part) + 1))[:size]
        begun = time.thread_time()
        REDACTOR.text(text)
        return time.thread_time() - begun

    small, large = seconds(50_000), seconds(500_000)
    # Quadratic work would be 100 times as much; the slack is for what is too short to measure.
    assert large < 40 * small + 0.3, (small, large)


def test_ten_megabytes_are_a_matter_of_seconds() -> None:
    begun = time.thread_time()
    redacted = Redactor(limit=20_000_000).text("the max_tokens of a key, password=hunter2 sk-x; " * 200_000)
    assert "hunter2" not in redacted
    assert time.thread_time() - begun < 30
