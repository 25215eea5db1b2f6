"""Prompts: files in git, versions in Langfuse, and how the versions did."""
