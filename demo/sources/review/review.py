"""Meridian's review tools: each writes what it sees on a day as Stance's own JSON. Usage: review.py REPORTS-DIR.

A finding is a line: in which of the tool's runs it is seen ("12": the first and second), severity, asset, rule, and what it is about.
A rule says the rest: title, layer, categories, description, what to do.
"""

import json
import sys

LLM, ASI, MCP, ATLAS, CWE = "owasp-llm@2025:", "owasp-agentic@2026:", "owasp-mcp@0.1:", "atlas@5.6.0:", "cwe@4:CWE-"

RULES = {
    # data review
    "personal-data": ("{} in free text", "DATA", [LLM + "LLM02", ATLAS + "AML.T0057", CWE + "359"],
        "A sample of the data holds personal data that the purpose of the data set does not need.",
        "Mask it before it enters the data set, and rebuild what was trained or indexed from it."),
    "special-category": ("Health data: {}", "DATA", [LLM + "LLM02", ATLAS + "AML.T0057", CWE + "359"],
        "The data set holds data of a special category (GDPR article 9) without a recorded legal basis.",
        "Record the legal basis with the privacy office, or remove the fields."),
    "no-provenance": ("Source is not recorded: {}", "DATA", [LLM + "LLM03", LLM + "LLM04", ATLAS + "AML.T0010.002"],
        "Nobody can say where this part of the data comes from, so poisoning could not be noticed.",
        "Record the source and its digest in the catalogue."),
    "retention": ("Kept longer than allowed: {}", "DATA", [LLM + "LLM02"],
        "Rows are older than the retention period of the data set.", "Delete them, and schedule the deletion."),
    "write-access": ("Too many may write: {}", "DATA", [LLM + "LLM04", ATLAS + "AML.T0020"],
        "Whoever can write to the data can poison what is trained on it or retrieved from it.",
        "Leave writing to the pipeline's account; review changes as code."),
    "poisoned-passage": ("Passage that addresses the model: {}", "DATA", [LLM + "LLM08", LLM + "LLM01", ATLAS + "AML.T0070"],
        "A passage in the knowledge base holds instructions to the model instead of content; it ranks high for common questions.",
        "Remove the passage, find out who wrote it, and check new documents for instructions."),
    "stale-index": ("Index is older than its source: {}", "DATA", [LLM + "LLM09"],
        "Answers are grounded on documents that have changed since.", "Rebuild the index when a document changes."),
    "license": ("License of the data is unclear: {}", "DATA", [LLM + "LLM03"],
        "The data was taken from outside and its license is not recorded.", "Clarify the license, or replace the data."),
    "label-quality": ("Labels disagree: {}", "DATA", [LLM + "LLM04"],
        "A second review of a sample disagrees with the labels more often than the data set's quality gate allows.",
        "Review the labels of the annotator concerned."),
    "encryption": ("Stored without encryption: {}", "DATA", [CWE + "311"],
        "A copy of the data lies unencrypted.", "Encrypt the copy or delete it."),
    # MCP review
    "tool-poisoning": ("Tool description tells the agent to {}", "APPLICATION", [ASI + "ASI01", ASI + "ASI04", MCP + "MCP03", ATLAS + "AML.T0110"],
        "The description of a tool, which the model reads as trusted text, holds an instruction that has nothing to do with the tool.",
        "Withdraw the server's version, pin the digest of tool descriptions, and review changes of them."),
    "broad-scope": ("Token is too broad: {}", "APPLICATION", [ASI + "ASI03", MCP + "MCP02", LLM + "LLM06"],
        "The server's credential allows more than its tools need.", "Issue a credential with the scopes that the tools use."),
    "unscoped-path": ("Access is not confined: {}", "APPLICATION", [LLM + "LLM06", ASI + "ASI02", CWE + "22"],
        "A tool reaches files outside of the folder that its agents need.", "Resolve the path and refuse what is not under the folder."),
    "no-approval": ("No approval before {}", "APPLICATION", [LLM + "LLM06", ASI + "ASI02"],
        "An agent can do this without a person's consent.", "Ask for approval, or limit the amount and the number per hour."),
    "unpinned-server": ("Server is not pinned: {}", "APPLICATION", [ASI + "ASI04", MCP + "MCP04", LLM + "LLM03"],
        "The server is started in whatever version is the latest.", "Pin version and digest."),
    "no-auth": ("No authentication: {}", "APPLICATION", [MCP + "MCP07", CWE + "306"],
        "Whoever reaches the port can call the tools.", "Require a token, and bind to the local interface."),
    "changed-description": ("Tool description changed without review: {}", "APPLICATION", [ASI + "ASI04", MCP + "MCP03", ATLAS + "AML.T0109"],
        "The digest of the description differs from the approved one.", "Compare the texts and approve or withdraw."),
    "verbose-error": ("Errors reveal {}", "APPLICATION", [CWE + "209"],
        "An error message goes to the model with inner details.", "Return a code and log the details."),
    "role-too-wide": ("Database role can read {}", "APPLICATION", [ASI + "ASI03", LLM + "LLM06", CWE + "732"],
        "The role that agents use reads tables which no agent needs.", "Revoke the grant; give each agent its own role."),
    "no-rate-limit": ("No rate limit on {}", "APPLICATION", [LLM + "LLM10", ATLAS + "AML.T0034"],
        "A loop or an attacker can call it without bound.", "Limit calls per session and minute."),
    # prompt review
    "secret-in-prompt": ("System prompt contains {}", "APPLICATION", [LLM + "LLM07", LLM + "LLM02", ATLAS + "AML.T0056", CWE + "798"],
        "What stands in the system prompt can be brought out of the model.", "Remove it, revoke it, and let the tool hold it."),
    "rules-in-prompt": ("Rule is enforced by the prompt only: {}", "APPLICATION", [LLM + "LLM07", LLM + "LLM06"],
        "A subverted model ignores this rule, and nothing else enforces it.", "Enforce it in the tool."),
    "inner-names": ("System prompt names {}", "APPLICATION", [LLM + "LLM07"],
        "Inner names help an attacker who reads the prompt.", "Leave them out."),
    "no-owner-review": ("Prompt changed without review: {}", "APPLICATION", [LLM + "LLM01"],
        "The prompt in production has no approved review.", "Review it, and deploy prompts from the repository only."),
    # model review
    "no-card": ("Model card is missing: {}", "MODEL", [LLM + "LLM03", ATLAS + "AML.T0010.003"],
        "Intended use, training data and limits of the model are not written down.", "Write the card from the catalogue's template."),
    "unsigned": ("Model is not signed: {}", "MODEL", [LLM + "LLM03", ATLAS + "AML.T0010.003", CWE + "494"],
        "The files could be exchanged between training and serving without notice.", "Sign them in the training pipeline and verify before loading."),
    "drift": ("Quality drifts: {}", "MODEL", [LLM + "LLM09"],
        "The monthly evaluation is below the model's gate.", "Retrain, or fall back to the former version."),
    "bias": ("Outcome differs by group: {}", "MODEL", [LLM + "LLM04"],
        "The evaluation shows a difference between groups that the model's risk assessment does not justify.",
        "Examine features and thresholds with the actuaries."),
    "base-license": ("License of the base model: {}", "MODEL", [LLM + "LLM03"],
        "The license asks for something that is not done.", "Add the notice, or choose another base."),
    "end-of-life": ("Version is out of support: {}", "MODEL", [LLM + "LLM03"],
        "The provider withdraws this version.", "Move to the successor and repeat the evaluation."),
    "memorization": ("Model repeats its training data: {}", "MODEL", [LLM + "LLM02", ATLAS + "AML.T0057"],
        "Canary sentences from the training data come back verbatim.", "Deduplicate and mask the data, then fine-tune again."),
    # trace review
    "undeclared-tool": ("Agent calls {}, which no manifest declares", "RUNTIME", [ASI + "ASI02", ASI + "ASI10", LLM + "LLM06", ATLAS + "AML.T0053"],
        "Traces show calls of a tool that is not in the agent's manifest.", "Declare it after a review, or deny it at the gateway."),
    "outside-role": ("Query outside of its role: {}", "RUNTIME", [ASI + "ASI03", ASI + "ASI02"],
        "Traces show an access that the agent's purpose does not explain.", "Narrow the role; ask the team for the reason."),
    "data-leaves": ("Personal data leaves by {}", "RUNTIME", [LLM + "LLM02", ATLAS + "AML.T0086"],
        "Tool arguments that go out of the organization hold personal data.", "Redact arguments at the gateway, and limit the hosts."),
    "token-spike": ("Consumption far above normal: {}", "RUNTIME", [LLM + "LLM10", ATLAS + "AML.T0034"],
        "Tokens per hour were more than four times the weekly median.", "Limit tokens per session, and look for a loop."),
    "no-guardrail": ("Calls pass without guardrail: {}", "RUNTIME", [LLM + "LLM01"],
        "Part of the traffic does not go through the guardrail.", "Route it through the gateway."),
    "loop": ("Agents call each other in a loop: {}", "RUNTIME", [ASI + "ASI08", LLM + "LLM10"],
        "Traces show the same pair of agents alternate without an end.", "Limit the depth of delegation."),
    "prompt-echo": ("Answer repeats the system prompt: {}", "RUNTIME", [LLM + "LLM07", ATLAS + "AML.T0056"],
        "Passages of the system prompt stand in answers to users.", "Filter outputs for them, and keep secrets out of the prompt."),
    "plain-http": ("Traffic without TLS: {}", "RUNTIME", [CWE + "319"],
        "Prompts and answers cross the network in clear text.", "Use TLS between services."),
    "failed-calls": ("Tool calls fail often: {}", "RUNTIME", [ASI + "ASI08"],
        "More than a tenth of the calls fail, and the agent retries.", "Repair the tool, and let the agent give up after two attempts."),
}

