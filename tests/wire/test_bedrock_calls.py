"""Bedrock through boto3, and without it: the SDK notices nothing, every call is one span and one record."""

from __future__ import annotations

import gc
import gzip
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import boto3  # type: ignore[import-untyped]
import httpx
import pytest
import requests
from bedrock_frames import event, failure, piece
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.eventstream import EventStream  # type: ignore[import-untyped]
from botocore.response import StreamingBody  # type: ignore[import-untyped]
from opentelemetry import trace
from opentelemetry.instrumentation.utils import is_http_instrumentation_enabled
from scripted_server import Answer, Scripted, scripted
from wire_rig import Wired

from otel_agents import wire

NOVA = "amazon.nova-lite-v1:0"
CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
HELLO: list[Any] = [{"role": "user", "content": [{"text": "Say hello"}]}]
USED = {
    "inputTokens": 10,
    "outputTokens": 7,
    "totalTokens": 117,
    "cacheReadInputTokens": 100,
    "cacheWriteInputTokens": 0,
}
JSON = {"content-type": "application/json", "x-amzn-requestid": "r-1"}
STREAM = {"content-type": "application/vnd.amazon.eventstream", "x-amzn-requestid": "r-1"}


def encoded(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


CONVERSED = encoded(
    output={"message": {"role": "assistant", "content": [{"text": "Hello"}]}},
    stopReason="end_turn",
    usage=USED,
    metrics={"latencyMs": 5},
)
SAID = [
    event("messageStart", role="assistant"),
    event("contentBlockDelta", contentBlockIndex=0, delta={"text": "Hel"}),
    event("contentBlockDelta", contentBlockIndex=0, delta={"text": "lo"}),
    event("contentBlockStop", contentBlockIndex=0),
    event("messageStop", stopReason="end_turn"),
    event("metadata", usage=USED, metrics={"latencyMs": 5}),
]
CLAUDE_ASKED = encoded(
    anthropic_version="bedrock-2023-05-31", max_tokens=9, messages=[{"role": "user", "content": "Hi"}]
).decode()
CLAUDE_SAID = encoded(
    id="msg_1",
    model="claude-sonnet-4-5-20250929",
    content=[{"type": "text", "text": "Hello"}],
    stop_reason="end_turn",
    usage={"input_tokens": 10, "output_tokens": 7, "cache_read_input_tokens": 100},
)
CLAUDE_PIECES = [
    piece(type="message_start", message={"id": "msg_1", "usage": {"input_tokens": 10, "output_tokens": 1}}),
    piece(type="content_block_start", index=0, content_block={"type": "text", "text": ""}),
    piece(type="content_block_delta", index=0, delta={"type": "text_delta", "text": "Hello"}),
    piece(type="message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 7}),
    piece(type="message_stop"),
]


@pytest.fixture(scope="module")
def one_server() -> Iterator[Scripted]:
    with scripted() as server:
        yield server


@pytest.fixture
def told(one_server: Scripted) -> Scripted:
    one_server.reset(Answer([CONVERSED], headers=JSON))
    return one_server


def bedrock(server: Scripted, **config: Any) -> Any:
    fields = {"retries": {"total_max_attempts": 1}, "read_timeout": 10, **config}
    return boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=server.url,
        aws_access_key_id="k",
        aws_secret_access_key="s",
        config=Config(**fields),
    )


def streamed(*pieces: bytes | threading.Event, **fields: Any) -> Answer:
    return Answer(list(pieces), headers=STREAM, chunked=True, **fields)


def without_dates(answer: dict[str, Any]) -> Any:
    """An SDK's answer without what changes from one to the next."""
    answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).pop("date", None)
    return answer


# --- with and without -----------------------------------------------------------------------------
def conversed(server: Scripted) -> Any:
    return without_dates(bedrock(server).converse(modelId=NOVA, messages=HELLO))


def conversed_streaming(server: Scripted) -> Any:
    server.reset(streamed(*SAID))
    answer = without_dates(bedrock(server).converse_stream(modelId=NOVA, messages=HELLO))
    stream = answer.pop("stream")
    assert isinstance(stream, EventStream)
    raw = type(stream._raw_stream)
    return answer, list(stream), raw.__name__, raw.__module__


def conversed_in_single_bytes(server: Scripted) -> Any:
    server.reset(streamed(*(bytes([byte]) for byte in b"".join(SAID))))
    return list(bedrock(server).converse_stream(modelId=NOVA, messages=HELLO)["stream"])


def conversed_with_a_length(server: Scripted) -> Any:
    server.reset(Answer([*SAID], headers=STREAM))
    return list(bedrock(server).converse_stream(modelId=NOVA, messages=HELLO)["stream"])


