//! `cargo xtask train-detector`: makes `backend/engine/src/guardrail/data/weights.bin`.

use anyhow::{Context as _, Result};
use stance_trainer::make::{self, Corpus, Engine, Texts};
use std::{io::Write as _, path::PathBuf, time::Instant};

fn main() -> Result<()> {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let texts =
        args.next().context("usage: stance-trainer TEXTS DATA, the folders of train.jsonl and of lexicon.toml")?;
    let data = args.next().context("usage: stance-trainer TEXTS DATA")?;
    let begin = Instant::now();
    let mut err = std::io::stderr();
    let engine = Engine::open(&data)?;
    let texts = Texts::open(&texts)?;
    let version = texts.version(&engine);
    let corpus = Corpus::of(&texts, &engine);
    let (train, own) = (corpus.train.len(), corpus.own.len());
    writeln!(err, "{:>5.0} s  {train} texts and {own} of our own read", begin.elapsed().as_secs_f32())?;
    let trials = corpus.trials(|group| {
        let _ = writeln!(std::io::stderr(), "{:>5.0} s  without {group}", begin.elapsed().as_secs_f32());
    });
    let bytes = make::model(&corpus, &trials, &engine, version.clone()).to_bytes();
    std::fs::write(data.join("weights.bin"), &bytes)?;
    writeln!(err, "{:>5.0} s  weights {version}, {} bytes", begin.elapsed().as_secs_f32(), bytes.len())?;
    Ok(())
}
