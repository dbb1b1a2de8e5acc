//! The browser's session: a cookie with a random id of 128 bits, of which the database keeps the hash.
//!
//! tower-sessions reads and writes the cookie; the table decides when a session ends (see [`sessions`]), so the cookie's own
//! life is only the longest that a session can have. Nobody has a session before signing in.

use crate::{
    app::AppState,
    identity::{
        Client,
        entry::Entered,
        sessions::{self, ABSOLUTE},
    },
    kernel::{Clock, Db, Error, Result},
};
use axum::http::request::Parts;
use serde_json::Value;
use stance_shared::TenantId;
use time::{Duration, OffsetDateTime};
use tower_sessions::{
    Expiry, Session, SessionManagerLayer, SessionStore,
    cookie::SameSite,
    session::{Id, Record},
    session_store,
};

/// Sessions in the table `session`.
#[derive(Clone, Debug)]
pub struct Store {
    db: Db,
    clock: Clock,
}

/// Reads and writes the cookie around all routes; costs nothing where no route asks for the session.
pub fn layer(state: &AppState) -> SessionManagerLayer<Store> {
    let secure = state.settings.tls();
    SessionManagerLayer::new(Store { db: state.db.clone(), clock: state.clock.clone() })
        // The prefix makes browsers refuse the cookie from other hosts of the domain; it needs TLS.
        .with_name(if secure { "__Host-stance" } else { "stance" })
        .with_secure(secure)
        .with_http_only(true)
        .with_same_site(SameSite::Lax)
        .with_path("/")
        .with_expiry(Expiry::OnInactivity(Duration::seconds(ABSOLUTE.num_seconds())))
}

/// The secret id that the cookie carries, known or not.
pub fn session_id(parts: &Parts) -> Option<i128> {
    parts.extensions.get::<Session>()?.id().map(|id| id.0)
}

/// Makes the browser's session that of somebody who came in, under a new id: an id that was known before is worth nothing.
///
/// # Errors
/// When the database fails.
pub async fn start(session: &Session, entered: &Entered, client: &Client) -> Result<()> {
    session.clear().await;
    session.cycle_id().await.map_err(Error::internal)?;
    for (key, value) in [
        ("user", entered.user.to_string()),
        ("tenant", entered.tenant.to_string()),
        ("address", client.address.clone()),
        ("userAgent", client.user_agent.clone()),
    ] {
        session.insert(key, value).await.map_err(Error::internal)?;
    }
    Ok(())
}

/// Takes the session to another organization. Its id and its end stay.
///
/// # Errors
/// When the database fails.
pub async fn go_to(session: &Session, tenant: TenantId) -> Result<()> {
    session.insert("tenant", tenant.to_string()).await.map_err(Error::internal)
}

fn failed(error: Error) -> session_store::Error {
    session_store::Error::Backend(error.internal_text().unwrap_or(error.public))
}

fn data(record: &Record) -> session_store::Result<Value> {
    serde_json::to_value(&record.data).map_err(|error| session_store::Error::Encode(error.to_string()))
}

#[async_trait::async_trait]
impl SessionStore for Store {
    async fn create(&self, record: &mut Record) -> session_store::Result<()> {
        // 128 random bits: a collision is an error, not a case.
        sessions::create(&self.db, &self.clock, record.id.0, &data(record)?).await.map_err(failed)
    }

    async fn save(&self, record: &Record) -> session_store::Result<()> {
        sessions::save(&self.db, &self.clock, record.id.0, &data(record)?).await.map_err(failed)
    }

    async fn load(&self, id: &Id) -> session_store::Result<Option<Record>> {
        let Some((data, expires_at)) = sessions::load(&self.db, &self.clock, id.0).await.map_err(failed)? else {
            return Ok(None);
        };
        let decode = |error: String| session_store::Error::Decode(error);
        Ok(Some(Record {
            id: *id,
            data: serde_json::from_value(data).map_err(|error| decode(error.to_string()))?,
            expiry_date: OffsetDateTime::from_unix_timestamp(expires_at.timestamp())
                .map_err(|error| decode(error.to_string()))?,
        }))
    }

    async fn delete(&self, id: &Id) -> session_store::Result<()> {
        sessions::delete(&self.db, id.0).await.map_err(failed)
    }
}