def cut(server: Scripted) -> Any:
    """botocore does not mind."""
    server.reset(Answer([CONVERSED[:30]], headers=JSON, cut=True))
    return without_dates(bedrock(server).converse(modelId=NOVA, messages=HELLO))


def invoke(server: Scripted) -> Any:
    server.reset(Answer([CLAUDE_SAID], headers=JSON))
    return without_dates(bedrock(server).invoke_model(modelId=CLAUDE, body=CLAUDE_ASKED))


def invoked(server: Scripted) -> Any:
    answer = invoke(server)
    body = answer.pop("body")
    assert isinstance(body, StreamingBody)
    return answer, body.read(), body.tell()


def invoked_in_pieces(server: Scripted) -> Any:
    body = invoke(server)["body"]
    return body.read(5), list(body.iter_chunks(7)), body.read()


def invoked_in_lines(server: Scripted) -> Any:
    return list(invoke(server)["body"].iter_lines())


def invoked_in_a_block(server: Scripted) -> Any:
    with invoke(server)["body"] as raw:
        return raw.read()


def invoked_streaming(server: Scripted) -> Any:
    server.reset(streamed(*CLAUDE_PIECES))
    answer = bedrock(server).invoke_model_with_response_stream(modelId=CLAUDE, body=CLAUDE_ASKED)
    return list(answer["body"])


def failing(make: Callable[[Scripted], Any], *answers: Answer) -> Callable[[Scripted], Any]:
    def run(server: Scripted) -> Any:
        server.reset(*answers or [Answer([CONVERSED], headers=JSON)])
        with pytest.raises(Exception) as raised:  # noqa: PT011 - the point is that it is the same one
            make(server)
        response = getattr(raised.value, "response", None)
        found = type(raised.value).__name__, str(raised.value), response and without_dates(response)
        del raised
        gc.collect()  # the traceback holds the stream, which botocore does not close
        return found

    return run


def read_stream(server: Scripted) -> Any:
    return list(bedrock(server).converse_stream(modelId=NOVA, messages=HELLO)["stream"])


THROTTLED = Answer(
    [encoded(message="Slow")], 429, JSON | {"x-amzn-errortype": "ThrottlingException:http://x"}
)

CASES: dict[str, Callable[[Scripted], Any]] = {
    "converse": conversed,
    "converse stream": conversed_streaming,
    "converse stream, single bytes": conversed_in_single_bytes,
    "converse stream with a length": conversed_with_a_length,
    "invoke": invoked,
    "invoke, pieces": invoked_in_pieces,
    "invoke, lines": invoked_in_lines,
    "invoke, block": invoked_in_a_block,
    "invoke stream": invoked_streaming,
    "refused": failing(conversed, Answer([encoded(message="No")], 400, JSON | {"x-amzn-errortype": "V"})),
    "refused stream": failing(read_stream, THROTTLED),
    "exception in the stream": failing(
        read_stream, streamed(SAID[0], failure("throttlingException", "Slow down"))
    ),
    "cut": cut,
    "cut stream": failing(read_stream, streamed(SAID[0], SAID[1][:20], cut=True)),
    "wrong arguments": failing(lambda server: bedrock(server).converse(modelId=NOVA, messages=1)),
}
#: Different in every request, with and without us.
CHANGING = ("amz-sdk-invocation-id", "x-amz-date", "authorization")


def requests_of(server: Scripted) -> list[Any]:
    return [
        (one.path, one.body, {name: value for name, value in one.headers.items() if name not in CHANGING})
        for one in server.requests
    ]


@pytest.mark.parametrize("case", CASES)
def test_the_same_with_and_without(wired: Wired, told: Scripted, case: str) -> None:
    with_us = CASES[case](told)
    seen = requests_of(told)
    assert len(wired.spans) == (0 if case == "wrong arguments" else 1)
    wire.uninstall()
    told.reset(Answer([CONVERSED], headers=JSON))
    assert CASES[case](told) == with_us
    assert requests_of(told) == seen


@pytest.mark.parametrize("case", [name for name in CASES if name.startswith(("converse", "invoke"))])
def test_counted(wired: Wired, told: Scripted, case: str) -> None:
    CASES[case](told)
    record = wired.record()
    assert record.usage is not None
    cached = 0 if case == "invoke stream" else 100
    assert (record.usage.input, record.usage.cache_read, record.usage.output) == (10 + cached, cached, 7)
    assert record.provider == "aws.bedrock"
    assert record.request_model == (CLAUDE if case.startswith("invoke") else NOVA)
    assert record.stream == ("stream" in case)
    assert (record.time_to_first_chunk is not None) == record.stream
    assert record.cost is not None
    attributes = wired.attributes()
    assert attributes["gen_ai.response.finish_reasons"] == ("end_turn",)
    assert attributes["aws.request_id"] == "r-1"
    assert wired.span().name == f"chat {record.request_model}"


