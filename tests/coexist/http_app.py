"""Model calls by requests and by urllib3 with OpenTelemetry's own instrumentors of both.

    python http_app.py ORDER URL

ORDER: the instrumentors are enabled ``before`` or ``after`` ours, or ``again`` after having been taken out.
"""

from __future__ import annotations

import json
import sys

from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor

order, url = sys.argv[1:3]


def enable() -> None:
    RequestsInstrumentor().instrument()
    URLLib3Instrumentor().instrument()


def disable() -> None:
    RequestsInstrumentor().uninstrument()
    URLLib3Instrumentor().uninstrument()


if order == "before":
    enable()

import otel_agents  # noqa: E402

otel_agents.configure(service_name="http", schedule_delay=0.05)
if order != "before":
    enable()
if order == "again":
    disable()
    enable()

import requests  # noqa: E402
import urllib3  # noqa: E402

body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
headers = {"authorization": "Bearer sk-any", "content-type": "application/json"}
requests.post(f"{url}/v1/chat/completions", json=body, headers=headers)
pool = urllib3.PoolManager()
pool.request("POST", f"{url}/v1/chat/completions", body=json.dumps(body), headers=headers)
# What is no model call is theirs.
requests.get(f"{url}/v1/models", headers=headers)
pool.request("GET", f"{url}/v1/models", headers=headers)
disable()
requests.get(f"{url}/v1/models", headers=headers)
result = otel_agents.flush(10)
print(f"dropped={result.dropped} pending={result.pending}")
