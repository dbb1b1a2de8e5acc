#!/bin/sh
# Attacks one profile of agent.py with garak: run.sh PROFILE PROBES; writes ../../reports/garak-PROFILE.report.jsonl.gz.
# A run that breaks off leaves the report as far as it came; that is one of the demo's cases.
set -eu
cd "$(dirname "$0")"
export XDG_DATA_HOME=/tmp/garak XDG_CACHE_HOME=/tmp/garak XDG_CONFIG_HOME=/tmp/garak HF_HUB_OFFLINE=1
rm -f "/tmp/garak/reports/$1".*
python3 agent.py "$1" 8899 &
agent=$!
trap 'kill "$agent"' EXIT
until python3 -c 'import socket; socket.create_connection(("127.0.0.1", 8899)).close()' 2>/dev/null; do sleep 0.1; done
"${GARAK:-garak}" --config garak.yaml -t rest -G rest.json --probes "$2" --report_prefix "$1" >"/tmp/garak/$1.log" 2>&1 || echo "garak broke off on $1, see /tmp/garak/$1.log"
gzip -9n <"/tmp/garak/reports/$1.report.jsonl" >"../../reports/garak-$1.report.jsonl.gz"
