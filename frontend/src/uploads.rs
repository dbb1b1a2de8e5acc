//! Uploads of this browser window. They outlive the page that started them: looking at something else meanwhile loses nothing,
//! and what came of an upload stays until the reader dismisses it.

use leptos::prelude::*;
use stance_shared::ReportStatus;

use crate::{
    browser::{self, File, UploadEvent},
    format,
    gql::{self, ReportProgress, report_progress},
    state,
};

/// One file on its way.
#[derive(Clone)]
pub struct Upload {
    /// Distinguishes uploads of the same file.
    pub key: u64,
    /// The file's name.
    pub name: String,
    /// The file's size, for the reader.
    pub size: String,
    /// How far it is. Not of the page's owner, which ends with every load of its data.
    pub state: ArcRwSignal<UploadState>,
    file: File,
}

/// How far an upload is.
#[derive(Clone, Debug, PartialEq)]
pub enum UploadState {
    /// Bytes sent of all, in 0..=1.
    Sending(f64),
    /// With the server: the report's id, its status, progress in 0..=1.
    Running(String, ReportStatus, f64),
    /// The report's id and what came of it.
    Done(String, String),
    /// The report does not say which asset it is about: the server's sentence.
    NeedsAsset(String),
    /// Nothing came of it: why.
    Refused(String),
}

impl UploadState {
    /// Whether nothing more will happen.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        !matches!(self, Self::Sending(_) | Self::Running(..))
    }
}

/// Sends files, each as a report; `asset` names what they are about where they do not say it themselves, and may be empty.
pub fn start(files: Vec<File>, asset: &str) {
    let uploads = state::app().uploads;
    for file in files {
        let key = uploads.with_untracked(|all| all.iter().map(|upload| upload.key + 1).max().unwrap_or_default());
        let (name, size) = browser::describe(&file);
        let state = ArcRwSignal::new(UploadState::Sending(0.0));
        let upload = Upload { key, name, size, state, file };
        uploads.update(|all| all.insert(0, upload.clone()));
        send(upload, asset);
    }
}

/// Sends a file once more, now with the asset that it is about.
pub fn send(upload: Upload, asset: &str) {
    upload.state.set(UploadState::Sending(0.0));
    browser::upload(&upload.file.clone(), asset, move |event| match event {
        UploadEvent::Sent(sent, of) => upload.state.set(UploadState::Sending(if of > 0.0 { sent / of } else { 1.0 })),
        UploadEvent::Accepted(id) => {
            upload.state.set(UploadState::Running(id.clone(), ReportStatus::Accepted, 0.0));
            follow(id, upload.clone());
        }
        UploadEvent::Refused(why) => upload.state.set(UploadState::Refused(why)),
    });
}

/// Takes an upload off the list.
pub fn dismiss(key: u64) {
    state::app().uploads.update(|all| all.retain(|upload| upload.key != key));
}

/// Asks how far the report is until it has ended or the reader has dismissed the upload.
fn follow(id: String, upload: Upload) {
    leptos::task::spawn_local(async move {
        let reply = gql::query::<ReportProgress>(report_progress::Variables { id: id.clone() }).await;
        if !state::app().uploads.with_untracked(|all| all.iter().any(|other| other.key == upload.key)) {
            return;
        }
        let Ok(reply) = reply else {
            // A broken connection is no verdict on the report: ask again, less often.
            return browser::later(2000, move || follow(id, upload));
        };
        let now = reply.report.map_or_else(
            || UploadState::Refused("The server no longer knows this report.".into()),
            |report| reached(id.clone(), report),
        );
        let ended = now.has_ended();
        upload.state.set(now);
        if !ended {
            browser::later(300, move || follow(id, upload));
        }
    });
}

fn reached(id: String, report: report_progress::ReportProgressReport) -> UploadState {
    match (report.status, report.error) {
        (ReportStatus::Done, _) if report.counts.findings == 0 => {
            UploadState::Done(id, "the report is valid and has no findings".to_owned())
        }
        (ReportStatus::Done, _) => {
            let counts = report.counts;
            let words = [
                (counts.new, "new"),
                (counts.updated, "updated"),
                (counts.reopened, "reopened"),
                (counts.resolved, "resolved"),
                (counts.unchanged, "unchanged"),
            ];
            UploadState::Done(id, words.map(|(count, word)| format!("{} {word}", format::count(count))).join(", "))
        }
        (ReportStatus::Failed, Some(error)) if error.code == "NEEDS_ASSET" => UploadState::NeedsAsset(error.message),
        (ReportStatus::Failed, Some(error)) => UploadState::Refused(error.message),
        (ReportStatus::Failed, None) => UploadState::Refused("The report could not be read.".to_owned()),
        (status, _) => UploadState::Running(id, status, report.progress),
    }
}
