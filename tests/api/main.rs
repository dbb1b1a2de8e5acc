//! What integrations do: bootstrap, import, query, triage, follow, export.

mod aliases;
mod containment;
mod documents;
mod exports;
mod imports;
mod notify;
mod pipelines;
mod playbooks;
mod runtime;
mod service;
mod subscriptions;
mod triage;
mod uploads;
