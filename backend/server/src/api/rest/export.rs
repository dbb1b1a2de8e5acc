//! Findings as a file.

use super::extract::Query;
use crate::{
    api::graphql::node,
    findings::{
        Filter, Search,
        export::{self, Row},
    },
    kernel::{Ctx, Db, Error, Result, text},
    web::auth::Authenticated,
};
use axum::{
    body::{Body, Bytes},
    extract::State,
    http::header,
    response::IntoResponse,
};
use futures::{StreamExt as _, stream};
use serde::Deserialize;
use std::str::FromStr;
use tokio_stream::wrappers::ReceiverStream;

/// How a finding is written.
#[derive(Clone, Copy, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    /// A header line, then one line a finding. Cells that a spreadsheet would run as a formula begin with an apostrophe.
    #[default]
    Csv,
    /// One JSON object a line.
    Ndjson,
}

/// The filters of the GraphQL query `findings`; of lists separated by commas, one must hold.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ExportQuery {
    #[serde(default)]
    #[param(inline)]
    format: Format,
    /// For example `OPEN,IN_PROGRESS`.
    status: Option<String>,
    /// For example `CRITICAL,HIGH`.
    severity: Option<String>,
    /// For example `MODEL`.
    layer: Option<String>,
    /// For example `AGENT,MODEL`.
    asset_kind: Option<String>,
    /// A global id, `asset:UUID`.
    asset: Option<String>,
    tool: Option<String>,
    /// `framework@version:id`.
    category: Option<String>,
    /// A global id, `report:UUID`.
    report: Option<String>,
    /// A global id, `user:UUID`.
    assignee: Option<String>,
    mine: Option<bool>,
    unassigned: Option<bool>,
    /// Anywhere in title or rule.
    search: Option<String>,
    /// RFC 3339.
    seen_since: Option<chrono::DateTime<chrono::Utc>>,
}

fn words<T: FromStr<Err: std::fmt::Display>>(field: &str, list: Option<String>) -> Result<Vec<T>> {
    let list = list.unwrap_or_default();
    let word = |word: &str| word.trim().parse().map_err(|error: T::Err| Error::field(field, error.to_string()));
    list.split(',').filter(|word| !word.trim().is_empty()).map(word).collect()
}

impl ExportQuery {
    fn filter(self, asker: &Ctx) -> Result<Filter> {
        let line = |field: &str, value: Option<String>| value.map(|value| text::line(field, &value, 300)).transpose();
        let assignee = if self.mine.unwrap_or_default() {
            Some(asker.user().ok_or_else(|| Error::field("mine", "is for people; a token has no findings"))?)
        } else {
            self.assignee.map(|id| node::parse("assignee", &id.into())).transpose()?
        };
        Ok(Filter {
            status: words("status", self.status)?,
            severity: words("severity", self.severity)?,
            layer: words("layer", self.layer)?,
            asset_kind: words("assetKind", self.asset_kind)?,
            asset: self.asset.map(|id| node::parse("asset", &id.into())).transpose()?,
            tool: line("tool", self.tool)?,
            category: line("category", self.category)?,
            report: self.report.map(|id| node::parse("report", &id.into())).transpose()?,
            assignee,
            unassigned: self.unassigned.unwrap_or_default(),
            search: text::search("search", &self.search.unwrap_or_default())?.map(Search::Pattern),
            seen_since: self.seen_since,
        })
    }
}

/// All findings that the filters let through, as a file, by risk, the highest first. Keys and
/// names of assets, and assignees, are left out for who may not see assets and members.
///
/// The answer is streamed. If the server fails in the middle, the connection breaks off: a whole file is a whole answer.
#[utoipa::path(get, path = "/api/v1/findings/export", tag = "findings", params(ExportQuery),
    responses((status = 200, description = "The file", content((String = "text/csv"), (String = "application/x-ndjson"))),
        (status = "4XX", description = "A problem", body = super::Problem)))]
async fn export_findings(
    State(db): State<Db>,
    Authenticated(asker): Authenticated,
    Query(query): Query<ExportQuery>,
) -> Result<impl IntoResponse> {
    let format = query.format;
    let rows = export::export(&db, &asker, query.filter(&asker)?).await?;
    type Write = fn(&Row) -> Result<Vec<u8>>;
    let (kind, name, write): (&str, &str, Write) = match format {
        Format::Csv => ("text/csv; charset=utf-8", "findings.csv", csv_line),
        Format::Ndjson => ("application/x-ndjson", "findings.ndjson", json_line),
    };
    let head = matches!(format, Format::Csv).then(|| Ok(Bytes::from(HEAD)));
    let lines = ReceiverStream::new(rows).map(move |row| row.and_then(|row| write(&row)).map(Bytes::from));
    let body = stream::iter(head).chain(lines).map(|line| {
        line.map_err(|error| {
            tracing::error!(cause = error.internal_text(), "an export broke off");
            std::io::Error::other("the export broke off")
        })
    });
    let disposition = format!("attachment; filename=\"{name}\"");
    Ok(([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, disposition)], Body::from_stream(body)))
}

/// The routes of this file, with their documentation.
pub(super) fn routes() -> utoipa_axum::router::OpenApiRouter<crate::app::AppState> {
    utoipa_axum::router::OpenApiRouter::new().routes(utoipa_axum::routes!(export_findings))
}

const HEAD: &str = "id,fingerprint,status,severity,layer,risk,title,rule,asset_kind,asset_key,asset_name,tools,categories,\
    first_seen,resolved_at,assignee,decision_reason,decision_expires_at,description,remediation\r\n";

fn csv_line(row: &Row) -> Result<Vec<u8>> {
    let time = |at: &chrono::DateTime<chrono::Utc>| at.to_rfc3339();
    let cells = [
        row.id.to_string(),
        row.fingerprint.simple().to_string(),
        row.status.clone(),
        row.severity.clone(),
        row.layer.clone(),
        row.risk.to_string(),
        row.title.clone(),
        row.rule.clone(),
        row.asset_kind.clone(),
        row.asset_key.clone(),
        row.asset_name.clone(),
        row.tools.join(" "),
        row.categories.join(" "),
        time(&row.first_seen),
        row.resolved_at.as_ref().map(time).unwrap_or_default(),
        row.assignee.clone().unwrap_or_default(),
        row.decision_reason.clone().unwrap_or_default(),
        row.decision_expires_at.as_ref().map(time).unwrap_or_default(),
        row.description.clone(),
        row.remediation.clone(),
    ];
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    writer.write_record(cells.map(guarded)).map_err(Error::internal)?;
    writer.into_inner().map_err(|error| Error::internal(error.into_error()))
}

/// Keeps spreadsheets from running a cell: what begins like a formula gets an apostrophe in front (OWASP "CSV injection").
fn guarded(cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']) {
        format!("'{cell}")
    } else {
        cell
    }
}

fn json_line(row: &Row) -> Result<Vec<u8>> {
    let mut line = serde_json::to_vec(row).map_err(Error::internal)?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for cell in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1"] {
            assert_eq!(guarded(cell.to_owned()), format!("'{cell}"));
        }
        assert_eq!(guarded("a=1".to_owned()), "a=1");
    }

    #[test]
    fn unknown_words_are_refused_with_the_allowed_ones() {
        let error = words::<stance_shared::Severity>("severity", Some("HIGH,SEVERE".into())).unwrap_err();
        assert!(error.public.contains("severity") && error.public.contains("CRITICAL"), "{}", error.public);
    }
}