D, K, M, A, S, T, P, X = "DATASET", "KNOWLEDGE_BASE", "MODEL", "AGENT", "MCP_SERVER", "TOOL", "PROMPT", "APPLICATION"
C, H, MED, LOW, INFO = "CRITICAL", "HIGH", "MEDIUM", "LOW", "INFO"

TOOLS = {
    "meridian-data-review": ("2.3.0", "DATA", [(D, "customer-notes"), (D, "claims-history"), (D, "call-transcripts"), (D, "policy-documents"), (D, "fraud-labels"), (D, "broker-emails"), (D, "payroll-extract"), (K, "kb-policies"), (K, "kb-claims-handbook"), (K, "kb-hr")], [
        ("12", H, D, "customer-notes", "personal-data", "E-mail addresses and phone numbers"),
        ("123", MED, D, "customer-notes", "personal-data", "Bank account numbers"),
        ("123", MED, D, "customer-notes", "retention", "18 months over, 41,200 rows"),
        ("123", LOW, D, "customer-notes", "no-provenance", "batch import of the former ticket system"),
        ("3", MED, D, "customer-notes", "encryption", "nightly copy for the analytics team"),
        ("123", MED, D, "claims-history", "special-category", "diagnosis texts in 2.1 % of claims"),
        ("12", MED, D, "claims-history", "write-access", "four teams hold the writer role"),
        ("123", LOW, D, "claims-history", "retention", "closed claims of 2011 to 2013"),
        ("123", LOW, D, "claims-history", "label-quality", "severity labels, 9 % of a sample of 500"),
        ("123", MED, D, "call-transcripts", "personal-data", "Names and policy numbers"),
        ("123", MED, D, "call-transcripts", "special-category", "illness mentioned in 6 of 200 calls"),
        ("1", MED, D, "call-transcripts", "encryption", "raw audio on the transcription host"),
        ("123", LOW, D, "call-transcripts", "license", "vendor's sample calls mixed in"),
        ("123", LOW, D, "fraud-labels", "label-quality", "one investigator's labels, 14 %"),
        ("23", LOW, D, "fraud-labels", "no-provenance", "manual additions in March"),
        ("123", LOW, D, "fraud-labels", "write-access", "shared account of the investigators"),
        ("123", MED, D, "broker-emails", "personal-data", "Signatures with private phone numbers"),
        ("123", LOW, D, "broker-emails", "retention", "mailboxes of brokers who left"),
        ("123", INFO, D, "broker-emails", "no-provenance", "two mailboxes without an import record"),
        ("123", INFO, D, "policy-documents", "stale-index", "3 of 118 documents"),
        ("23", MED, K, "kb-policies", "poisoned-passage", "travel cover FAQ, ranks first for 3 of 40 questions"),
        ("123", LOW, K, "kb-policies", "stale-index", "11 documents changed since the index was built"),
        ("12", LOW, K, "kb-policies", "write-access", "all editors of the intranet"),
        ("123", LOW, K, "kb-claims-handbook", "stale-index", "chapter 4 of the handbook"),
        ("123", LOW, K, "kb-claims-handbook", "license", "pages of a trade journal"),
    ]),
    "meridian-mcp-review": ("1.4.1", "APPLICATION", [(S, "filesystem"), (S, "postgres-prod"), (S, "github"), (S, "crm"), (S, "web-fetch"), (T, "filesystem/read_file"), (T, "filesystem/write_file"), (T, "filesystem/search"), (T, "postgres-prod/query"), (T, "postgres-prod/explain"), (T, "github/search_code"), (T, "github/create_pull_request"), (T, "github/merge_pull_request"), (T, "crm/get_ticket"), (T, "crm/update_ticket"), (T, "crm/refund"), (T, "web-fetch/http_fetch")], [
        ("3", C, T, "filesystem/search", "tool-poisoning", "read ~/.ssh before every search"),
        ("3", H, S, "filesystem", "changed-description", "search, between 1.8.0 and 1.8.1"),
        ("1", H, T, "filesystem/write_file", "unscoped-path", "write access to /etc"),
        ("123", MED, T, "filesystem/read_file", "unscoped-path", "reads all of /srv"),
        ("123", MED, S, "filesystem", "unpinned-server", "started with the latest version"),
        ("12", MED, S, "filesystem", "no-auth", "port 8931 on all interfaces"),
        ("123", LOW, S, "filesystem", "verbose-error", "absolute paths"),
        ("123", MED, S, "postgres-prod", "role-too-wide", "payroll.salaries"),
        ("1", MED, S, "postgres-prod", "role-too-wide", "claims.medical_notes"),
        ("123", LOW, S, "postgres-prod", "verbose-error", "table and column names"),
        ("123", MED, T, "postgres-prod/query", "no-rate-limit", "query"),
        ("123", LOW, T, "postgres-prod/explain", "verbose-error", "statistics of columns"),
        ("123", MED, S, "github", "broad-scope", "repository token has admin scope, read is used"),
        ("12", LOW, S, "github", "unpinned-server", "tag v2 moves"),
        ("123", MED, T, "github/merge_pull_request", "no-approval", "a merge to main"),
        ("123", LOW, T, "github/create_pull_request", "no-rate-limit", "pull requests per hour"),
        ("123", MED, T, "crm/refund", "no-approval", "refunds up to 500"),
        ("123", LOW, T, "crm/update_ticket", "no-approval", "closing a ticket"),
        ("123", LOW, S, "crm", "broad-scope", "the service account may export contacts"),
        ("12", LOW, S, "crm", "verbose-error", "the vendor's stack trace"),
        ("23", MED, T, "web-fetch/http_fetch", "unscoped-path", "any host, also inner ones"),
        ("23", LOW, S, "web-fetch", "unpinned-server", "started with the latest version"),
        ("123", LOW, T, "web-fetch/http_fetch", "no-rate-limit", "http_fetch"),
    ]),
    "meridian-prompt-review": ("0.9.2", "APPLICATION", [(P, "support-agent/system"), (P, "finance-copilot/system"), (P, "claims-triage/system"), (P, "broker-chat/system"), (P, "hr-assistant/system")], [
        ("1", H, P, "support-agent/system", "secret-in-prompt", "a key of the payment service"),
        ("123", MED, P, "support-agent/system", "rules-in-prompt", "refunds only with a ticket"),
        ("3", MED, P, "support-agent/system", "no-owner-review", "v41"),
        ("123", LOW, P, "support-agent/system", "inner-names", "hosts of the CRM and of the mail relay"),
        ("123", MED, P, "finance-copilot/system", "rules-in-prompt", "no salaries in answers"),
        ("12", LOW, P, "finance-copilot/system", "inner-names", "schemas of the ledger"),
        ("23", LOW, P, "finance-copilot/system", "no-owner-review", "v8"),
        ("123", LOW, P, "broker-chat/system", "inner-names", "discount tiers"),
        ("123", MED, P, "broker-chat/system", "rules-in-prompt", "discounts above 10 % need a person"),
        ("123", LOW, P, "hr-assistant/system", "inner-names", "the payroll system"),
    ]),
    "meridian-model-review": ("3.0.0", "MODEL", [(M, "llama-3-8b-support-ft"), (M, "llama-3-8b-instruct"), (M, "invoice-ocr-v2"), (M, "fraud-scorer-xgb"), (M, "claims-severity-gbm"), (M, "policy-reranker"), (M, "hosted-gpt-4o"), (M, "embedding-bge-small")], [
        ("123", MED, M, "llama-3-8b-support-ft", "unsigned", "pushed to the registry without signature"),
        ("123", MED, M, "llama-3-8b-support-ft", "memorization", "4 of 50 canaries"),
        ("12", LOW, M, "llama-3-8b-support-ft", "no-card", "no section on training data"),
        ("123", LOW, M, "llama-3-8b-support-ft", "base-license", "the notice of the base model is not shown"),
        ("123", LOW, M, "invoice-ocr-v2", "no-card", "license and training data"),
        ("123", MED, M, "invoice-ocr-v2", "unsigned", "converted by hand"),
        ("23", MED, M, "fraud-scorer-xgb", "drift", "recall 0.71, gate 0.75"),
        ("123", LOW, M, "fraud-scorer-xgb", "unsigned", "the pickle has no signature"),
        ("123", MED, M, "claims-severity-gbm", "bias", "age above 70, calibration 0.82"),
        ("1", LOW, M, "claims-severity-gbm", "drift", "error of the monthly evaluation 8 % up"),
        ("123", LOW, M, "claims-severity-gbm", "no-card", "limits of use"),
        ("123", LOW, M, "policy-reranker", "no-card", "no card at all"),
        ("23", MED, M, "hosted-gpt-4o", "end-of-life", "withdrawn at the end of the quarter"),
        ("123", INFO, M, "embedding-bge-small", "base-license", "attribution in the notice file"),
    ]),
    "meridian-trace-review": ("1.1.0", "RUNTIME", [(A, "support-agent"), (A, "finance-copilot"), (A, "code-review-agent"), (A, "claims-triage-agent"), (A, "fraud-review-agent"), (A, "broker-chat"), (S, "filesystem"), (S, "postgres-prod"), (S, "github"), (S, "crm"), (X, "policy-search"), (X, "fraud-monitor")], [
        ("3", H, A, "support-agent", "undeclared-tool", "http_fetch"),
        ("3", MED, A, "support-agent", "prompt-echo", "4 of 9,120 answers"),
        ("12", MED, A, "support-agent", "no-guardrail", "the mobile app's traffic"),
        ("123", LOW, A, "support-agent", "token-spike", "sessions with long attachments"),
        ("123", LOW, A, "support-agent", "failed-calls", "crm/get_ticket"),
        ("3", H, A, "finance-copilot", "outside-role", "payroll.salaries, 7 times"),
        ("123", LOW, A, "finance-copilot", "token-spike", "month-end"),
        ("12", MED, A, "finance-copilot", "data-leaves", "prompts to the hosted model"),
        ("123", MED, A, "code-review-agent", "undeclared-tool", "shell"),
        ("1", LOW, A, "code-review-agent", "token-spike", "a repository with generated files"),
        ("123", LOW, A, "claims-triage-agent", "failed-calls", "the handler's web hook"),
        ("23", MED, A, "claims-triage-agent", "loop", "with fraud-review-agent, 31 rounds"),
        ("123", LOW, A, "broker-chat", "no-guardrail", "quotes through the partner interface"),
        ("123", LOW, S, "postgres-prod", "failed-calls", "query, 12 % time out"),
        ("12", MED, S, "filesystem", "plain-http", "agents on the other site"),
        ("123", LOW, S, "crm", "plain-http", "the connector's inner hop"),
        ("3", LOW, X, "policy-search", "token-spike", "a crawler found the search page"),
        ("123", INFO, X, "fraud-monitor", "failed-calls", "night batch"),
    ]),
}

LAST = 3


def report(tool, run):
    version, layer, assessed, findings = TOOLS[tool]
    out = []
    for runs, severity, kind, key, rule, about in findings:
        if str(run) not in runs:
            continue
        title, rule_layer, categories, description, remediation = RULES[rule]
        out.append({
            "asset": {"kind": kind, "key": key}, "rule": rule, "title": title.format(about), "severity": severity, "layer": rule_layer,
            "description": description, "remediation": remediation, "categories": categories, "identity": [about],
        })
    return {
        "stance": "findings/1", "tool": {"name": tool, "version": version}, "scan": "weekly" if tool == "meridian-trace-review" else "review",
        "layers": [layer], "assessed": [{"kind": kind, "key": key} for kind, key in assessed], "findings": out,
    }


if __name__ == "__main__":
    for tool in TOOLS:
        for run in range(1, LAST + 1):
            with open(f"{sys.argv[1]}/{tool}-{run}.json", "w") as file:
                json.dump(report(tool, run), file, indent=1)
