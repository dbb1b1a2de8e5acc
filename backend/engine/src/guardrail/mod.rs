//! The detection engine.

pub mod lexicon;
pub mod model;
pub mod text;
