"""Prompt files as they are kept in git.

A text prompt is a file with any ending; what is known of it beside the text may stand before it, as
TOML between ``+++`` lines or as YAML between ``---`` lines::

    +++
    name = "review/security"
    labels = ["production"]
    config = { model = "gpt-4o-mini", temperature = 0.2 }
    +++
    You review {{language}} code ...

A chat prompt is a ``.toml`` or ``.json`` file with the same keys and ``messages``.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from otel_agents.prompts import toml
from otel_agents.prompts.content import LATEST, Prompt, PromptError, check

#: What is looked for in a folder.
ENDINGS: Final = (".md", ".txt", ".prompt", ".toml", ".json")
_KEYS: Final = frozenset({"name", "type", "labels", "tags", "config", "prompt", "messages"})
#: A prompt is written by people; a file beyond this is something else.
_MOST_BYTES: Final = 4_000_000


def find(paths: Iterable[Path]) -> list[Path]:
    """The files among ``paths``, those in folders (also below) by their endings.

    Raises:
        PromptError: a path does not exist, or a folder has no prompt file.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(one for one in path.rglob("*") if one.suffix in ENDINGS and one.is_file())
            inside = [one for one in inside if not _hidden(one.relative_to(path))]
            if not inside:
                raise PromptError(f"no prompt files in {path}; they end in {', '.join(ENDINGS)}")
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise PromptError(f"no file {path}; give prompt files, or folders with them")
    return list(dict.fromkeys(found))


def read_all(paths: Iterable[Path]) -> list[tuple[Path, Prompt]]:
    """Every prompt in ``paths``, all of them looked at before anything is done with one.

    Raises:
        PromptError: a file cannot be read, or two have the same name.
    """
    found: dict[str, tuple[Path, Prompt]] = {}
    for path in find(paths):
        prompt = read(path)
        if prompt.name in found:
            raise PromptError(
                f"{path} and {found[prompt.name][0]} are both named {prompt.name!r}; rename one"
            )
        found[prompt.name] = (path, prompt)
    return list(found.values())


def read(path: Path) -> Prompt:
    """The prompt in a file.

    Raises:
        PromptError: it cannot be read, or breaks a rule; the message names the file.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise PromptError(f"{path} is too large for a prompt ({path.stat().st_size:,} bytes)")
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise PromptError(f"{path} is not UTF-8 text; save it as UTF-8") from None
    except OSError as error:
        raise PromptError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None
    prompt = _parse(text.replace("\r\n", "\n"), path)
    check(prompt, str(path))
    return prompt


def write(prompt: Prompt, ending: str = "") -> str:
    """A file's content that reads back as ``prompt``.

    Args:
        ending: of the file; by default Markdown for text and TOML for chat.

    Raises:
        PromptError: the ending is not for this kind of prompt, or TOML cannot hold its config.
    """
    known: dict[str, Any] = {"name": prompt.name}
    if labels := [label for label in prompt.labels if label != LATEST]:
        known["labels"] = labels
    if prompt.tags:
        known["tags"] = list(prompt.tags)
    if prompt.config:
        known["config"] = dict(prompt.config)
    if ending == ".json":
        wording = {"prompt": prompt.text} if prompt.messages is None else {"messages": list(prompt.messages)}
        return json.dumps({**known, **wording}, indent=2, ensure_ascii=False) + "\n"
    try:
        header = "\n".join(toml.lines(known))
        if prompt.messages is None:
            if ending == ".toml":
                return f"{header}\nprompt = {toml.block(prompt.text or '')}\n"
            return f"+++\n{header}\n+++\n{prompt.text}\n"
        if ending not in ("", ".toml"):
            raise PromptError(f"{prompt.name!r} is a chat prompt; write it to a .toml or .json file")
        return header + "\n" + "".join(_message_table(one) for one in prompt.messages)
    except toml.NotToml as error:
        raise PromptError(f"{prompt.name!r}: {error}; write it to a .json file") from None


def _message_table(message: Mapping[str, Any]) -> str:
    if message.get("type") == "placeholder":
        return "\n[[messages]]\n" + "\n".join(toml.lines({"placeholder": message["name"]})) + "\n"
    known = {key: value for key, value in message.items() if (key, value) != ("type", "chatmessage")}
    return "\n[[messages]]\n" + "\n".join(toml.lines(known)) + "\n"


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _parse(text: str, path: Path) -> Prompt:
    if path.suffix == ".json":
        return _from_table(_load(json.loads, text, path, "JSON"), path, None)
    if path.suffix == ".toml":
        return _from_table(_load(tomllib.loads, text, path, "TOML"), path, None)
    for fence, load, kind in (("+++", tomllib.loads, "TOML"), ("---", _yaml, "YAML")):
        header, body = _front_matter(text, fence)
        if header is not None:
            return _from_table(_load(load, header, path, kind), path, body)
    return Prompt(path.stem, text=_body(text))


def _front_matter(text: str, fence: str) -> tuple[str | None, str]:
    """What stands between the first two fences, and what comes after; None without a pair of them."""
    first, _, rest = text.partition("\n")
    if first.rstrip() != fence:
        return None, text
    rest = "\n" + rest
    end = rest.find(f"\n{fence}\n")
    if end < 0 and rest.rstrip().endswith(f"\n{fence}"):
        end = rest.rindex(f"\n{fence}")
    if end < 0:
        return None, text  # a rule (---) at the top of ordinary Markdown
    return rest[1 : end + 1], _body(rest[end + len(fence) + 2 :])


def _body(text: str) -> str:
    """The text without the one line end that editors put at a file's end."""
    return text.removesuffix("\n")


