#!/bin/sh
# Scans one version of one program: run.sh PROGRAM VERSION; writes ../../reports/{bandit,semgrep}-PROGRAM-VERSION.sarif.
# The version is copied to an empty folder first, so that both versions' findings have the same paths.
set -eu
cd "$(dirname "$0")"
reports=$(cd ../../reports && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
package=$(echo "$1" | tr - _)
cp -r "$1/$2" "$work/$package"
cp ../semgrep.yml "$work/rules.yml"
cd "$work"
"${BANDIT:-bandit}" -q -r "$package" -f sarif -o bandit.sarif --exit-zero
"${SEMGREP:-semgrep}" scan -q --config rules.yml --metrics off --disable-version-check --no-git-ignore --jobs 1 --sarif-output semgrep.sarif "$package" >/dev/null
python3 - "$reports" "$1-$2" <<'PY'
# Compact JSON and nothing else: the reports are embedded in the binary.
import json, sys
for tool in ("bandit", "semgrep"):
    with open(f"{tool}.sarif") as file:
        report = json.load(file)
    with open(f"{sys.argv[1]}/{tool}-{sys.argv[2]}.sarif", "w") as file:
        json.dump(report, file, separators=(",", ":"))
PY
