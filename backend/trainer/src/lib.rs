//! Makes the weights of the guardrail's model, and measures how well it does on sources that it never saw.

pub mod data;
pub mod encode;
pub mod evaluate;
pub mod fit;
pub mod grammar;
pub mod make;
pub mod mix;
pub mod rotate;
pub mod trees;
