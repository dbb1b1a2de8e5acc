//! What integrations do: bootstrap, import, query, triage, follow, export.

mod aliases;
mod containment;
mod documents;
mod exports;
mod imports;
mod incidents;
mod notify;
mod pipelines;
mod playbooks;
mod response;
mod runtime;
mod service;
mod subscriptions;
mod triage;
mod uploads;
