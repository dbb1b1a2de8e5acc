//! Text from outside: bounded, and without characters that the database or a terminal would choke on.

use super::{Error, Result};

/// One line of 1 to `max` characters, trimmed.
///
/// # Errors
/// `BAD_INPUT` naming the field.
pub fn line(field: &str, text: &str, max: usize) -> Result<String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > max || text.chars().any(char::is_control) {
        return Err(Error::field(field, format!("must be one line of 1 to {max} characters")));
    }
    Ok(text.to_owned())
}

/// Several lines of at most `max` characters, trimmed; may be empty.
///
/// # Errors
/// `BAD_INPUT` naming the field.
pub fn lines(field: &str, text: &str, max: usize) -> Result<String> {
    let text = text.trim();
    if text.chars().count() > max || text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return Err(Error::field(field, format!("must be at most {max} characters, without control characters")));
    }
    Ok(text.to_owned())
}

/// What a person searches for, as a pattern for `LIKE` and `ILIKE` that finds it anywhere; `None` when nothing is left of it.
/// `%`, `_` and `\` stand for themselves.
///
/// # Errors
/// `BAD_INPUT` naming the field when it is longer than 200 characters.
pub fn search(field: &str, text: &str) -> Result<Option<String>> {
    if text.chars().count() > 200 || text.contains('\0') {
        return Err(Error::field(field, "must be at most 200 characters"));
    }
    let text = text.trim().replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
    Ok((!text.is_empty()).then(|| format!("%{text}%")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_trimmed_bounded_and_free_of_control_characters() {
        assert_eq!(line("name", "  Ünï  ", 3).unwrap(), "Ünï");
        for text in ["", " ", "abcd", "a\0", "a\nb", "\u{1b}[31m"] {
            assert_eq!(line("name", text, 3).unwrap_err().fields[0].field, "name", "{text:?}");
        }
        assert_eq!(lines("reason", "a\nb", 3).unwrap(), "a\nb");
        assert!(lines("reason", "\0", 3).is_err());
    }

    #[test]
    fn wildcards_stand_for_themselves() {
        assert_eq!(search("search", r" 100%_\ ").unwrap().unwrap(), r"%100\%\_\\%");
        assert_eq!(search("search", "  ").unwrap(), None);
        assert!(search("search", &"x".repeat(201)).is_err());
    }
}
