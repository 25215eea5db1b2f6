"""Names that leave the process: attributes, operations, metrics, environment variables.

Source of the ``gen_ai.*`` names: OpenTelemetry semantic conventions for generative AI, v0.1.0
(the standalone release). The constants in ``opentelemetry-semantic-conventions`` are deprecated
and lack many of these, so they are written down here. Our own names live under ``otel_agents.``.
"""

from __future__ import annotations

from typing import Final

SCOPE_NAME: Final = "otel_agents"

# --- operations (values of gen_ai.operation.name) ------------------------------------------------
OP_CHAT: Final = "chat"
OP_GENERATE_CONTENT: Final = "generate_content"
OP_TEXT_COMPLETION: Final = "text_completion"
OP_EMBEDDINGS: Final = "embeddings"
OP_RETRIEVAL: Final = "retrieval"
OP_INVOKE_AGENT: Final = "invoke_agent"
OP_INVOKE_WORKFLOW: Final = "invoke_workflow"
OP_EXECUTE_TOOL: Final = "execute_tool"

#: Operations that are one call to a model and carry usage and cost.
INFERENCE_OPERATIONS: Final = frozenset(
    {OP_CHAT, OP_GENERATE_CONTENT, OP_TEXT_COMPLETION, OP_EMBEDDINGS, "completion", "generate"}
)

# --- span attributes from the conventions --------------------------------------------------------
OPERATION_NAME: Final = "gen_ai.operation.name"
PROVIDER_NAME: Final = "gen_ai.provider.name"
CONVERSATION_ID: Final = "gen_ai.conversation.id"
OUTPUT_TYPE: Final = "gen_ai.output.type"

REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
REQUEST_TEMPERATURE: Final = "gen_ai.request.temperature"
REQUEST_TOP_P: Final = "gen_ai.request.top_p"
REQUEST_TOP_K: Final = "gen_ai.request.top_k"
REQUEST_STOP_SEQUENCES: Final = "gen_ai.request.stop_sequences"
REQUEST_FREQUENCY_PENALTY: Final = "gen_ai.request.frequency_penalty"
REQUEST_PRESENCE_PENALTY: Final = "gen_ai.request.presence_penalty"
REQUEST_SEED: Final = "gen_ai.request.seed"
REQUEST_CHOICE_COUNT: Final = "gen_ai.request.choice.count"
REQUEST_STREAM: Final = "gen_ai.request.stream"
REQUEST_REASONING_LEVEL: Final = "gen_ai.request.reasoning.level"

RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
RESPONSE_TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"  # seconds

USAGE_INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"  # includes cache read and write
USAGE_OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"  # includes reasoning
#: Where nobody says how it splits. Not in the conventions; Langfuse and OpenLIT read this name.
USAGE_TOTAL_TOKENS: Final = "gen_ai.usage.total_tokens"
USAGE_CACHE_READ: Final = "gen_ai.usage.cache_read.input_tokens"
USAGE_CACHE_WRITE: Final = "gen_ai.usage.cache_write.input_tokens"
USAGE_REASONING: Final = "gen_ai.usage.reasoning.output_tokens"
#: USD, double. Not (yet) in the conventions; Langfuse and OpenLIT read this name.
USAGE_COST: Final = "gen_ai.usage.cost"

INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
TOOL_DEFINITIONS: Final = "gen_ai.tool.definitions"

AGENT_NAME: Final = "gen_ai.agent.name"
AGENT_ID: Final = "gen_ai.agent.id"
AGENT_DESCRIPTION: Final = "gen_ai.agent.description"
AGENT_VERSION: Final = "gen_ai.agent.version"
WORKFLOW_NAME: Final = "gen_ai.workflow.name"
DATA_SOURCE_ID: Final = "gen_ai.data_source.id"
TOOL_NAME: Final = "gen_ai.tool.name"
TOOL_TYPE: Final = "gen_ai.tool.type"
TOOL_DESCRIPTION: Final = "gen_ai.tool.description"
TOOL_CALL_ID: Final = "gen_ai.tool.call.id"
TOOL_CALL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
TOOL_CALL_RESULT: Final = "gen_ai.tool.call.result"
RETRIEVAL_QUERY: Final = "gen_ai.retrieval.query.text"
RETRIEVAL_DOCUMENTS: Final = "gen_ai.retrieval.documents"
RETRIEVAL_TOP_K: Final = "gen_ai.retrieval.top_k"
PROMPT_NAME: Final = "gen_ai.prompt.name"
PROMPT_VERSION: Final = "gen_ai.prompt.version"
TOKEN_MODALITY: Final = "gen_ai.token.modality"
TOKEN_TYPE: Final = "gen_ai.token.type"  # of the older metric; input or output

