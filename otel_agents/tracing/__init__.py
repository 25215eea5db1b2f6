"""What the app says of itself: agents and tools, contexts, events, scores, calls that no hook sees."""
