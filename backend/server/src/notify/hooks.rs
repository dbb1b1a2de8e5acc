//! Webhook channels that playbooks post to by name.

use super::hooks_repo as repo;
use crate::kernel::{
    Error, Result, TenantTx,
    crypto::{Secret, Vault},
};
use serde::Deserialize;

/// Where a webhook channel leads, in the clear for as long as it takes to use it.
pub struct Hook {
    pub url: String,
    /// Signs what is sent.
    pub secret: Option<Secret>,
}

#[derive(Deserialize)]
struct Opened {
    url: String,
    #[serde(default)]
    secret: Option<String>,
}

/// The webhook channel of a name.
///
/// # Errors
/// `CONFLICT` when there is none, or it is switched off; `UNAVAILABLE` without the key that it was sealed with.
pub async fn webhook(tx: &mut TenantTx, vault: &Vault, name: &str) -> Result<Hook> {
    let tenant = tx.ctx().tenant;
    let Some(sealed) = repo::webhook(tx, name).await? else {
        let message = format!("There is no webhook channel “{name}” that is switched on (Settings, Notifications).");
        return Err(Error::conflict(message));
    };
    let opened: Opened = serde_json::from_str(vault.open(tenant, &sealed)?.expose()).map_err(Error::internal)?;
    Ok(Hook { url: opened.url, secret: opened.secret.map(Secret::new) })
}
