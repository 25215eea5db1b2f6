"""Reports on agents' work: cost, success, speed, quality and tokens, and what follows from them.

From tasks as :mod:`otel_agents.langfuse.tasks` makes them; nothing in here reads from anywhere.
``report.build`` makes one, ``as_json``, ``as_csv``, ``as_table`` and ``as_html`` print it.
"""
