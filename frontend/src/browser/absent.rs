//! The browser's functions where there is no browser.

use leptos::ev;

use super::UploadEvent;
use crate::url::Params;

/// See the browser's function of the same name.
pub fn keep(_: &str, _: &str) {}
/// See the browser's function of the same name.
#[must_use]
pub fn recall(_: &str) -> Option<String> {
    None
}
/// See the browser's function of the same name.
pub fn navigate(_: &str) {}
/// See the browser's function of the same name.
pub fn navigate_in_place(_: &str) {}
/// See the browser's function of the same name.
pub fn leave(_: &str) {}
/// See the browser's function of the same name.
pub fn toggle_theme() {}
/// See the browser's function of the same name.
pub fn focus(_: &'static str) {}
/// See the browser's function of the same name.
pub fn toggle_details(_: &'static str) {}
/// See the browser's function of the same name.
pub fn close_menus() {}
/// See the browser's function of the same name.
#[must_use]
pub fn form(_: &ev::SubmitEvent) -> Params {
    Params::default()
}
/// See the browser's function of the same name.
#[must_use]
pub fn checked_rows() -> Vec<String> {
    Vec::new()
}
/// See the browser's function of the same name.
pub fn check_all_rows(_: bool) {}
/// See the browser's function of the same name.
pub fn extend_selection(_: &ev::MouseEvent) {}
/// See the browser's function of the same name.
#[must_use]
pub fn current_row() -> Option<String> {
    None
}
/// See the browser's function of the same name.
pub fn move_row(_: i32) -> Option<String> {
    None
}
/// See the browser's function of the same name.
pub fn restore_row(_: String) {}
/// See the browser's function of the same name.
pub fn toggle_row() {}
/// See the browser's function of the same name.
pub fn later(_: u64, _: impl FnOnce() + 'static) {}
/// See the browser's function of the same name.
#[must_use]
pub fn plain_key(_: &ev::KeyboardEvent) -> Option<String> {
    None
}

/// A file that nobody can choose.
#[derive(Clone)]
pub struct File;
/// See the browser's function of the same name.
#[must_use]
pub fn dropped(_: &ev::DragEvent) -> Vec<File> {
    Vec::new()
}
/// See the browser's function of the same name.
#[must_use]
pub fn chosen(_: &ev::Event) -> Vec<File> {
    Vec::new()
}
/// See the browser's function of the same name.
#[must_use]
pub fn describe(_: &File) -> (String, String) {
    Default::default()
}
/// See the browser's function of the same name.
pub fn upload(_: &File, _: &str, _: impl Fn(UploadEvent) + 'static) {}
/// See the browser's function of the same name.
pub fn copy_link(_: &str) {}
/// See the browser's function of the same name.
pub fn open_row(_: &ev::MouseEvent) {}
/// See the browser's function of the same name.
pub fn reset(_: &ev::SubmitEvent) {}
