//! SQL of webhook channels by name.

use crate::kernel::{Result, TenantTx, crypto::Sealed};

pub(super) async fn webhook(tx: &mut TenantTx, name: &str) -> Result<Option<Sealed>> {
    Ok(sqlx::query_scalar!(
        "select sealed from notification_channel
         where name = $1 and kind = 'WEBHOOK' and deleted_at is null and disabled_at is null",
        name
    )
    .fetch_optional(tx.conn())
    .await?
    .map(Sealed))
}
