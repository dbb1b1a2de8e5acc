//! An operation with a file, by the GraphQL multipart request specification: `operations`, `map`, then the file.
//!
//! Our own reading, because async-graphql's bounds `operations`, which it holds in memory, by the size of a file.

use crate::{
    imports::Limits,
    kernel::{Error, Kind, Result},
    web::limits::BODY,
};
use async_graphql::{BatchRequest, UploadValue};
use axum::extract::{
    FromRequest as _, Multipart, Request,
    multipart::{Field, MultipartError, MultipartRejection},
};
use serde::de::DeserializeOwned;
use std::{collections::HashMap, fmt::Display};
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _};

/// The largest file here; larger reports go by REST, which stores them as they come.
const FILE: u64 = 256 * 1024 * 1024;

/// Reads the form.
///
/// # Errors
/// `BAD_INPUT` when it is not as the specification says; `TOO_LARGE`, also when the file is larger than `limits` allow.
pub async fn read(request: Request, limits: Limits) -> Result<BatchRequest> {
    let mut form = Multipart::from_request(request, &()).await.map_err(|error: MultipartRejection| wrong(error))?;
    let mut operations: BatchRequest = part(&mut form, "operations").await?;
    let map: HashMap<String, Vec<String>> = part(&mut form, "map").await?;
    if map.len() > 1 {
        return Err(wrong("it has more than one file"));
    }
    while let Some(field) = form.next_field().await.map_err(broken)? {
        let name = field.name().unwrap_or_default().to_owned();
        let paths = map.get(&name).ok_or_else(|| wrong(format_args!("the part {name:?} is not in `map`")))?;
        let upload = file(field, limits).await?;
        let BatchRequest::Single(operation) = &mut operations else { break };
        for path in paths {
            operation.set_upload(path, upload.try_clone().map_err(Error::internal)?);
        }
    }
    Ok(operations)
}

/// The next part, which must have this name and hold JSON.
async fn part<T: DeserializeOwned>(form: &mut Multipart, name: &str) -> Result<T> {
    let field = form.next_field().await.map_err(broken)?.filter(|field| field.name() == Some(name));
    let mut field = field.ok_or_else(|| wrong("its parts must be `operations`, `map` and the file, in this order"))?;
    let mut json = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(broken)? {
        if json.len() + chunk.len() > BODY {
            return Err(Error::new(Kind::TooLarge, format!("The part `{name}` may have at most {BODY} bytes.")));
        }
        json.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&json).map_err(|error| wrong(format_args!("`{name}`: {error}")))
}

/// Writes the file beside, so that it is never held in memory.
async fn file(mut field: Field<'_>, limits: Limits) -> Result<UploadValue> {
    let filename = field.file_name().unwrap_or_default().to_owned();
    let content_type = field.content_type().map(str::to_owned);
    let mut content = tokio::fs::File::from_std(tempfile::tempfile().map_err(Error::internal)?);
    let mut bytes = 0;
    while let Some(chunk) = field.chunk().await.map_err(broken)? {
        bytes += chunk.len() as u64;
        limits.admit(bytes)?;
        if bytes > FILE {
            let message = format!(
                "A file may have {} MiB here. Send it to POST /api/v1/reports, which takes any size.",
                FILE >> 20
            );
            return Err(Error::new(Kind::TooLarge, message));
        }
        content.write_all(&chunk).await.map_err(Error::internal)?;
    }
    content.rewind().await.map_err(Error::internal)?;
    Ok(UploadValue { filename, content_type, content: content.into_std().await })
}

fn broken(error: MultipartError) -> Error {
    wrong(error.body_text())
}

fn wrong(what: impl Display) -> Error {
    Error::new(Kind::BadInput, format!("The form is not a GraphQL multipart request: {what}."))
}
