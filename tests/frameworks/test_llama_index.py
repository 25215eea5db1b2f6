"""LlamaIndex by OpenInference's instrumentor, whose spans say only at their end what they are."""

from __future__ import annotations

import pytest
from modelserver.server import ModelServer
from stub_backend import StubBackend
from telemetry import Span, spans
from totals import assert_exact, assert_nothing_said
from trees import missing_parents, outlines, shown
from venvs import Run, python_with

PACKAGES = [
    "llama-index-core==0.14.25",
    "llama-index-embeddings-openai==0.7.0",
    "llama-index-llms-openai==0.8.3",
    "openinference-instrumentation-llama-index==4.6.1",
]


@pytest.fixture(scope="module")
def found(run: Run, backend: StubBackend) -> list[Span]:
    run(python_with(*PACKAGES), "llama_index_app.py")
    return spans(backend)


def test_each_run_is_one_trace(found: list[Span]) -> None:
    assert missing_parents(found) == []
    # One trace for each run: the documents' splitting and embedding, the query, the agent, the completion.
    roots = [one.name for one in found if not one.parent]
    assert sorted(roots) == [
        "FunctionAgent.run",
        "OpenAI.acomplete",
        "OpenAIEmbedding.get_text_embedding_batch",
        "RetrieverQueryEngine.query",
        "SentenceSplitter.__call__",
    ]


def test_every_call_is_counted_once(found: list[Span], server: ModelServer, backend: StubBackend) -> None:
    assert_exact(server, backend, calls=6)


def test_calls_are_below_their_agents_and_queries(found: list[Span], server: ModelServer) -> None:
    assert len([one for one in found if one.is_model_call and "gen_ai.operation.name" in one.attributes]) == 6
    assert {one.scope for one in found} == {"openinference.instrumentation.llama_index"}
    assert shown(found) == outlines("""
        SentenceSplitter.__call__
          SentenceSplitter._parse_nodes
            SentenceSplitter.split_text_metadata_aware
            SentenceSplitter.split_text_metadata_aware

        OpenAIEmbedding.get_text_embedding_batch

        RetrieverQueryEngine.query
          RetrieverQueryEngine._query
            CompactAndRefine.synthesize
              CompactAndRefine.get_response
                CompactAndRefine.get_response
                  DefaultRefineProgram.__call__
                    OpenAI.predict
                      OpenAI.chat
                  TokenTextSplitter.split_text
                TokenTextSplitter.split_text
            VectorIndexRetriever.retrieve
              VectorIndexRetriever._retrieve
                OpenAIEmbedding.get_query_embedding

        FunctionAgent.run
          BaseWorkflowAgent.aggregate_tool_results
          BaseWorkflowAgent.call_tool
            FunctionTool.acall
          BaseWorkflowAgent.init_run
          BaseWorkflowAgent.parse_agent_output
          BaseWorkflowAgent.parse_agent_output
          BaseWorkflowAgent.run_agent_step
            OpenAI._prepare_chat_with_tools
            OpenAI.achat
          BaseWorkflowAgent.run_agent_step
            OpenAI._prepare_chat_with_tools
            OpenAI.achat
          BaseWorkflowAgent.setup_agent
          BaseWorkflowAgent.setup_agent

        OpenAI.acomplete
    """)


def test_each_is_what_it_is(found: list[Span]) -> None:
    operations = {one.name: one.attributes.get("gen_ai.operation.name") for one in found}
    assert operations["FunctionAgent.run"] == "invoke_agent"
    assert operations["FunctionTool.acall"] == "execute_tool"
    assert operations["VectorIndexRetriever.retrieve"] == "retrieval"
    assert operations["RetrieverQueryEngine.query"] == "invoke_workflow"
    assert operations["OpenAI.achat"] == "chat"
    assert operations["OpenAIEmbedding.get_query_embedding"] == "embeddings"
    assert operations["OpenAIEmbedding._get_query_embedding"] is None  # the same call


def test_no_content_that_was_not_asked_for(found: list[Span], backend: StubBackend) -> None:
    assert_nothing_said(backend)
