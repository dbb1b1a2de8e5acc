#!/bin/sh
# Scans one version of one model: run.sh MODEL VERSION; writes ../../reports/modelscan-MODEL-VERSION.json.
set -eu
cd "$(dirname "$0")"
reports=$(cd ../../reports && pwd)
rm -rf /tmp/meridian-models
python3 make.py /tmp/meridian-models
cd "/tmp/meridian-models/$2"
# 0 clean, 1 issues, 2 errors, 3 nothing that it could scan: each of them leaves a report.
"${MODELSCAN:-modelscan}" -p "$1" -r json -o "$reports/modelscan-$1-$2.json" --show-skipped >/dev/null 2>&1 || test $? -le 3
