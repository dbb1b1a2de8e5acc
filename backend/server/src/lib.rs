//! Stance: the server's library. `main.rs` holds the command line only.

pub mod api;
pub mod app;
pub mod audit;
pub mod cli;
pub mod demo;
pub mod findings;
pub mod identity;
pub mod imports;
pub mod incidents;
pub mod inventory;
pub mod jobs;
pub mod kernel;
pub mod live;
pub mod notify;
pub mod playbooks;
pub mod runtime;
pub mod scoring;
pub mod web;
