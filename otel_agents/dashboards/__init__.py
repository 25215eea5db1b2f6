"""The committed Grafana dashboards, asked and shown without a Grafana.

``boards`` reads their JSON, ``filling`` puts values for variables into their queries as Grafana does,
``prometheus`` asks them, ``looks`` makes of the answers what each panel shows, ``units`` writes the numbers.
Drawing is the web UI's work (`otel_agents.local.ui.dashboards`).
"""