# --- what is recorded -----------------------------------------------------------------------------
@pytest.mark.parametrize("case", ["converse", "converse stream", "invoke", "invoke stream"])
def test_messages(wired_all: Wired, told: Scripted, case: str) -> None:
    CASES[case](told)
    sent = wired_all.sent()
    (asked,) = json.loads(sent["gen_ai.input.messages"])
    assert asked["role"] == "user"
    assert json.loads(sent["gen_ai.output.messages"]) == [
        {
            "role": "assistant",
            "parts": [{"type": "text", "content": "Hello"}],
            "finish_reason": "end_turn",
        }
    ]


@pytest.mark.parametrize(
    ("case", "error", "description"),
    [
        ("refused", "400", "No"),
        ("refused stream", "429", "Slow"),
        ("exception in the stream", "throttlingException", "Slow down"),
        ("cut stream", "urllib3.exceptions.ProtocolError", None),
    ],
)
def test_errors(wired: Wired, told: Scripted, case: str, error: str, description: str | None) -> None:
    CASES[case](told)
    span = wired.span()
    assert wired.record().error_type == error
    if description is not None:
        assert span.status.description == description


def test_retries_are_one_span(wired: Wired, told: Scripted) -> None:
    told.answer(THROTTLED, Answer([encoded(message="x")], 503, JSON), Answer([CONVERSED], headers=JSON))
    client = bedrock(told, retries={"mode": "standard", "total_max_attempts": 4})
    client.converse(modelId=NOVA, messages=HELLO)
    assert len(told.requests) == 3
    record = wired.record()
    assert record.usage is not None
    assert record.error_type is None
    assert wired.attributes()["http.request.resend_count"] == 2


def test_first_chunk_before_the_end(wired: Wired, told: Scripted) -> None:
    wait = threading.Event()
    told.answer(streamed(SAID[0], SAID[1], wait, *SAID[2:]))
    stream = iter(bedrock(told).converse_stream(modelId=NOVA, messages=HELLO)["stream"])
    assert "messageStart" in next(stream)
    assert wired.records == []
    wait.set()
    assert len(list(stream)) == 5
    record = wired.record()
    assert record.time_to_first_chunk is not None
    assert record.time_to_first_chunk < record.duration


@pytest.mark.parametrize("close", [True, False])
def test_left_early(wired: Wired, told: Scripted, close: bool) -> None:
    wait = threading.Event()
    told.answer(streamed(SAID[0], wait, *SAID[1:]))
    stream = bedrock(told).converse_stream(modelId=NOVA, messages=HELLO)["stream"]
    for _ in stream:
        break
    if close:
        stream.close()
    del stream
    wait.set()
    for _ in range(500):
        if wired.accounts.records:
            break
        gc.collect()  # what is not closed is found when it is collected
        threading.Event().wait(0.01)
    record = wired.record()
    assert (record.usage, record.error_type) == (None, None)
    assert wired.attributes()["gen_ai.response.finish_reasons"] == ("error",)


def test_counts_from_the_headers(wired: Wired, told: Scripted) -> None:
    counts = {"x-amzn-bedrock-input-token-count": "5", "x-amzn-bedrock-output-token-count": "6"}
    told.answer(Answer([encoded(outputs=[{"text": "Hi", "stop_reason": "stop"}])], headers=JSON | counts))
    model = "mistral.mistral-7b-instruct-v0:2"
    bedrock(told).invoke_model(modelId=model, body=encoded(prompt="Hi").decode())["body"].read()
    record = wired.record()
    assert record.usage is not None
    assert (record.operation, record.usage.input, record.usage.output) == ("text_completion", 5, 6)


def test_embeddings(wired: Wired, told: Scripted) -> None:
    told.answer(Answer([encoded(embedding=[0.1], inputTextTokenCount=3)], headers=JSON))
    model = "amazon.titan-embed-text-v2:0"
    bedrock(told).invoke_model(modelId=model, body=encoded(inputText="Hi").decode())["body"].read()
    record = wired.record()
    assert record.usage is not None
    assert (record.operation, record.usage.input, record.usage.output) == ("embeddings", 3, 0)
    assert "gen_ai.response.finish_reasons" not in wired.attributes()


