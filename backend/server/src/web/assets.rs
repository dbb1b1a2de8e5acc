//! The dashboard's files, embedded in the binary and served under a path that names their content.

use crate::{app::AppState, kernel::crypto::sha256};
use axum::{
    Router,
    body::Body,
    extract::Path,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use rust_embed::{EmbeddedFile, RustEmbed};
use std::{borrow::Cow, sync::LazyLock};

#[derive(RustEmbed)]
#[folder = "../../target/site"]
struct Site;

/// Changes with any of the files.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut names: Vec<_> = Site::iter().collect();
    names.sort();
    let hashes = names.iter().filter_map(|name| Some((name, Site::get(name)?.metadata.sha256_hash())));
    let all: Vec<u8> = hashes.flat_map(|(name, hash)| [name.as_bytes(), &hash].concat()).collect();
    hex::encode(&sha256(all)[..8])
});

/// The style sheets, in the order of their cascade layers.
pub const STYLES: [&str; 4] = ["css/tokens.css", "css/base.css", "css/components.css", "css/pages.css"];

/// Where a file is found; its address changes with its content, so browsers may keep it for ever.
#[must_use]
pub fn url(path: &str) -> String {
    format!("/site/{}/{path}", *VERSION)
}

pub fn router() -> Router<AppState> {
    Router::new().route("/site/{version}/{*path}", get(serve))
}

async fn serve(Path((version, path)): Path<(String, String)>, headers: HeaderMap) -> Response {
    let Some(file) = Site::get(&path).filter(|_| !path.ends_with(".br")) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    // A page from before an upgrade asks for an older version; it gets what there is, but must not keep it.
    let current = version == *VERSION;
    let cache = if current { "public, max-age=31536000, immutable" } else { "no-cache" };
    let compressed = Site::get(&format!("{path}.br")).filter(|_| accepts_brotli(&headers));
    let encoded = compressed.is_some();
    let EmbeddedFile { data, metadata } = compressed.unwrap_or(file);
    let etag = format!("\"{}\"", hex::encode(&metadata.sha256_hash()[..16]));

    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut response =
        if known.flat_map(|value| value.split(',')).any(|tag| tag.trim().trim_start_matches("W/") == etag) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            let body = match data {
                Cow::Borrowed(bytes) => Body::from(bytes),
                Cow::Owned(bytes) => Body::from(bytes),
            };
            ([(header::CONTENT_TYPE, content_type(&path))], body).into_response()
        };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if encoded {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("br"));
    }
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(header::ETAG, etag);
    }
    response
}

fn accepts_brotli(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim() == "br" && weight.trim().trim_start_matches("q=").parse::<f32>().unwrap_or(1.0) > 0.0
    })
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        Some("woff2") => "font/woff2",
        Some("png") => "image/png",
        Some("json" | "webmanifest") => "application/json",
        Some("md" | "txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brotli_is_sent_to_those_who_want_it() {
        for (value, wanted) in
            [("gzip, br", true), ("br;q=1.0", true), ("br;q=0", false), ("gzip", false), ("*", false)]
        {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))]);
            assert_eq!(accepts_brotli(&headers), wanted, "{value}");
        }
    }
}
