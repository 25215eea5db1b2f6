"""The bridge: takes OTLP logs from the Collector and makes Langfuse scores of evaluation results."""
