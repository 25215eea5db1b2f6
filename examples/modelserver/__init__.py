"""A scripted model server: speaks OpenAI's and Anthropic's HTTP APIs and keeps a ledger.

For tests and for the demo: real SDKs talk to it as to the real providers, it answers without a
model, fails on request, and writes down what a provider would have billed. It knows nothing of the
package that is tested with it.
"""

from __future__ import annotations

from modelserver.server import ModelServer, running

__all__ = ["ModelServer", "running"]
