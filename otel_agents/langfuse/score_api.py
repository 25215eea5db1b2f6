"""Posts scores by the API client of the official SDK, and says what became of them.

The client alone: no tracing client, no global state, no tracer provider.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

from otel_agents.export.sender import Answer
from otel_agents.export.waits import retry_after
from otel_agents.langfuse.score_events import MAX_REQUEST_BYTES, Score
from otel_agents.version import __version__

if TYPE_CHECKING:
    import httpx

logger = logging.getLogger(__name__)

#: Scores of one request, as the official SDK has it.
BATCH: Final = 15

#: Statuses after which the same request may succeed. Langfuse answers 401 and 403 also while it cannot
#: look up keys, or suspends a project.
_TRANSIENT: Final = frozenset({401, 403, 408, 425, 429})


@dataclass(slots=True)
class Outcome:
    """What became of the scores of one call.

    Attributes:
        delivered: how many Langfuse accepted.
        rejected: how many it refused for good, by reason.
        unsent: scores to try again, in their order.
        problem: why there are unsent ones.
        wait: seconds that the server asked to wait before the next try, if it did.
    """

    delivered: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    unsent: list[Score] = field(default_factory=list)
    problem: str = ""
    wait: float | None = None


class _Failed(Exception):
    """A request without a plain yes."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.message)
        self.answer = answer


class ScoreApi:
    """A connection to Langfuse's score endpoint. For one thread; loads the SDK when it is made.

    Args:
        base_url: Langfuse's address.
        public_key: of the project.
        secret_key: of the project.
        timeout: seconds for one request.
    """

    def __init__(self, base_url: str, public_key: str, secret_key: str, timeout: float) -> None:
        import httpx
        from langfuse.api import LangfuseAPI

        self._timeout = timeout
        self._http: httpx.Client = httpx.Client(timeout=timeout, follow_redirects=True)
        self._url = f"{base_url.rstrip('/')}/api/public/scores"
        self._auth = (public_key, secret_key)
        self._api = LangfuseAPI(
            base_url=base_url.rstrip("/"),
            username=public_key,
            password=secret_key,
            x_langfuse_sdk_name="otel-agents",
            x_langfuse_sdk_version=__version__,
            x_langfuse_public_key=public_key,
            httpx_client=self._http,
        )
        self._one_by_one = False

    def send(self, batch: Sequence[Score]) -> Outcome:
        """Sends scores, together if the server takes arrays, else each alone. Never raises."""
        outcome = Outcome()
        parts = [list(batch)]
        while parts:
            part = parts.pop(0)
            answer = self.request([score.body for score in part])
            if answer.kind == "taken":
                outcome.delivered += len(part) - answer.rejected
                outcome.rejected[answer.message] += answer.rejected
            elif answer.kind == "later":
                outcome.problem, outcome.wait = answer.message, answer.wait
                outcome.unsent = [*part, *(score for later in parts for score in later)]
                return outcome
            elif len(part) > 1:
                # One score spoils its batch; each alone shows which.
                parts[:0] = [[score] for score in part]
            else:
                outcome.rejected[answer.message] += 1
        return outcome

    def request(self, bodies: Sequence[bytes], timeout: float | None = None) -> Answer:
        """Sends scores in one request: a list, or one alone if the server takes no lists. Never raises.

        Args:
            bodies: of the scores.
            timeout: seconds, at most those of the connection.
        """
        limit = self._timeout if timeout is None else min(timeout, self._timeout)
        if len(bodies) > (1 if self._one_by_one else BATCH):
            return Answer("too_large", "too_many", "too many scores for one request")
        try:
            return self._request(bodies, limit)
        except _Failed as error:
            return error.answer

    def close(self) -> None:
        """Closes the connection."""
        self._http.close()

    def _request(self, bodies: Sequence[bytes], limit: float) -> Answer:
        if not self._one_by_one:
            try:
                return self._post_array(bodies, limit)
            except _Failed as error:
                if error.answer.reason != "status_400" or len(bodies) > 1:
                    raise
        self._post_object(bodies[0], limit)
        if not self._one_by_one:
            # Servers before 4.59 take one object only and answer 400 to arrays.
            self._one_by_one = True
            logger.info("otel-agents: this Langfuse takes no lists of scores; sending them one by one")
        return Answer("taken")

    def _post_array(self, bodies: Sequence[bytes], limit: float) -> Answer:
        import httpx
        from langfuse.api.core import ApiError
        from langfuse.api.scores import CreateScoreBatchResults
        from pydantic import ValidationError

        items = [json.loads(body) for body in bodies]
        try:
            answer = self._api.scores.create(
                request=cast(Any, items),  # objects of the API, as the SDK's own sender passes them
                request_options={"max_retries": 0, "timeout_in_seconds": cast(int, limit)},
            )
        except ValidationError:
            answer = None  # the server said yes in words that this SDK does not know
        except ApiError as error:
            _check(error.status_code, error.headers, error.body)
            answer = None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _Failed(_no_answer(error)) from error
        if isinstance(answer, CreateScoreBatchResults) and answer.accepted < len(bodies):
            # Langfuse asks not to repeat a batch that it took in part.
            message = answer.errors[0].message if answer.errors else "Langfuse rejected it"
            return Answer("taken", "rejected", message, rejected=len(bodies) - answer.accepted)
        return Answer("taken")

    def _post_object(self, body: bytes, limit: float) -> None:
        import httpx

        headers = {"content-type": "application/json"}
        try:
            answer = self._http.post(self._url, content=body, headers=headers, auth=self._auth, timeout=limit)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _Failed(_no_answer(error)) from error
        if not answer.is_success:
            _check(answer.status_code, answer.headers, answer.text)


def _no_answer(error: Exception) -> Answer:
    import httpx

    reason = "timeout" if isinstance(error, httpx.TimeoutException) else "unreachable"
    return Answer("later", reason, f"{type(error).__name__}: {error}")


def _check(status: int | None, headers: Mapping[str, str] | None, body: object) -> None:
    """Sorts an answer that is no plain yes. A 2xx without a body is one."""
    if status is not None and 200 <= status < 300 and not body:
        return
    reason, message = f"status_{status}", f"status {status}: {_message(body)}"
    if status is not None and 400 <= status < 500 and status not in _TRANSIENT:
        raise _Failed(Answer("refused", reason, message))
    raise _Failed(Answer("later", reason, message, retry_after(headers or {})))


def _message(body: object) -> str:
    if isinstance(body, str):
        try:
            body = json.loads(body)
        except ValueError:
            pass
    if isinstance(body, dict):
        # Langfuse says what in `message`, and in `error` which field.
        said = [body[key] for key in ("message", "error") if body.get(key)]
        body = ": ".join(one if isinstance(one, str) else json.dumps(one) for one in said) or body
    return " ".join(str(body).split())[:300]


def first_batch(scores: Iterable[Score]) -> list[Score]:
    """The scores from the front that fit into one request."""
    batch: list[Score] = []
    size = 2
    for score in scores:
        size += len(score.body) + 1
        if batch and (len(batch) == BATCH or size > MAX_REQUEST_BYTES):
            break
        batch.append(score)
    return batch
