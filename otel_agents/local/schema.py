"""Tables of the local backend's SQLite file.

``observations`` has one narrow row a span, so that scans and pages stay fast; the large texts of a
span live in ``payloads``. ``traces`` is a summary kept while spans arrive: Langfuse 4 has no trace
row, but a table of runs needs one; ``trace_picks`` and ``trace_search`` go with it by key. Times are
integer nanoseconds since the epoch, money is USD.
"""

from __future__ import annotations

from typing import Final

#: Written to ``PRAGMA user_version``; a file with another number is refused.
VERSION: Final = 2

TABLES: Final = """
CREATE TABLE observations (
  key INTEGER PRIMARY KEY,
  trace_id TEXT NOT NULL,
  id TEXT NOT NULL,
  parent_id TEXT NOT NULL,
  type TEXT NOT NULL,
  name TEXT NOT NULL,
  start_ns INTEGER NOT NULL,
  end_ns INTEGER NOT NULL,
  level TEXT NOT NULL,
  environment TEXT NOT NULL,
  is_app_root INTEGER NOT NULL,
  is_root INTEGER NOT NULL,
  public INTEGER NOT NULL,
  version TEXT,
  release TEXT,
  user_id TEXT,
  session_id TEXT,
  trace_name TEXT,
  model TEXT,
  prompt_name TEXT,
  prompt_version INTEGER,
  completion_start_ns INTEGER,
  input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  total_tokens INTEGER,
  input_cost REAL,
  output_cost REAL,
  total_cost REAL,
  received_ns INTEGER NOT NULL,
  scope_name TEXT,
  scope_version TEXT,
  service_name TEXT,
  tags TEXT,
  usage TEXT,
  cost TEXT,
  meta TEXT,
  model_parameters TEXT,
  status_message TEXT
);
CREATE UNIQUE INDEX observations_span ON observations (trace_id, id);
CREATE INDEX observations_start ON observations (start_ns, trace_id, id);
CREATE INDEX observations_name ON observations (name, start_ns);
CREATE INDEX observations_type ON observations (type, start_ns);
CREATE INDEX observations_session ON observations (session_id, start_ns) WHERE session_id IS NOT NULL;
CREATE INDEX observations_user ON observations (user_id, start_ns) WHERE user_id IS NOT NULL;
CREATE INDEX observations_root ON observations (start_ns) WHERE is_root = 1;
CREATE INDEX observations_level ON observations (level, start_ns) WHERE level <> 'DEFAULT';

CREATE TABLE payloads (
  key INTEGER PRIMARY KEY,
  input TEXT,
  output TEXT,
  metadata TEXT NOT NULL,
  events TEXT
);

CREATE TABLE traces (
  key INTEGER PRIMARY KEY,
  trace_id TEXT NOT NULL,
  name TEXT NOT NULL,
  root_id TEXT,
  start_ns INTEGER NOT NULL,
  end_ns INTEGER NOT NULL,
  duration_ns INTEGER NOT NULL,
  status TEXT NOT NULL,
  agent TEXT,
  task_type TEXT,
  project TEXT,
  agent_switched INTEGER,
  session_id TEXT,
  user_id TEXT,
  environment TEXT NOT NULL,
  version TEXT,
  release TEXT,
  total_cost REAL NOT NULL,
  input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  total_tokens INTEGER NOT NULL,
  quality REAL,
  quality_meta REAL,
  n_observations INTEGER NOT NULL,
  n_generations INTEGER NOT NULL,
  n_errors INTEGER NOT NULL,
  tags TEXT NOT NULL,
  received_ns INTEGER NOT NULL,
  preview TEXT
);
CREATE UNIQUE INDEX traces_id ON traces (trace_id);
-- These hold all that lists of numbers need, so that sums over every trace never touch the table.
CREATE INDEX traces_start ON traces (start_ns, trace_id, status, total_cost, input_tokens, output_tokens,
  total_tokens, quality, duration_ns, n_observations);
CREATE INDEX traces_agent ON traces (agent, start_ns, trace_id, status, total_cost, input_tokens,
  output_tokens, total_tokens, quality, duration_ns, n_observations, task_type);
CREATE INDEX traces_task ON traces (task_type, start_ns, trace_id, status, total_cost, input_tokens,
  output_tokens, total_tokens, quality, duration_ns, n_observations, agent);
CREATE INDEX traces_session ON traces (session_id, start_ns) WHERE session_id IS NOT NULL;
CREATE INDEX traces_user ON traces (user_id, start_ns) WHERE user_id IS NOT NULL;
CREATE INDEX traces_status ON traces (status, start_ns) WHERE status <> 'ok';
CREATE INDEX traces_switched ON traces (agent_switched, start_ns) WHERE agent_switched = 1;
CREATE INDEX traces_environment ON traces (environment, start_ns);
CREATE INDEX traces_cost ON traces (total_cost, trace_id);
CREATE INDEX traces_quality ON traces (quality, trace_id) WHERE quality IS NOT NULL;
CREATE INDEX traces_duration ON traces (duration_ns, trace_id);
CREATE INDEX traces_tokens ON traces (total_tokens, trace_id);
CREATE INDEX traces_received ON traces (received_ns);

-- What each field of the summary was taken from, to go on when more spans arrive.
CREATE TABLE trace_picks (key INTEGER PRIMARY KEY, picks TEXT NOT NULL);
-- What the text filter looks through, case-folded, apart from the row to keep that narrow.
CREATE TABLE trace_search (key INTEGER PRIMARY KEY, text TEXT NOT NULL);

CREATE TABLE trace_tags (
  tag TEXT NOT NULL,
  trace_id TEXT NOT NULL,
  PRIMARY KEY (tag, trace_id)
) WITHOUT ROWID;
CREATE INDEX trace_tags_trace ON trace_tags (trace_id);

CREATE TABLE sessions (
  session_id TEXT PRIMARY KEY,
  start_ns INTEGER NOT NULL,
  end_ns INTEGER NOT NULL,
  n_traces INTEGER NOT NULL,
  n_errors INTEGER NOT NULL,
  total_cost REAL NOT NULL,
  total_tokens INTEGER NOT NULL,
  user_id TEXT,
  environment TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX sessions_end ON sessions (end_ns, session_id);

CREATE TABLE scores (
  id TEXT NOT NULL,
  name TEXT NOT NULL,
  day INTEGER NOT NULL,
  data_type TEXT NOT NULL,
  value REAL,
  string_value TEXT,
  source TEXT NOT NULL,
  environment TEXT NOT NULL,
  trace_id TEXT,
  observation_id TEXT,
  session_id TEXT,
  experiment_id TEXT,
  comment TEXT,
  metadata TEXT,
  config_id TEXT,
  queue_id TEXT,
  author_user_id TEXT,
  timestamp_ns INTEGER NOT NULL,
  created_ns INTEGER NOT NULL,
  updated_ns INTEGER NOT NULL,
  PRIMARY KEY (id, name, day)
);
CREATE INDEX scores_time ON scores (timestamp_ns, id);
CREATE INDEX scores_name ON scores (name, timestamp_ns);
CREATE INDEX scores_trace ON scores (trace_id) WHERE trace_id IS NOT NULL;
CREATE INDEX scores_session ON scores (session_id) WHERE session_id IS NOT NULL;

CREATE TABLE prompts (
  id TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  version INTEGER NOT NULL,
  type TEXT NOT NULL,
  prompt TEXT NOT NULL,
  config TEXT NOT NULL,
  labels TEXT NOT NULL,
  tags TEXT NOT NULL,
  commit_message TEXT,
  created_ns INTEGER NOT NULL,
  updated_ns INTEGER NOT NULL,
  PRIMARY KEY (name, version)
);

CREATE TABLE findings (
  key INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  severity TEXT NOT NULL,
  trace_id TEXT NOT NULL,
  observation_id TEXT NOT NULL,
  message TEXT NOT NULL,
  detail TEXT NOT NULL,
  received_ns INTEGER NOT NULL,
  UNIQUE (kind, trace_id, observation_id, message)
);
CREATE INDEX findings_trace ON findings (trace_id);
CREATE TABLE finding_counts (kind TEXT PRIMARY KEY, severity TEXT NOT NULL, count INTEGER NOT NULL);

CREATE TABLE state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO state VALUES ('change', 0), ('orphans_to', 0);
"""
