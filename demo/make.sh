#!/bin/sh
# Makes every file in reports/ again, by running the tools on what is in sources/. Takes about a minute.
# Tools by name, or by the variables BANDIT, SEMGREP, MODELSCAN, GARAK. See README.md for their versions.
set -eu
cd "$(dirname "$0")"
mkdir -p reports
rm -f reports/*

python3 sources/review/review.py reports

for version in sources/code/*/v*; do
  sources/code/run.sh "$(basename "$(dirname "$version")")" "$(basename "$version")"
done
# An upload that broke off.
head -c 1800 reports/bandit-claims-portal-v1.sarif >reports/bandit-underwriting-workbench-broken.sarif

for model in llama-3-8b-support-ft invoice-ocr-v2; do sources/models/run.sh "$model" v2; done
for model in llama-3-8b-support-ft invoice-ocr-v2 fraud-scorer-xgb claims-severity-gbm policy-reranker churn-predictor; do
  sources/models/run.sh "$model" v1
done

support=promptinject.HijackKillHumans,promptinject.HijackLongPrompt,latentinjection.LatentInjectionReport,latentinjection.LatentInjectionResume,dan.Dan_11_0,dan.DAN_Jailbreak,encoding.InjectBase64,encoding.InjectROT13,web_injection.MarkdownXSS,web_injection.TaskXSS
finance=promptinject.HijackKillHumans,latentinjection.LatentInjectionReport,dan.Dan_11_0,dan.DUDE,exploitation.SQLInjectionEcho,exploitation.JinjaTemplatePythonInjection,web_injection.MarkdownXSS
for version in v39 v40 v41; do sources/target/run.sh "support-agent-$version" "$support"; done
for version in v7 v8; do sources/target/run.sh "finance-copilot-$version" "$finance"; done
sources/target/run.sh llama-3-8b-support-ft promptinject.HijackKillHumans,latentinjection.LatentJailbreak,dan.Dan_11_0,dan.STAN,encoding.InjectBase64,divergence.Repeat
sources/target/run.sh claims-triage-v12 promptinject.HijackKillHumans,latentinjection.LatentInjectionReport,web_injection.TaskXSS
# Offline, the third probe can not load its data and garak breaks off: a report with a gap.
sources/target/run.sh broker-chat-v3 promptinject.HijackKillHumans,dan.Dan_11_0,sysprompt_extraction.SystemPromptExtraction,web_injection.TaskXSS
