"""Posts scores by the API client of the official SDK, and says what became of each.

The client alone: no tracing client, no global state, no tracer provider.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

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


class _Transient(Exception):
    def __init__(self, problem: str, wait: float | None = None) -> None:
        super().__init__(problem)
        self.wait = wait


class _Refused(Exception):
    def __init__(self, status: int, problem: str) -> None:
        super().__init__(problem)
        self.status = status


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
        parts = [list(batch)] if not self._one_by_one else [[score] for score in batch]
        while parts:
            part = parts.pop(0)
            try:
                self._send(part, outcome)
            except _Transient as error:
                outcome.problem, outcome.wait = str(error), error.wait
                outcome.unsent = [*part, *(score for later in parts for score in later)]
                return outcome
            except _Refused as error:
                if len(part) > 1:
                    # One score spoils its batch; each alone shows which.
                    parts[:0] = [[score] for score in part]
                else:
                    outcome.rejected[str(error)] += 1
        return outcome

    def close(self) -> None:
        """Closes the connection."""
        self._http.close()

    def _send(self, part: list[Score], outcome: Outcome) -> None:
        if not self._one_by_one:
            try:
                self._post_array(part, outcome)
                return
            except _Refused as error:
                if error.status != 400 or len(part) > 1:
                    raise
        self._post_object(part[0])
        outcome.delivered += 1
        if not self._one_by_one:
            # Servers before 4.59 take one object only and answer 400 to arrays.
            self._one_by_one = True
            logger.info("otel-agents: this Langfuse takes no lists of scores; sending them one by one")

    def _post_array(self, part: list[Score], outcome: Outcome) -> None:
        import httpx
        from langfuse.api.core import ApiError
        from langfuse.api.scores import CreateScoreBatchResults
        from pydantic import ValidationError

        items = [json.loads(score.body) for score in part]
        try:
            answer = self._api.scores.create(
                request=cast(Any, items),  # objects of the API, as the SDK's own sender passes them
                request_options={"max_retries": 0},
            )
        except ValidationError:
            answer = None  # the server said yes in words that this SDK does not know
        except ApiError as error:
            _check(error.status_code, error.headers, error.body)
            answer = None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _Transient(f"{type(error).__name__}: {error}") from error
        if isinstance(answer, CreateScoreBatchResults):
            outcome.delivered += answer.accepted
            reason = answer.errors[0].message if answer.errors else "Langfuse rejected it"
            # Langfuse asks not to repeat a batch that it took in part.
            outcome.rejected[reason] += max(len(part) - answer.accepted, 0)
            return
        outcome.delivered += len(part)

    def _post_object(self, score: Score) -> None:
        import httpx

        try:
            answer = self._http.post(
                self._url,
                content=score.body,
                headers={"content-type": "application/json"},
                auth=self._auth,
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _Transient(f"{type(error).__name__}: {error}") from error
        if not answer.is_success:
            _check(answer.status_code, answer.headers, answer.text)


def _check(status: int | None, headers: Mapping[str, str] | None, body: object) -> None:
    """Sorts an answer that is no plain yes. A 2xx without a body is one."""
    if status is not None and 200 <= status < 300 and not body:
        return
    problem = f"status {status}: {_message(body)}"
    if status is not None and 400 <= status < 500 and status not in _TRANSIENT:
        raise _Refused(status, problem)
    raise _Transient(problem, retry_after(headers or {}))


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