EVALUATION_NAME: Final = "gen_ai.evaluation.name"
EVALUATION_SCORE_VALUE: Final = "gen_ai.evaluation.score.value"
EVALUATION_SCORE_LABEL: Final = "gen_ai.evaluation.score.label"
EVALUATION_EXPLANATION: Final = "gen_ai.evaluation.explanation"

EVENT_EVALUATION_RESULT: Final = "gen_ai.evaluation.result"
EVENT_INFERENCE_DETAILS: Final = "gen_ai.client.inference.operation.details"

ERROR_TYPE: Final = "error.type"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
SESSION_ID: Final = "session.id"
USER_ID: Final = "user.id"
HTTP_RESEND_COUNT: Final = "http.request.resend_count"
HTTP_STATUS_CODE: Final = "http.response.status_code"
DEPLOYMENT_ENVIRONMENT: Final = "deployment.environment.name"
SERVICE_INSTANCE_ID: Final = "service.instance.id"

OPENAI_REQUEST_SERVICE_TIER: Final = "openai.request.service_tier"
OPENAI_RESPONSE_SERVICE_TIER: Final = "openai.response.service_tier"
OPENAI_SYSTEM_FINGERPRINT: Final = "openai.response.system_fingerprint"
OPENAI_API_TYPE: Final = "openai.api.type"

# --- span attributes of our own ------------------------------------------------------------------
#: 16 hex digits: nearest ancestor that reaches Langfuse, when the real parent does not.
PARENT_HINT: Final = "otel_agents.parent"
#: True on the topmost span that reaches Langfuse under a parent that does not.
APP_ROOT: Final = "otel_agents.app_root"
#: True on a run whose process ended without ending it.
ABANDONED: Final = "otel_agents.abandoned"
#: True on the part of a suspended run that other exporters may see; ours sends none.
SUSPENDED: Final = "otel_agents.suspended"
#: Seconds for which a run was suspended, in all.
SUSPENDED_SECONDS: Final = "otel_agents.suspended.seconds"
#: Name of the Langfuse project that a span is for.
PROJECT: Final = "otel_agents.project"
TAGS: Final = "otel_agents.tags"
TRACE_NAME: Final = "otel_agents.trace.name"
RELEASE: Final = "otel_agents.release"
#: Prefix; one attribute a key, plain scalars.
METADATA_PREFIX: Final = "otel_agents.metadata."
EXPERIMENT: Final = "otel_agents.experiment"
VARIANT: Final = "otel_agents.variant"
#: Prefix: what the app said of a task's usage (``tokens``, ``input_tokens``, ``output_tokens``, ``cost``).
REPORTED_PREFIX: Final = "otel_agents.reported."
#: Name of a zero-duration event span (selection, switch, user event ...).
EVENT_NAME: Final = "otel_agents.event"
#: JSON of an event's body.
EVENT_BODY: Final = "otel_agents.event.body"
#: Span event for each attempt of a call that was sent more than once; as an attribute, JSON of all.
EVENT_ATTEMPT: Final = "otel_agents.attempt"
ATTEMPT_NUMBER: Final = "otel_agents.attempt.number"  # from 1
ATTEMPT_DELAY: Final = "otel_agents.attempt.delay"  # seconds since the attempt before
UNPRICED_REASON: Final = "otel_agents.unpriced.reason"
CAPTURE_TRUNCATED: Final = "otel_agents.capture.truncated"
#: What kept a response from being read: ``html``, ``malformed_json``, ``truncated_gzip``, ``empty`` ...
CAPTURE_UNREADABLE: Final = "otel_agents.capture.unreadable"

# --- evaluation events, beyond the conventions ---------------------------------------------------
SCORE_ID: Final = "otel_agents.score.id"
SCORE_DATA_TYPE: Final = "otel_agents.score.data_type"  # NUMERIC, BOOLEAN or CATEGORICAL
SCORE_TRACE_ID: Final = "otel_agents.score.trace_id"
SCORE_OBSERVATION_ID: Final = "otel_agents.score.observation_id"
SCORE_SESSION_ID: Final = "otel_agents.score.session_id"

# --- schema --------------------------------------------------------------------------------------
TELEMETRY_DISTRO_NAME: Final = "telemetry.distro.name"
TELEMETRY_DISTRO_VERSION: Final = "telemetry.distro.version"
