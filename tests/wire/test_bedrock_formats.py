"""What Bedrock's bodies say, whole and as event streams, by model family."""

from __future__ import annotations

import json
from typing import Any

import pytest
from bedrock_frames import event, failure, piece
from hypothesis import given
from hypothesis import strategies as st

from otel_agents.accounting import Usage
from otel_agents.wire.formats import ResponseFacts
from otel_agents.wire.providers.bedrock_converse import BedrockConverse
from otel_agents.wire.providers.bedrock_invoke import BedrockInvoke
from otel_agents.wire.recognise import format_of, recognise

HELLO: list[Any] = [{"role": "user", "content": [{"text": "Say hello"}]}]


def body(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def converse(model: str = "amazon.nova-lite-v1:0", stream: bool = False) -> BedrockConverse:
    return BedrockConverse(model, stream)


def asked(wire_format: BedrockConverse | BedrockInvoke, **fields: Any) -> Any:
    facts = wire_format.read_request(body(**fields))
    assert facts is not None
    return facts


# --- paths ---------------------------------------------------------------------------------------
ARN = "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc"


@pytest.mark.parametrize(
    ("path", "name", "model", "stream"),
    [
        ("/model/amazon.nova-lite-v1%3A0/converse", "bedrock.converse", "amazon.nova-lite-v1:0", False),
        ("/model/amazon.nova-lite-v1:0/converse-stream", "bedrock.converse", "amazon.nova-lite-v1:0", True),
        (f"/model/{ARN.replace('/', '%2F').replace(':', '%3A')}/converse", "bedrock.converse", ARN, False),
        (f"/model/{ARN}/invoke", "bedrock.invoke", ARN, False),
        ("/gateway/aws/model/m/invoke-with-response-stream", "bedrock.invoke", "m", True),
    ],
)
def test_paths(path: str, name: str, model: str, stream: bool) -> None:
    found = format_of(path)
    assert found is not None
    facts = found.read_request(body(messages=[], anthropic_version="bedrock-2023-05-31"))
    assert facts is not None
    assert (found.name, facts.model, facts.stream) == (name, model, stream)


@pytest.mark.parametrize(
    "path",
    [
        "/model/m/count-tokens",
        "/guardrail/g/version/1/apply",
        "/async-invoke",
        "/model/m/invoke-with-bidirectional-stream",
        "/v1/invoke",
        "/2015-03-31/functions/f/invocations",
    ],
)
def test_paths_of_other_things(path: str) -> None:
    assert format_of(path) is None


def test_an_unknown_service_with_such_a_path_is_not_watched() -> None:
    found = format_of("/model/churn/invoke")
    assert found is not None
    assert recognise(found, "ml.example.com", 443, body(rows=[[1, 2]]), {}) is None
    assert recognise(found, "bedrock-runtime.eu-west-1.amazonaws.com", 443, body(rows=[]), {}) is not None


# --- converse ------------------------------------------------------------------------------------
def test_a_request() -> None:
    facts = asked(
        converse(),
        messages=HELLO,
        inferenceConfig={"maxTokens": 10, "temperature": 0.5, "topP": 0.9, "stopSequences": ["x"]},
        outputConfig={"textFormat": {"type": "json_schema"}, "effort": "low"},
        serviceTier={"type": "flex"},
    )
    assert facts.attributes == {
        "gen_ai.request.max_tokens": 10,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 0.9,
        "gen_ai.request.stop_sequences": ["x"],
        "gen_ai.request.reasoning.level": "low",
        "gen_ai.output.type": "json",
    }
    assert (facts.model, facts.service_tier) == ("amazon.nova-lite-v1:0", "flex")


USED = {
    "inputTokens": 10,
    "outputTokens": 7,
    "totalTokens": 147,
    "cacheReadInputTokens": 100,
    "cacheWriteInputTokens": 30,
    "cacheDetails": [{"ttl": "5m", "inputTokens": 10}, {"ttl": "1h", "inputTokens": 20}],
}
USAGE = Usage(input=140, output=7, cache_read=100, cache_write=30, cache_write_1h=20)


def test_the_input_includes_the_cache() -> None:
    answer = body(
        output={"message": {"role": "assistant", "content": [{"text": "hi"}]}},
        stopReason="end_turn",
        usage=USED,
        serviceTier={"type": "flex"},
        trace={"promptRouter": {"invokedModelId": "us.amazon.nova-pro-v1:0"}},
    )
    facts = converse().read_response(answer, False, asked(converse(), messages=HELLO))
    assert facts == ResponseFacts(
        model="us.amazon.nova-pro-v1:0", usage=USAGE, finish_reasons=["end_turn"], service_tier="flex"
    )


SAID = [
    event("messageStart", role="assistant"),
    event("contentBlockDelta", contentBlockIndex=0, delta={"text": 'about "usage" and metadata'}),
    event("contentBlockStop", contentBlockIndex=0),
    event("messageStop", stopReason="end_turn"),
    event("metadata", usage=USED, metrics={"latencyMs": 5}),
]
WHOLE = b"".join(SAID)


def test_a_stream() -> None:
    facts = converse().read_response(WHOLE, True, asked(converse(), messages=HELLO))
    assert facts == ResponseFacts(usage=USAGE, finish_reasons=["end_turn"])


@given(st.integers(min_value=0, max_value=len(WHOLE)))
def test_a_stream_that_was_cut_anywhere(at: int) -> None:
    facts = converse().read_response(WHOLE[:at], True, asked(converse(), messages=HELLO))
    assert facts.usage == (USAGE if at == len(WHOLE) else None)
    assert facts.finish_reasons in (["error"], ["end_turn"])


def test_an_exception_in_a_stream() -> None:
    data = b"".join(SAID[:2]) + failure("modelStreamErrorException", "The model broke")
    facts = converse().read_response(data, True, asked(converse(), messages=HELLO))
    assert (facts.error_type, facts.error_message) == ("modelStreamErrorException", "The model broke")
    assert facts.finish_reasons == ["error"]


def test_an_error_body() -> None:
    facts = converse().read_response(body(message="Too many"), False, asked(converse(), messages=HELLO))
    assert facts == ResponseFacts(error_message="Too many")


@pytest.mark.parametrize("usage", [None, "free", [], {}, {"inputTokens": "many"}, {"inputTokens": -1}])
def test_usage_that_says_nothing(usage: Any) -> None:
    answer = body(output={}, stopReason="end_turn", usage=usage)
    assert converse().read_response(answer, False, asked(converse(), messages=HELLO)).usage is None


# --- content of converse -------------------------------------------------------------------------
def parts(*blocks: Any, limit: int = 1000) -> Any:
    data = body(messages=[{"role": "user", "content": list(blocks)}])
    (message,) = converse().input_content(data, limit)["gen_ai.input.messages"]
    return message["parts"]


def test_kinds_of_blocks() -> None:
    png = {"format": "png", "source": {"bytes": "QUJD"}}
    assert parts(
        {"text": "Look"},
        {"image": png},
        {"document": {"format": "pdf", "name": "d", "source": {"s3Location": {"uri": "s3://b/k"}}}},
        {"document": {"format": "txt", "name": "d", "source": {"text": "words"}}},
        {"toolUse": {"toolUseId": "t", "name": "f", "input": {"a": 1}}},
        {"toolResult": {"toolUseId": "t", "content": [{"json": {"b": 2}}], "status": "success"}},
        {"toolResult": {"toolUseId": "u", "content": [{"text": "x"}, {"text": "y"}]}},
        {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "s"}}},
        {"reasoningContent": {"redactedContent": "xx"}},
        {"cachePoint": {"type": "default"}},
        {"guardContent": {"text": {"text": "g"}}},
        {"hologram": 1},
    ) == [
        {"type": "text", "content": "Look"},
        {"type": "blob", "mime_type": "image/png", "modality": "image", "content": "QUJD"},
        {"type": "uri", "modality": "document", "uri": "s3://b/k"},
        {"type": "text", "content": "words"},
        {"type": "tool_call", "id": "t", "name": "f", "arguments": {"a": 1}},
        {"type": "tool_call_response", "id": "t", "response": {"b": 2}},
        {"type": "tool_call_response", "id": "u", "response": "x\ny"},
        {"type": "reasoning", "content": "Hm"},
        {"type": "reasoning", "content": ""},
        {"type": "guardContent", "text": {"text": "g"}},
        {"type": "hologram", "value": 1},
    ]


