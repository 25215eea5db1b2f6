"""Evaluation results become Langfuse scores: the sender of direct mode."""
