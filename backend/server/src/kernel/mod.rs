//! What every slice stands on: who asks, what they may do, the database's door, errors, time, randomness.

pub mod authz;
#[cfg(test)]
mod catalogue;
pub mod clock;
pub mod config;
pub mod crypto;
pub mod ctx;
pub mod db;
pub mod embedded_postgres;
pub mod error;
pub mod outbound;
pub mod page;
mod problem;
pub mod tasks;
pub mod telemetry;
#[cfg(test)]
pub mod testing;
pub mod text;

pub use authz::{Permission, Role};
pub use clock::Clock;
pub use ctx::{Actor, Ctx};
pub use db::{Db, SystemTx, TenantTx};
pub use error::{Error, Kind, Result};
