#!/bin/sh
# Starts Alertmanager with the address of OTEL_AGENTS_ALERT_WEBHOOK in alertmanager.yaml, which lies beside
# this file; without the variable alerts are told to nobody. What it made goes to ALERTMANAGER_CONFIG, else
# to a temporary file. Arguments are passed on.
set -eu
here=$(dirname "$0")
made=${ALERTMANAGER_CONFIG:-$(mktemp)}
if [ -n "${OTEL_AGENTS_ALERT_WEBHOOK:-}" ]; then
  # In a replacement & and \ mean something; an address holds no space, so that delimits.
  url=$(printf %s "$OTEL_AGENTS_ALERT_WEBHOOK" | sed 's/[&\]/\\&/g')
  sed "s http://127.0.0.1:9095/alerts $url " "$here/alertmanager.yaml" >"$made"
else
  sed 's/receiver: webhook/receiver: nobody/' "$here/alertmanager.yaml" >"$made"
fi
exec "${ALERTMANAGER_BIN:-alertmanager}" "--config.file=$made" "$@"