def test_big_images_are_not_copied() -> None:
    (blob,) = parts({"image": {"format": "jpeg", "source": {"bytes": "QUJD" * 10_000}}})
    assert (blob["content"], blob["byte_size"]) == ("", 30_000)


def test_instructions_and_tools() -> None:
    schema = {"type": "object", "properties": {}}
    tools = [
        {"toolSpec": {"name": "f", "description": "d", "inputSchema": {"json": schema}}},
        {"cachePoint": {"type": "default"}},
        {"systemTool": {"name": "nova_grounding"}},
    ]
    data = body(messages=HELLO, system=[{"text": "Be kind"}], toolConfig={"tools": tools})
    found = converse().input_content(data, 1000)
    assert found["gen_ai.system_instructions"] == [{"type": "text", "content": "Be kind"}]
    assert found["gen_ai.tool.definitions"] == [
        {"type": "function", "name": "f", "description": "d", "parameters": schema},
        {"type": "systemTool", "name": "nova_grounding"},
    ]


def test_streamed_and_plain_answers_are_the_same() -> None:
    blocks = [
        {"reasoningContent": {"reasoningText": {"text": "Hmm", "signature": "s"}}},
        {"text": "Hello"},
        {"toolUse": {"toolUseId": "t", "name": "f", "input": {"a": 1}}},
    ]
    plain = body(output={"message": {"role": "assistant", "content": blocks}}, stopReason="tool_use")

    def grow(index: int, **delta: Any) -> bytes:
        return event("contentBlockDelta", contentBlockIndex=index, delta=delta)

    streamed = b"".join(
        [
            event("messageStart", role="assistant"),
            grow(0, reasoningContent={"text": "Hm"}),
            grow(0, reasoningContent={"text": "m"}),
            grow(0, reasoningContent={"signature": "s"}),
            grow(1, text="Hel"),
            grow(1, text="lo"),
            event(
                "contentBlockStart",
                contentBlockIndex=2,
                start={"toolUse": {"toolUseId": "t", "name": "f"}},
            ),
            grow(2, toolUse={"input": '{"a"'}),
            grow(2, toolUse={"input": ": 1}"}),
            event("messageStop", stopReason="tool_use"),
        ]
    )
    found = converse().output_content(streamed, True, 1000)
    assert found == converse().output_content(plain, False, 1000)
    assert [part["type"] for part in found["gen_ai.output.messages"][0]["parts"]] == [
        "reasoning",
        "text",
        "tool_call",
    ]