def _load(load: Any, text: str, path: Path, kind: str) -> dict[str, Any]:
    try:
        table = load(text)
    except PromptError as error:
        raise PromptError(f"{path}: {error}") from None
    except Exception as error:  # each parser has its own errors
        reason = " ".join(str(error).split())
        raise PromptError(f"{path} is not {kind}: {reason}; correct it") from None
    if not isinstance(table, dict):
        raise PromptError(f"{path}: expected keys with values, such as name and labels")
    return table


def _yaml(text: str) -> Any:
    try:
        import yaml
    except ImportError:
        raise PromptError(
            "reading YAML between --- lines needs PyYAML; install it, or write TOML between +++ lines"
        ) from None
    return yaml.safe_load(text) or {}


def _from_table(table: Mapping[str, Any], path: Path, body: str | None) -> Prompt:
    if unknown := sorted(str(key) for key in table if key not in _KEYS):
        raise PromptError(f"{path}: unknown key {unknown[0]!r}; there are {', '.join(sorted(_KEYS))}")
    name = table.get("name", path.stem)
    config = table.get("config", {})
    kind = table.get("type")
    messages = table.get("messages")
    text = body if body is not None else table.get("prompt")
    if isinstance(text, list) and messages is None:  # as Langfuse's API writes chat prompts
        text, messages = None, text
    if not isinstance(name, str):
        raise PromptError(f"{path}: name must be text")
    if not isinstance(config, dict):
        raise PromptError(f"{path}: config must be a table of keys and values")
    if kind not in (None, "text", "chat"):
        raise PromptError(f"{path}: type must be text or chat, not {kind!r}")
    if body is not None and (messages is not None or "prompt" in table):
        raise PromptError(f"{path}: the text is the prompt; write messages into a .toml or .json file")
    if text is not None and messages is not None:
        raise PromptError(f"{path}: both prompt and messages; keep one")
    if kind is not None and (kind == "chat") != (messages is not None):
        needs = "messages" if kind == "chat" else "a text"
        raise PromptError(f"{path}: type is {kind!r}, which needs {needs}")
    if text is not None and not isinstance(text, str):
        raise PromptError(f"{path}: prompt must be text")
    if messages is not None and not (
        isinstance(messages, list) and all(isinstance(one, dict) for one in messages)
    ):
        raise PromptError(f"{path}: messages must be a list of tables with role and content")
    return Prompt(
        name,
        text=text,
        messages=[_message(one) for one in messages] if messages is not None else None,
        config=config,
        labels=_words(table, "labels", path) or (),
        tags=_words(table, "tags", path),
    )


def _message(given: Mapping[str, Any]) -> dict[str, Any]:
    if set(given) == {"placeholder"}:
        return {"type": "placeholder", "name": given["placeholder"]}
    return dict(given)


def _words(table: Mapping[str, Any], key: str, path: Path) -> tuple[str, ...] | None:
    given = table.get(key)
    if given is None:
        return None
    if isinstance(given, str):
        given = [given]
    if not (isinstance(given, list) and all(isinstance(one, str) for one in given)):
        raise PromptError(f"{path}: {key} must be a list of words")
    return tuple(dict.fromkeys(given))
