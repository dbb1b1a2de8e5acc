//! What integrations do: bootstrap, import, query, triage.

mod imports;
mod service;
mod triage;
