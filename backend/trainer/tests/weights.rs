//! The committed weights are what the trainer makes from the texts, and the model card is about them.

use stance_engine::guardrail::Detector;
use stance_trainer::make::{Engine, Texts};
use std::path::Path;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../engine/src/guardrail/data");

#[test]
fn the_weights_are_made_by_this_code_from_these_texts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/detect");
    if !folder.join("train.jsonl").is_file() {
        eprintln!("skipped: {} is not there", folder.display());
        return;
    }
    let version = Texts::open(&folder).unwrap().version(&Engine::open(Path::new(DATA)).unwrap());
    let committed = Detector::new().unwrap().model.version;
    assert_eq!(committed, version, "the texts or what is made of them changed: run `cargo xtask train-detector`");
}

#[test]
fn the_model_card_is_about_these_weights() {
    let card = std::fs::read_to_string(Path::new(DATA).join("MODEL_CARD.md")).unwrap();
    let version = Detector::new().unwrap().model.version;
    assert!(card.contains(&version), "MODEL_CARD.md does not name {version}: measure anew and renew its figures");
}
