//! The parts that pages are made of. Functions, not Leptos components: they have no state, and erased views keep the browser's module small.

mod controls;
mod risk;
mod states;
mod table;
mod text;
mod time;

pub use controls::*;
pub use risk::*;
pub use states::*;
pub use table::*;
pub use text::*;
pub use time::*;
