//! What integrations do: bootstrap, import, query, triage, follow, export.

mod aliases;
mod documents;
mod exports;
mod imports;
mod incidents;
mod pipelines;
mod runtime;
mod service;
mod subscriptions;
mod triage;
mod uploads;
