"""``otel-agents prompts``: what it prints, what it changes, read back by the official SDK."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from langfuse.api import LangfuseAPI

from otel_agents.local.faults import Fault
from otel_agents.local.server import Running

Command = Callable[..., int]
Out = pytest.CaptureFixture[str]


def write(path: Path, text: str, **header: object) -> Path:
    lines = [f"{key} = {json.dumps(value)}" for key, value in header.items()]
    path.write_text("\n".join(["+++", *lines, "+++", text, ""]))
    return path


def test_push_makes_versions_only_for_new_content(
    cli: Command, api: LangfuseAPI, tmp_path: Path, capsys: Out
) -> None:
    path = write(tmp_path / "a.md", "Be brief.", name="folder/a", labels=["production"])
    assert cli("prompts", "push", path) == 0
    assert capsys.readouterr().out.splitlines() == [
        "folder/a: new prompt, version 1, labelled production",
        "--- /dev/null",
        "+++ folder/a",
        "@@ -0,0 +1 @@",
        "+Be brief.",
    ]
    assert cli("prompts", "push", path) == 0
    assert capsys.readouterr().out == "folder/a: unchanged, version 1\n"
    write(path, "Be very brief.", name="folder/a")
    assert cli("prompts", "push", path, "--label", "staging", "-m", "shorter") == 0
    out = capsys.readouterr().out
    assert out.startswith("folder/a: version 2 after 1, labelled staging\n")
    assert "-Be brief.\n+Be very brief." in out

    found = api.prompts.get("folder/a", version=2)
    assert (found.prompt, sorted(found.labels), found.commit_message) == (
        "Be very brief.",
        ["latest", "staging"],
        "shorter",
    )
    assert api.prompts.get("folder/a", label="production").version == 1


def test_push_moves_labels_without_a_new_version(
    cli: Command, api: LangfuseAPI, tmp_path: Path, capsys: Out
) -> None:
    path = write(tmp_path / "a.md", "x")
    cli("prompts", "push", path)
    write(path, "x", labels=["production"])
    capsys.readouterr()
    assert cli("prompts", "push", path) == 0
    assert capsys.readouterr().out == "a: version 1 unchanged, label production put on it\n"
    assert api.prompts.list(name="a").data[0].versions == [1]
    assert api.prompts.get("a", label="production").version == 1


def test_a_changed_config_is_new_content(cli: Command, api: LangfuseAPI, tmp_path: Path, capsys: Out) -> None:
    path = tmp_path / "chat.json"
    chat = {"name": "c", "messages": [{"role": "user", "content": "hi"}], "config": {"temperature": 0.5}}
    path.write_text(json.dumps(chat))
    cli("prompts", "push", path)
    assert cli("prompts", "push", path) == 0
    assert "unchanged" in capsys.readouterr().out
    path.write_text(json.dumps({**chat, "config": {"temperature": 0.7}}))
    cli("prompts", "push", path)
    assert '-  "temperature": 0.5\n+  "temperature": 0.7' in capsys.readouterr().out
    found = api.prompts.get("c", version=2)
    assert (found.type, found.config) == ("chat", {"temperature": 0.7})
    assert [(one.role, one.content) for one in found.prompt] == [("user", "hi")]  # type: ignore[union-attr]


def test_dry_run_and_diff_change_nothing(cli: Command, api: LangfuseAPI, tmp_path: Path, capsys: Out) -> None:
    path = write(tmp_path / "a.md", "x")
    assert cli("prompts", "push", path, "--dry-run") == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("a: new prompt, version 1")
    assert captured.err == "nothing was changed (--dry-run)\n"
    assert cli("prompts", "diff", path) == 1
    assert api.prompts.list().data == []
    cli("prompts", "push", path)
    assert cli("prompts", "diff", path) == 0


def test_nothing_is_pushed_when_one_file_is_wrong(
    cli: Command, api: LangfuseAPI, tmp_path: Path, capsys: Out
) -> None:
    write(tmp_path / "a.md", "x")
    (tmp_path / "b.toml").write_text("neither = 1")
    assert cli("prompts", "push", tmp_path) == 1
    assert capsys.readouterr().err.startswith(f"error: {tmp_path / 'b.toml'}: unknown key 'neither'")
    assert api.prompts.list().data == []


def test_pull_gives_the_file_back(cli: Command, tmp_path: Path, capsys: Out) -> None:
    path = write(tmp_path / "a.md", "One\n\nTwo", name="a", labels=["production"], config={})
    cli("prompts", "push", path)
    capsys.readouterr()
    assert cli("prompts", "pull", "a") == 0
    printed = capsys.readouterr().out
    assert printed == '+++\nname = "a"\nlabels = ["production"]\n+++\nOne\n\nTwo\n'
    new = tmp_path / "sub" / "new.md"
    assert cli("prompts", "pull", "a", "-o", new) == 0
    assert new.read_text() == printed
    assert cli("prompts", "diff", new) == 0
    write(new, "mine")
    assert cli("prompts", "pull", "a", "-o", new) == 1
    assert "exists with other content; --force overwrites it" in capsys.readouterr().err
    assert cli("prompts", "pull", "a", "-o", new, "--force") == 0
    assert new.read_text() == printed


def test_promote_and_rollback(cli: Command, api: LangfuseAPI, tmp_path: Path, capsys: Out) -> None:
    for text in ("1", "2", "3"):
        cli("prompts", "push", write(tmp_path / "a.md", text))
    api.prompts.delete("a", version=2)
    capsys.readouterr()
    assert cli("prompts", "promote", "a", "3") == 0
    assert cli("prompts", "promote", "a", "3") == 0
    assert cli("prompts", "rollback", "a") == 0
    assert cli("prompts", "rollback", "a") == 1
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [
        "a: production put on version 3",
        "a: production is on version 3 already",
        "a: production moved from version 3 to 1",
    ]
    assert captured.err == "error: prompt 'a' has no version before 1; promote another one instead\n"
    assert api.prompts.get("a", label="production").version == 1


def test_list(cli: Command, tmp_path: Path, capsys: Out) -> None:
    assert cli("prompts", "list") == 0
    assert capsys.readouterr().out == "no prompts; `otel-agents prompts push FILE` makes one\n"
    for text in ("1", "2"):
        cli("prompts", "push", write(tmp_path / "a.md", text, name="x/a"), "--label", "eu")
    (tmp_path / "b.json").write_text('{"messages": [{"role": "user", "content": "hi"}]}')
    cli("prompts", "push", tmp_path / "b.json")
    capsys.readouterr()
    cli("prompts", "list")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:4] for line in lines] == [
        ["prompt", "type", "versions", "labels"],
        ["b", "chat", "1", lines[1].split()[3]],
        ["x/a", "text", "1-2", "eu"],
    ]
    cli("prompts", "list", "--format", "json")
    found = json.loads(capsys.readouterr().out)
    assert [(one["name"], one["versions"], one["labels"]) for one in found] == [
        ("b", [1], ["latest"]),
        ("x/a", [1, 2], ["eu", "latest"]),
    ]


@pytest.mark.parametrize(
    ("arguments", "says", "status"),
    [
        (("pull", "nobody"), "no prompt 'nobody' in http://127.0.0.1", 1),
        (("pull", "a", "--version", "0"), "Invalid value for '--version'", 2),
        (("pull", "a", "--version", "7"), "prompt 'a' has no version 7; it has the versions 1", 1),
        (
            ("pull", "a", "--label", "eu"),
            "prompt 'a' has no version labelled 'eu'; it has the versions 1",
            1,
        ),
        (("promote", "a", "2"), "prompt 'a' has no version 2", 1),
        (("promote", "a", "1", "--label", "latest"), "'latest' is always on the newest version", 1),
        (("promote", "a", "1", "--label", "Prod"), "label 'Prod' must be", 1),
        (("rollback", "a"), "prompt 'a' has no version labelled 'production'", 1),
        (("list", "--format", "xml"), "--format 'xml' is not known; choose from table, json", 2),
        (("compare", "a", "1", "9"), "prompt 'a' has no version 9; it has the versions 1", 1),
        (("compare", "a", "--since", "soon"), "--since 'soon' is no time", 2),
        (("promote", "a", "one"), "", 2),
    ],
)
def test_errors_are_one_line(
    cli: Command, tmp_path: Path, capsys: Out, arguments: tuple[str, ...], says: str, status: int
) -> None:
    cli("prompts", "push", write(tmp_path / "a.md", "1"))
    capsys.readouterr()
    assert cli("prompts", *arguments) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert says in captured.err
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1


def test_a_prompt_keeps_its_type(cli: Command, tmp_path: Path, capsys: Out) -> None:
    cli("prompts", "push", write(tmp_path / "a.md", "1"))
    (tmp_path / "a.json").write_text('{"messages": [{"role": "user", "content": "hi"}]}')
    assert cli("prompts", "push", tmp_path / "a.json") == 1
    assert "'a' is a text prompt on the server and a chat prompt in the file" in capsys.readouterr().err


def test_references_to_other_prompts_are_left_as_they_are(cli: Command, tmp_path: Path, capsys: Out) -> None:
    text = "@@@langfusePrompt:name=base|label=production@@@\nMore."
    path = write(tmp_path / "a.md", text)
    cli("prompts", "push", path)
    assert cli("prompts", "diff", path) == 0
    capsys.readouterr()
    cli("prompts", "pull", "a")
    assert text in capsys.readouterr().out


def test_wrong_keys(cli: Command, monkeypatch: pytest.MonkeyPatch, backend: Running, capsys: Out) -> None:
    monkeypatch.setenv("LANGFUSE_SECRET_KEY", "sk-wrong")
    assert cli("prompts", "list") == 1
    assert capsys.readouterr().err == (
        f"error: Langfuse at {backend.url} refuses the keys (status 401); check LANGFUSE_PUBLIC_KEY and "
        "LANGFUSE_SECRET_KEY, and that they belong to a project there\n"
    )


def test_no_keys(cli: Command, monkeypatch: pytest.MonkeyPatch, capsys: Out) -> None:
    monkeypatch.delenv("LANGFUSE_PUBLIC_KEY")
    monkeypatch.delenv("LANGFUSE_SECRET_KEY")
    assert cli("prompts", "list") == 1
    assert capsys.readouterr().err == (
        "error: LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY are not set; set both keys, or start the local "
        "stack by `otel-agents up`\n"
    )


def test_a_server_that_is_down(cli: Command, monkeypatch: pytest.MonkeyPatch, capsys: Out) -> None:
    monkeypatch.setenv("LANGFUSE_BASE_URL", "http://127.0.0.1:9")
    assert cli("prompts", "list") == 1
    err = capsys.readouterr().err
    assert err.startswith("error: Langfuse at http://127.0.0.1:9 is unreachable (")
    assert err.endswith("check LANGFUSE_BASE_URL\n")


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ({"status": 500, "times": 3}, "fails (status 500"),
        ({"status": 403, "times": 1}, "refuses the keys (status 403)"),
    ],
)
def test_a_server_that_fails(
    cli: Command,
    backend: Running,
    capsys: Out,
    monkeypatch: pytest.MonkeyPatch,
    fault: dict[str, int],
    says: str,
) -> None:
    import langfuse.api.core.http_client as sdk

    monkeypatch.setattr(sdk, "INITIAL_RETRY_DELAY_SECONDS", 0.01)
    backend.backend.faults.add(Fault("/api/public/v2/prompts", **fault))
    assert cli("prompts", "list") == 1
    assert says in capsys.readouterr().err
    assert cli("prompts", "list") == 0, "the faults are over"


def test_something_else_at_that_address(cli: Command, monkeypatch: pytest.MonkeyPatch, capsys: Out) -> None:
    from modelserver import running

    with running() as models:
        monkeypatch.setenv("LANGFUSE_BASE_URL", models.url)
        assert cli("prompts", "list") == 1
    assert capsys.readouterr().err.startswith("error: ")
