"""The way out: spans are collected, completed and sent on a thread of their own."""
