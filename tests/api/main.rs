//! What integrations do: bootstrap, import, query, triage.

mod imports;
mod pipelines;
mod service;
mod triage;
