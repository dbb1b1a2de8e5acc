//! Uploads with progress. `fetch` cannot tell how much it has sent, `XMLHttpRequest` can.

use std::rc::Rc;

use leptos::ev;
use send_wrapper::SendWrapper;
use serde_json::Value;
use wasm_bindgen::{JsCast, closure::Closure};
use web_sys::{FileList, HtmlInputElement, ProgressEvent, XmlHttpRequest};

use super::UploadEvent;
use crate::{format, url::Params};

/// A file that the reader chose. Signals want what could move between threads; the browser has one.
#[derive(Clone)]
pub struct File(SendWrapper<web_sys::File>);

fn list(files: Option<FileList>) -> Vec<File> {
    let Some(files) = files else { return Vec::new() };
    (0..files.length()).filter_map(|i| Some(File(SendWrapper::new(files.get(i)?)))).collect()
}

/// The files that were dropped.
#[must_use]
pub fn dropped(event: &ev::DragEvent) -> Vec<File> {
    list(event.data_transfer().and_then(|data| data.files()))
}

/// The files that were chosen; the field is emptied, so that the same file can be chosen again.
#[must_use]
pub fn chosen(event: &ev::Event) -> Vec<File> {
    let Some(input) = event.target().and_then(|t| t.dyn_into::<HtmlInputElement>().ok()) else { return Vec::new() };
    let files = list(input.files());
    input.set_value("");
    files
}

/// A file's name and size, for the reader.
#[must_use]
pub fn describe(file: &File) -> (String, String) {
    #[expect(clippy::cast_possible_truncation, reason = "a file's size is a whole number")]
    (file.0.name(), format::bytes(file.0.size() as i64))
}

/// Sends a report and tells how it goes; `asset` is what it is about, or empty.
pub fn upload(file: &File, asset: &str, on_event: impl Fn(UploadEvent) + 'static) {
    let on_event = Rc::new(on_event);
    let refused = |message: &str| UploadEvent::Refused(message.to_owned());
    let Ok(request) = XmlHttpRequest::new() else { return on_event(refused("The browser cannot upload.")) };
    let query = Params::default().with("format", "auto").with("filename", &file.0.name()).with("asset", asset.trim());
    let url = query.on("/api/v1/reports");
    if request.open("POST", &url).is_err() {
        return on_event(refused("The browser cannot upload."));
    }
    let _ = request.set_request_header("content-type", "application/octet-stream");

    let progress = Rc::clone(&on_event);
    let on_progress = Closure::<dyn Fn(ProgressEvent)>::new(move |event: ProgressEvent| {
        progress(UploadEvent::Sent(event.loaded(), event.total()))
    });
    if let Ok(upload) = request.upload() {
        upload.set_onprogress(Some(on_progress.as_ref().unchecked_ref()));
    }
    let answered = request.clone();
    let on_end = Closure::<dyn Fn()>::new(move || {
        let text = answered.response_text().ok().flatten().unwrap_or_default();
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        // RFC 9457 has a refusal's sentence in `detail`, or at least a `title`.
        let word = |name: &str| answer.get(name).and_then(Value::as_str).map(str::to_owned);
        let status = answered.status().unwrap_or_default();
        on_event(match (status, word("reportId")) {
            (200..300, Some(id)) => UploadEvent::Accepted(id),
            (0, _) => UploadEvent::Refused("The connection broke before the report was accepted.".into()),
            _ => UploadEvent::Refused(
                word("detail")
                    .or_else(|| word("title"))
                    .unwrap_or_else(|| format!("The server answered with status {status}.")),
            ),
        });
    });
    request.set_onloadend(Some(on_end.as_ref().unchecked_ref()));
    let _ = request.send_with_opt_blob(Some(&file.0));
    // The closures belong to a request that ends by itself; there is one pair for each upload.
    on_progress.forget();
    on_end.forget();
}