# --- invoke: families ----------------------------------------------------------------------------
CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
METRICS = {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 3, "outputTokenCount": 4}}

#: model, request, response, its usage, finish reasons, text of the answer
FAMILIES: dict[str, tuple[str, dict[str, Any], dict[str, Any], Usage | None, list[str], str | None]] = {
    "anthropic": (
        CLAUDE,
        {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 5, "messages": []},
        {
            "id": "msg_1",
            "content": [{"type": "text", "text": "Hi"}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 1, "output_tokens": 2, "cache_read_input_tokens": 10},
        },
        Usage(input=11, output=2, cache_read=10),
        ["end_turn"],
        "Hi",
    ),
    "nova": (
        "amazon.nova-lite-v1:0",
        {"messages": HELLO, "inferenceConfig": {"maxTokens": 5}},
        {
            "output": {"message": {"role": "assistant", "content": [{"text": "Hi"}]}},
            "stopReason": "end_turn",
            "usage": {"inputTokens": 1, "outputTokens": 2, "cacheReadInputTokenCount": 10},
        },
        Usage(input=11, output=2, cache_read=10),
        ["end_turn"],
        "Hi",
    ),
    "openai": (
        "openai.gpt-oss-120b-1:0",
        {"messages": [{"role": "user", "content": "Hi"}], "max_completion_tokens": 5},
        {
            "choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2},
        },
        Usage(input=1, output=2),
        ["stop"],
        "Hi",
    ),
    "llama": (
        "meta.llama3-8b-instruct-v1:0",
        {"prompt": "Hi", "max_gen_len": 5},
        {"generation": "Hi", "prompt_token_count": 1, "generation_token_count": 2, "stop_reason": "stop"},
        Usage(input=1, output=2),
        ["stop"],
        "Hi",
    ),
    "mistral": (
        "mistral.mistral-7b-instruct-v0:2",
        {"prompt": "Hi", "max_tokens": 5},
        {"outputs": [{"text": "Hi", "stop_reason": "length"}]},
        None,
        ["length"],
        "Hi",
    ),
    "deepseek": (
        "us.deepseek.r1-v1:0",
        {"prompt": "Hi", "max_tokens": 5},
        {"choices": [{"text": "Hi", "stop_reason": "length"}]},
        None,
        ["length"],
        "Hi",
    ),
    "titan": (
        "amazon.titan-text-express-v1",
        {"inputText": "Hi", "textGenerationConfig": {"maxTokenCount": 5}},
        {
            "inputTextTokenCount": 1,
            "results": [{"tokenCount": 2, "outputText": "Hi", "completionReason": "FINISH"}],
        },
        Usage(input=1, output=2),
        ["FINISH"],
        "Hi",
    ),
    "cohere": (
        "cohere.command-r-v1:0",
        {"message": "Hi", "max_tokens": 5, "chat_history": [{"role": "CHATBOT", "message": "Yes?"}]},
        {"response_id": "r", "text": "Hi", "finish_reason": "COMPLETE"},
        None,
        ["COMPLETE"],
        "Hi",
    ),
    "embeddings": (
        "amazon.titan-embed-text-v2:0",
        {"inputText": "Hi"},
        {"embedding": [0.1], "inputTextTokenCount": 3},
        Usage(input=3),
        [],
        None,
    ),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_families(family: str) -> None:
    model, request, response, usage, reasons, text = FAMILIES[family]
    wire_format = BedrockInvoke(model)
    facts = asked(wire_format, **request)
    assert facts.model == model
    assert facts.attributes.get("gen_ai.request.max_tokens", 5) == 5
    found = wire_format.read_response(body(**response), False, facts)
    assert (found.usage, found.finish_reasons) == (usage, reasons)
    content = wire_format.output_content(body(**response), False, 1000).get("gen_ai.output.messages")
    if text is None:
        assert content is None
    else:
        assert content is not None
        assert content[0]["parts"] == [{"type": "text", "content": text}]


#: the pieces of a stream, with the service's counts in the last
STREAMS: dict[str, tuple[list[dict[str, Any]], Usage, list[str]]] = {
    "anthropic": (
        [
            {
                "type": "message_start",
                "message": {"id": "m", "usage": {"input_tokens": 3, "output_tokens": 1}},
            },
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 4}},
            {"type": "message_stop", **METRICS},
        ],
        Usage(input=3, output=4),
        ["end_turn"],
    ),
    "nova": (
        [
            {"messageStart": {"role": "assistant"}},
            {"contentBlockDelta": {"delta": {"text": "Hi"}, "contentBlockIndex": 0}},
            {"messageStop": {"stopReason": "end_turn"}},
            {"metadata": {"usage": {"inputTokens": 3, "outputTokens": 4}}, **METRICS},
        ],
        Usage(input=3, output=4),
        ["end_turn"],
    ),
    "openai": (
        [
            {"id": "c", "choices": [{"index": 0, "delta": {"content": "Hi"}}]},
            {"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], **METRICS},
        ],
        Usage(input=3, output=4),
        ["stop"],
    ),
    "llama": (
        [
            {"generation": "H", "prompt_token_count": 3, "generation_token_count": 1, "stop_reason": None},
            {"generation": "i", "generation_token_count": 4, "stop_reason": "stop", **METRICS},
        ],
        Usage(input=3, output=4),
        ["stop"],
    ),
    "mistral": (
        [
            {"outputs": [{"text": "H", "stop_reason": None}]},
            {"outputs": [{"text": "i", "stop_reason": "stop"}], **METRICS},
        ],
        Usage(input=3, output=4),
        ["stop"],
    ),
    "titan": (
        [
            {"outputText": "Hi", "index": 0, "totalOutputTextTokenCount": 4, "completionReason": "FINISH"}
            | {"inputTextTokenCount": 3} | METRICS,
        ],
        Usage(input=3, output=4),
        ["FINISH"],
    ),
    "cohere": (
        [
            {"event_type": "text-generation", "text": "Hi", "is_finished": False},
            {"event_type": "stream-end", "finish_reason": "COMPLETE", "response": {"response_id": "r"}}
            | METRICS,
        ],
        Usage(input=3, output=4),
        ["COMPLETE"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("family", STREAMS)
def test_streams_of_families(family: str) -> None:
    model, request, *_ = FAMILIES[family]
    pieces, usage, reasons = STREAMS[family]
    wire_format = BedrockInvoke(model, stream=True)
    facts = asked(wire_format, **request)
    data = b"".join(piece(**one) for one in pieces)
    found = wire_format.read_response(data, True, facts)
    assert (found.usage, found.finish_reasons, found.error_type) == (usage, reasons, None)
    (message,) = wire_format.output_content(data, True, 1000)["gen_ai.output.messages"]
    assert message["parts"] == [{"type": "text", "content": "Hi"}]
    assert message["finish_reason"] == reasons[0]


@pytest.mark.parametrize("family", STREAMS)
def test_streams_that_an_exception_ends(family: str) -> None:
    model, request, *_ = FAMILIES[family]
    wire_format = BedrockInvoke(model, stream=True)
    facts = asked(wire_format, **request)
    data = piece(**STREAMS[family][0][0]) + failure("throttlingException", "Slow down")
    found = wire_format.read_response(data, True, facts)
    assert (found.error_type, found.error_message) == ("throttlingException", "Slow down")


def test_counts_of_the_headers() -> None:
    wire_format = BedrockInvoke("mistral.mistral-7b-instruct-v0:2")
    facts = wire_format.read_response(
        body(outputs=[{"text": "Hi", "stop_reason": "stop"}]), False, asked(wire_format, prompt="Hi")
    )
    wire_format.read_headers(
        facts,
        {
            "x-amzn-requestid": "r-1",
            "x-amzn-bedrock-input-token-count": "5",
            "x-amzn-bedrock-output-token-count": "6",
            "x-amzn-bedrock-cache-read-input-token-count": "7",
            "x-amzn-bedrock-service-tier": "priority",
        },
    )
    assert facts.usage == Usage(input=12, output=6, cache_read=7)
    assert facts.service_tier == "priority"
    assert facts.attributes == {"aws.request_id": "r-1"}


def test_odd_counts_in_headers_say_nothing() -> None:
    facts = ResponseFacts()
    BedrockInvoke("m").read_headers(facts, {"x-amzn-bedrock-input-token-count": "many"})
    assert facts.usage is None


def test_an_error_body_of_a_model() -> None:
    wire_format = BedrockInvoke("meta.llama3-8b-instruct-v1:0")
    found = wire_format.read_response(body(message="No access"), False, asked(wire_format, prompt="Hi"))
    assert (found.error_message, found.finish_reasons) == ("No access", [])


def test_operations() -> None:
    embeds, prompts, chats = BedrockInvoke("cohere.embed-v4:0"), BedrockInvoke("m"), BedrockInvoke("m")
    asked(embeds, texts=["a"])
    asked(prompts, prompt="a")
    asked(chats, messages=[])
    assert [one.operation for one in (embeds, prompts, chats)] == ["embeddings", "text_completion", "chat"]
