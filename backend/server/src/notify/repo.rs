//! SQL of notifications.

use super::{Notice, cut};
use crate::kernel::{Result, TenantTx};
use uuid::Uuid;

pub(super) async fn insert(tx: &mut TenantTx, notices: &[Notice<'_>]) -> Result<()> {
    let ctx = tx.ctx().clone();
    let ids: Vec<Uuid> = notices.iter().map(|_| ctx.new_id()).collect();
    let topics: Vec<&str> = notices.iter().map(|notice| notice.topic.as_str()).collect();
    let severities: Vec<i16> = notices.iter().map(|notice| notice.severity.rank()).collect();
    let titles: Vec<String> = notices.iter().map(|notice| cut(notice.title, 300, false)).collect();
    let texts: Vec<String> = notices.iter().map(|notice| cut(notice.text, 4_000, true)).collect();
    let links: Vec<&str> = notices.iter().map(|notice| notice.link).collect();
    let permissions: Vec<&str> = notices.iter().map(|notice| notice.permission.as_str()).collect();
    let subjects: Vec<Uuid> = notices.iter().map(|notice| notice.subject).collect();
    let keys: Vec<String> = notices.iter().map(|notice| cut(notice.key, 300, false)).collect();
    sqlx::query!(
        "insert into notice (tenant_id, id, topic, severity, title, text, link, permission, subject, key, at)
         select $1, n.id, n.topic, n.severity, n.title, n.text, n.link, n.permission, n.subject, n.key, $2
         from unnest($3::uuid[], $4::text[], $5::smallint[], $6::text[], $7::text[], $8::text[], $9::text[], $10::uuid[], $11::text[])
             n(id, topic, severity, title, text, link, permission, subject, key)",
        ctx.tenant.0,
        ctx.now(),
        &ids,
        &topics as &[&str],
        &severities,
        &titles,
        &texts,
        &links as &[&str],
        &permissions as &[&str],
        &subjects,
        &keys
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