def test_a_very_long_stream(wired: Wired, told: Scripted) -> None:
    """Beyond what is kept, the end of it still says what was used."""
    text = event("contentBlockDelta", contentBlockIndex=0, delta={"text": "x" * 60_000})
    told.answer(streamed(SAID[0], *[text] * 90, *SAID[3:]))
    assert len(read_stream(told)) == 94
    record = wired.record()
    assert record.usage is not None
    assert record.usage.output == 7
    assert wired.attributes()["otel_agents.capture.truncated"] is True


def test_a_very_big_answer(wired: Wired, told: Scripted) -> None:
    """An image of five million characters stands between the two ends."""
    image = {"image": {"format": "png", "source": {"bytes": "QUJD" * 1_250_000}}}
    answer = {"output": {"message": {"role": "assistant", "content": [image]}}}
    told.answer(Answer([encoded(**answer, stopReason="end_turn", usage=USED)], headers=JSON))
    url = f"{told.url}/model/{NOVA}/converse"
    requests.post(url, json={"messages": HELLO}, stream=True, timeout=10).json()
    record = wired.record()
    assert record.usage is not None
    assert record.usage.output == 7
    assert wired.attributes()["gen_ai.response.finish_reasons"] == ("end_turn",)


def test_the_sdk_of_anthropic(wired_all: Wired, told: Scripted) -> None:
    """Which sends through httpx, with and without a stream."""
    told.answer(Answer([CLAUDE_SAID], headers=JSON), streamed(*CLAUDE_PIECES))
    client = anthropic.AnthropicBedrock(
        aws_access_key="k", aws_secret_key="s", aws_region="us-east-1", base_url=told.url, max_retries=0
    )
    hello: list[Any] = [{"role": "user", "content": "Hi"}]
    client.messages.create(model=CLAUDE, max_tokens=9, messages=hello)
    stream = client.messages.create(model=CLAUDE, max_tokens=9, messages=hello, stream=True)
    assert len(list(stream)) == 5
    assert [record.usage.output for record in wired_all.records if record.usage is not None] == [7, 7]
    assert {record.request_model for record in wired_all.records} == {CLAUDE}
    for span in wired_all.exported():
        said = json.loads(str((span.attributes or {})["gen_ai.output.messages"]))
        assert said[0]["parts"] == [{"type": "text", "content": "Hello"}]


def test_other_operations_are_left_alone(wired: Wired, told: Scripted) -> None:
    told.answer(Answer([encoded(inputTokens=3)], headers=JSON))
    asked = {"converse": {"messages": HELLO}}
    assert bedrock(told).count_tokens(modelId=NOVA, input=asked)["inputTokens"] == 3
    assert wired.spans == []


def test_http_spans_are_suppressed_for_the_send_only(wired: Wired, told: Scripted) -> None:
    noted: list[tuple[bool, bool]] = []
    told.answer(streamed(*SAID))
    client = bedrock(told)

    def note(**_: Any) -> None:
        noted.append((is_http_instrumentation_enabled(), trace.get_current_span().is_recording()))

    client.meta.events.register("response-received.bedrock-runtime.ConverseStream", note)
    for _ in client.converse_stream(modelId=NOVA, messages=HELLO)["stream"]:
        note()
    assert set(noted) == {(True, False)}


def test_the_trace_goes_to_listed_hosts_only(wired_with: Callable[..., Wired], told: Scripted) -> None:
    wired_with()
    conversed(told)
    assert "traceparent" not in told.requests[0].headers
    wire.uninstall()
    wired_with(propagate_hosts=(told.url.removeprefix("http://"),))
    conversed(told)
    assert "traceparent" in told.requests[1].headers


@pytest.mark.parametrize("compressed", [False, True])
def test_by_hand_over_requests_and_httpx(wired: Wired, told: Scripted, compressed: bool) -> None:
    """With an API key no SDK is needed."""
    headers = STREAM | ({"content-encoding": "gzip"} if compressed else {})
    whole = b"".join(SAID)
    told.answer(Answer([gzip.compress(whole) if compressed else whole], headers=headers))
    url = f"{told.url}/model/{NOVA}/converse-stream"
    body = {"messages": HELLO}
    assert requests.post(url, json=body, stream=True, timeout=10).content == whole
    assert httpx.post(url, json=body).content == whole
    outputs = [record.usage.output for record in wired.records if record.usage is not None]
    assert outputs == [7, 7]


def test_a_bug_of_ours_does_not_reach_the_caller(
    wired: Wired, told: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    from otel_agents.wire import botocore_hook, urllib3_tee

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("a bug")

    for owner, name in ((botocore_hook, "format_of"), (botocore_hook, "in_memory"), (urllib3_tee, "tee")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, broken)
            assert len(conversed_streaming(told)[1]) == 6
