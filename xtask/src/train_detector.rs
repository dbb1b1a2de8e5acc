//! The weights of the guardrail's model, from the texts of the data card and from our own generators.

use anyhow::{Result, ensure};
use std::process::Command;

use crate::shell::{self, step};

/// Writes `weights.bin` anew. The same texts and sources give the same bytes.
pub fn run() -> Result<()> {
    let texts = shell::root().join("../shared/detect");
    ensure!(
        texts.join("train.jsonl").is_file(),
        "{} is missing: the texts that the model learns from are attacks by nature and not part of the repository",
        texts.join("train.jsonl").display()
    );
    step("trainer", || shell::run(&mut shell::cargo(["build", "--release", "--package", "stance-trainer"])))?;
    let data = shell::root().join("backend/engine/src/guardrail/data");
    step("weights", || {
        shell::run(
            Command::new(shell::target_dir()?.join("release/stance-trainer")).args([texts.clone(), data.clone()]),
        )
    })
}
