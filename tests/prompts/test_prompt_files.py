"""Prompt files: what is read from them, what is refused, and that what is written reads back the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_agents.prompts import files
from otel_agents.prompts.content import Prompt, PromptError

TOML = """+++
name = "review/security"
labels = ["production", "eu"]
tags = ["nightly"]
config = { model = "gpt-4o-mini", temperature = 0.2 }
+++
You review {{language}} code.

--- not a fence ---
"""

CHAT_TOML = """
name = "support/answer"
type = "chat"
labels = "production"

[config]
model = "claude-haiku-4-5"

[[messages]]
role = "system"
content = '''
Be kind.'''

[[messages]]
placeholder = "history"

[[messages]]
role = "user"
content = "{{question}}"
"""


def written(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_plain_file_is_a_text_prompt_named_after_it(tmp_path: Path) -> None:
    found = files.read(written(tmp_path, "summarise.md", "Summarise {{text}}.\n\n- short\n"))
    assert found == Prompt("summarise", text="Summarise {{text}}.\n\n- short")


def test_toml_before_the_text(tmp_path: Path) -> None:
    found = files.read(written(tmp_path, "any.md", TOML))
    assert found == Prompt(
        "review/security",
        text="You review {{language}} code.\n\n--- not a fence ---",
        config={"model": "gpt-4o-mini", "temperature": 0.2},
        labels=("production", "eu"),
        tags=("nightly",),
    )


def test_yaml_before_the_text_with_windows_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "x.prompt"
    path.write_bytes(b"\xef\xbb\xbf---\r\nname: y\r\nlabels: [a]\r\n---\r\nHello\r\nyou\r\n")
    assert files.read(path) == Prompt("y", text="Hello\nyou", labels=("a",))


def test_a_rule_at_the_top_of_markdown_is_no_front_matter(tmp_path: Path) -> None:
    assert files.read(written(tmp_path, "x.md", "---\nHello")).text == "---\nHello"


def test_a_chat_prompt_in_toml(tmp_path: Path) -> None:
    found = files.read(written(tmp_path, "x.toml", CHAT_TOML))
    assert (found.name, found.type, found.labels, found.config) == (
        "support/answer",
        "chat",
        ("production",),
        {"model": "claude-haiku-4-5"},
    )
    assert found.messages == [
        {"role": "system", "content": "Be kind."},
        {"type": "placeholder", "name": "history"},
        {"role": "user", "content": "{{question}}"},
    ]


def test_a_chat_prompt_in_json_also_as_langfuse_writes_it(tmp_path: Path) -> None:
    message = '{"role": "user", "content": "hi"}'
    ours = files.read(written(tmp_path, "a.json", f'{{"name": "p", "messages": [{message}]}}'))
    theirs = files.read(
        written(tmp_path, "b.json", f'{{"name": "p", "type": "chat", "prompt": [{message}]}}')
    )
    assert ours == theirs == Prompt("p", messages=[{"role": "user", "content": "hi"}])


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.md", "+++\nname = \n+++\nx", "a.md is not TOML"),
        ("a.md", "---\na: [\n---\nx", "a.md is not YAML"),
        ("a.md", '+++\nnam = "x"\n+++\nx', "unknown key 'nam'; there are config, labels"),
        ("a.md", '+++\nname = "a|b"\n+++\nx', "cannot be named 'a|b'"),
        ("a.md", '+++\nlabels = ["Prod"]\n+++\nx', "label 'Prod' must be 1 to 36 of a-z"),
        ("a.md", '+++\nlabels = ["latest"]\n+++\nx', "'latest' is always on the newest version"),
        ("a.md", "+++\nconfig = 3\n+++\nx", "config must be a table"),
        ("a.md", '+++\ntype = "chat"\n+++\nx', "type is 'chat', which needs messages"),
        ("a.md", '+++\nprompt = "x"\n+++\nx', "the text is the prompt"),
        ("a.toml", 'name = "x"', "neither a text nor messages"),
        ("a.toml", 'prompt = "x"\n[[messages]]\nrole = "user"\ncontent = "x"', "both prompt and messages"),
        ("a.toml", '[[messages]]\nrole = "user"', "message 1 needs role and content"),
        ("a.toml", "messages = 3", "messages must be a list"),
        ("a.json", "[1]", "expected keys with values"),
        ("a.json", "{", "a.json is not JSON"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, name: str, text: str, says: str) -> None:
    with pytest.raises(PromptError) as raised:
        files.read(written(tmp_path, name, text))
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


def test_files_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PromptError, match="not UTF-8"):
        files.read(path)
    with pytest.raises(PromptError, match=r"no file .*; give prompt files"):
        files.read_all([tmp_path / "none.md"])


def test_folders_are_searched_and_names_have_to_differ(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / ".git").mkdir()
    written(tmp_path, "a.md", "A")
    written(tmp_path, "sub/b.txt", "B")
    written(tmp_path, "sub/image.png", "no")
    written(tmp_path, ".git/c.md", "no")
    assert [prompt.name for _, prompt in files.read_all([tmp_path])] == ["a", "b"]
    written(tmp_path, "sub/a.txt", "again")
    with pytest.raises(PromptError, match="are both named 'a'"):
        files.read_all([tmp_path])


words = st.text(max_size=60).filter(lambda text: "\r" not in text and "\ufeff" not in text)
plain = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
messages = st.one_of(
    st.fixed_dictionaries({"role": words, "content": words}),
    st.fixed_dictionaries({"type": st.just("placeholder"), "name": words}),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=words,
    chat=st.none() | st.lists(messages, min_size=1, max_size=3),
    config=st.dictionaries(words, plain),
)
@pytest.mark.parametrize("ending", ["", ".toml", ".json"])
def test_what_is_written_reads_back(
    tmp_path: Path, ending: str, text: str, chat: list[dict[str, Any]] | None, config: dict[str, Any]
) -> None:
    prompt = Prompt(
        "folder/name",
        text=text if chat is None else None,
        messages=chat,
        config=config,
        labels=("production",),
        tags=("t",),
    )
    path = tmp_path / f"file{ending or ('.md' if chat is None else '.toml')}"
    path.write_bytes(files.write(prompt, ending).encode("utf-8", "surrogatepass"))
    found = files.read(path)
    assert found.same_content(prompt)
    assert (found.name, found.labels, found.tags) == (prompt.name, prompt.labels, prompt.tags)


def test_toml_has_no_word_for_null() -> None:
    with pytest.raises(PromptError, match=r"TOML cannot hold None; write it to a \.json file"):
        files.write(Prompt("p", text="x", config={"a": None}))
    assert '"a": null' in files.write(Prompt("p", text="x", config={"a": None}), ".json")


def test_a_chat_prompt_is_not_written_as_markdown() -> None:
    with pytest.raises(PromptError, match=r"write it to a \.toml or .json file"):
        files.write(Prompt("p", messages=[]), ".md")
