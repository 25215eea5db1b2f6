"""Runs that go on: noted on disk while they do, abandoned after a crash, suspended and resumed."""
