//! Commands that need no database: they talk to a server over its API, as anybody else would, or to none at all.

use std::io::Write as _;

pub mod detect;
mod dry_run;
pub mod gate;
pub mod import;

/// Text of a report without control characters: a terminal would obey them.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

fn print(line: &str) {
    // Whoever closed the pipe wants no more.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
