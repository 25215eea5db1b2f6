"""Prompts v2: versions, labels, folders in names, errors."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

URL = "/api/public/v2/prompts"


def create(client: httpx.Client, name: str = "p", **rest: Any) -> dict[str, Any]:
    answer = client.post(URL, json={"name": name, "prompt": "hi", **rest})
    assert answer.status_code == 201, answer.text  # contract 4: 201
    found: dict[str, Any] = answer.json()
    return found


def labels(client: httpx.Client, name: str = "p") -> dict[int, list[str]]:
    versions = client.get(URL, params={"name": name}).json()["data"][0]["versions"]
    return {
        version: client.get(f"{URL}/{name}", params={"version": version}).json()["labels"]
        for version in versions
    }


def test_created(client: httpx.Client) -> None:
    prompt = create(client, labels=["production"], config={"t": 1}, tags=["a"], commitMessage="why")
    assert set(prompt) == {
        "id",
        "createdAt",
        "updatedAt",
        "projectId",
        "createdBy",
        "name",
        "version",
        "type",
        "prompt",
        "config",
        "labels",
        "tags",
        "commitMessage",
        "isActive",
        "resolutionGraph",
    }  # contract 4
    assert (prompt["version"], prompt["type"], prompt["config"]) == (1, "text", {"t": 1})
    # contract 4: each POST adds the label `latest`
    assert (prompt["labels"], prompt["tags"], prompt["commitMessage"]) == (
        ["production", "latest"],
        ["a"],
        "why",
    )
    assert client.get(f"{URL}/p").json() == prompt


def test_versions_and_labels_move(client: httpx.Client) -> None:
    create(client, labels=["production", "a"])
    create(client)
    assert labels(client) == {1: ["production", "a"], 2: ["latest"]}
    create(client, labels=["production"])
    assert labels(client) == {1: ["a"], 2: [], 3: ["production", "latest"]}
    assert client.get(f"{URL}/p").json()["version"] == 3
    assert client.get(f"{URL}/p", params={"label": "a"}).json()["version"] == 1
    assert client.get(f"{URL}/p", params={"version": 2}).json()["version"] == 2


def test_patch_adds_labels_and_takes_them_from_others(client: httpx.Client) -> None:
    create(client, labels=["production"])
    create(client)
    answer = client.patch(f"{URL}/p/versions/2", json={"newLabels": ["production", "b"]})
    assert answer.status_code == 200
    assert labels(client) == {1: [], 2: ["latest", "production", "b"]}  # contract 4
    client.patch(f"{URL}/p/versions/2", json={"newLabels": []})
    assert labels(client)[2] == ["latest", "production", "b"]  # contract 4: never removed
    assert client.patch(f"{URL}/p/versions/2", json={"newLabels": ["latest"]}).status_code == 400
    assert client.patch(f"{URL}/p/versions/9", json={"newLabels": ["x"]}).status_code == 404
    assert client.patch(f"{URL}/p/versions/2", json={}).status_code == 400


def test_tags_are_shared_by_all_versions(client: httpx.Client) -> None:
    create(client, tags=["a"])
    assert create(client, tags=None)["tags"] == ["a"]  # contract 4: null → inherited
    create(client, tags=["b"])
    assert client.get(f"{URL}/p", params={"version": 1}).json()["tags"] == ["b"]  # given → on all versions


def test_type_cannot_change(client: httpx.Client) -> None:
    create(client)
    chat = {"name": "p", "type": "chat", "prompt": [{"role": "user", "content": "x"}]}
    answer = client.post(URL, json=chat)
    assert (answer.status_code, answer.json()["error"]) == (400, "InvalidRequestError")  # contract 4


def test_chat(client: httpx.Client) -> None:
    messages = [
        {"role": "system", "content": "x", "type": "chatmessage"},
        {"type": "placeholder", "name": "history"},
    ]
    prompt = create(client, type="chat", prompt=messages)
    assert (prompt["type"], prompt["prompt"]) == ("chat", messages)


@pytest.mark.parametrize("name", ["folder/n", "a b", "ä", "x/versions/y", "100%"])
def test_names_with_slashes_and_more(client: httpx.Client, name: str) -> None:
    from urllib.parse import quote

    create(client, name, labels=["production"])
    path = f"{URL}/{quote(name, safe='')}"
    assert client.get(path).json()["name"] == name  # contract 4: folder%2Fn
    assert client.patch(f"{path}/versions/1", json={"newLabels": ["b"]}).status_code == 200
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404


def test_not_found(client: httpx.Client) -> None:
    # contract 4, texts
    assert client.get(f"{URL}/x").json() == {
        "message": "Prompt not found: 'x' with label 'production'",
        "error": "LangfuseNotFoundError",
    }
    answer = client.get(f"{URL}/x", params={"version": 3})
    assert (answer.status_code, answer.json()["message"]) == (404, "Prompt not found: 'x' with version 3")
    answer = client.get(f"{URL}/x", params={"version": 3, "label": "a"})
    assert answer.status_code == 400
    assert answer.json() == {
        "message": "Cannot specify both version and label",
        "error": "InvalidRequestError",
    }


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": "x"},
        {"name": "", "prompt": "x"},
        {"name": "a|b", "prompt": "x"},
        {"name": "new", "prompt": "x"},
        {"name": "metrics", "prompt": "x"},
        {"name": "x" * 256, "prompt": "x"},
        {"name": "p"},
        {"name": "p", "prompt": [{"role": "user", "content": "x"}]},
        {"name": "p", "prompt": "x", "type": "chat"},
        {"name": "p", "prompt": [{"role": "user"}], "type": "chat"},
        {"name": "p", "prompt": "x", "type": "image"},
        {"name": "p", "prompt": "x", "labels": ["Upper"]},
        {"name": "p", "prompt": "x", "labels": ["x" * 37]},
        {"name": "p", "prompt": "x", "labels": "a"},
        {"name": "p", "prompt": "x", "tags": [1]},
        {"name": "p", "prompt": "x", "commitMessage": "x" * 501},
        [],
    ],
)
def test_refused(client: httpx.Client, body: Any) -> None:
    answer = client.post(URL, json=body)
    assert (answer.status_code, answer.json()["message"]) == (400, "Invalid request data")  # contract 4


def test_list(client: httpx.Client) -> None:
    create(client, "a", labels=["production"], tags=["x"])
    create(client, "a", config={"n": 2})
    create(client, "b")
    found = client.get(URL, params={"limit": 1, "page": 2}).json()
    assert [prompt["name"] for prompt in found["data"]] == ["b"]
    assert found["meta"] == {"page": 2, "limit": 1, "totalItems": 2, "totalPages": 2} == found["pagination"]
    first = client.get(URL, params={"name": "a"}).json()["data"][0]
    assert (first["versions"], first["labels"], first["tags"]) == ([1, 2], ["production", "latest"], ["x"])
    assert (first["type"], first["lastConfig"]) == ("text", {"n": 2})
    assert [p["name"] for p in client.get(URL, params={"label": "production"}).json()["data"]] == ["a"]
    assert [p["name"] for p in client.get(URL, params={"tag": "x"}).json()["data"]] == ["a"]
    assert client.get(URL, params={"fromUpdatedAt": "2100-01-01T00:00:00Z"}).json()["data"] == []
    for bad in ({"limit": 101}, {"page": 0}, {"fromUpdatedAt": "x"}):
        assert client.get(URL, params=bad).status_code == 400


def test_delete_one_version_keeps_latest(client: httpx.Client) -> None:
    create(client)
    create(client, labels=["b"])
    assert client.delete(f"{URL}/p", params={"version": 2}).status_code == 204
    assert labels(client) == {1: ["latest"]}
    assert client.delete(f"{URL}/p", params={"label": "nope"}).status_code == 404
    # a version number is not given twice while the newest one is there
    assert create(client)["version"] == 2
