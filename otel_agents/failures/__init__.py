"""What went wrong: the errors that Langfuse has, each with what led to it."""
