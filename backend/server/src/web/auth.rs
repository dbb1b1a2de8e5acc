//! Who asks: from a request to a [`Ctx`].

use super::session::session_id;
use crate::{
    app::AppState,
    identity::{self, Client},
    kernel::{
        Ctx, Error, Kind,
        crypto::sha256,
        telemetry::{self, RequestId},
    },
    live::{Hub, Position, Topic},
};
use axum::{
    extract::{ConnectInfo, FromRequestParts, OptionalFromRequestParts},
    http::{HeaderMap, header, request::Parts},
};
use std::{
    collections::HashMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The asker, by `Authorization: Bearer stance_…` or the session's cookie. A request that sends a token is judged by it
/// alone. As `Option<Authenticated>` for pages that have something to show to anybody.
pub struct Authenticated(pub Ctx);

impl FromRequestParts<AppState> for Authenticated {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Error> {
        let ctx = authenticate(parts, state).await?;
        ctx.map(Self).ok_or_else(|| Error::new(Kind::Unauthenticated, "Sign in, or send a token that is in force."))
    }
}

impl OptionalFromRequestParts<AppState> for Authenticated {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Option<Self>, Error> {
        Ok(authenticate(parts, state).await?.map(Self))
    }
}

/// The asker by an API token, remembered for [`REMEMBERED`]: for what is asked thousands of times a second. A revoked token may be
/// good for so long; one whose agent is contained is looked up anew as soon as the database's notice arrives.
pub struct Remembered(pub Ctx);

/// How long a token that was good is taken to be.
pub const REMEMBERED: Duration = Duration::from_secs(5);
/// Tokens that are remembered at the same time.
const MAX_TOKENS: usize = 10_000;

/// Whose a token is, when that was looked up, and how far the hub had come before.
type Known = (Ctx, Instant, Position);

/// Tokens that were good a moment ago, by the digest of their secret.
#[derive(Clone, Default)]
pub struct Tokens(Arc<Mutex<HashMap<[u8; 32], Known>>>);

impl Tokens {
    /// A policy that changed may shut the token out: then it is looked up anew.
    fn get(&self, digest: &[u8; 32], live: &Hub) -> Option<Ctx> {
        let tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (ctx, since, position) = tokens.get(digest)?;
        let good =
            since.elapsed() < REMEMBERED && !live.changed_since(ctx.tenant, Some(*position)).contains(&Topic::Policy);
        good.then(|| ctx.clone())
    }

    fn put(&self, digest: [u8; 32], ctx: Ctx, position: Position) {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= MAX_TOKENS {
            tokens.retain(|_, (_, since, _)| since.elapsed() < REMEMBERED);
        }
        if tokens.len() < MAX_TOKENS {
            tokens.insert(digest, (ctx, Instant::now(), position));
        }
    }
}

impl FromRequestParts<AppState> for Remembered {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Error> {
        let digest = bearer(&parts.headers).map(sha256);
        // Before the token is looked up, so that nothing that happens meanwhile is missed.
        let position = state.live.position();
        if let Some(ctx) = digest.and_then(|digest| state.tokens.get(&digest, &state.live)) {
            let ctx = Ctx { request_id: request_id(parts), ..ctx };
            telemetry::record_actor(&ctx);
            return Ok(Self(ctx));
        }
        let Authenticated(ctx) =
            <Authenticated as FromRequestParts<AppState>>::from_request_parts(parts, state).await?;
        if let Some(digest) = digest {
            state.tokens.put(digest, ctx.clone(), position);
        }
        Ok(Self(ctx))
    }
}

async fn authenticate(parts: &Parts, state: &AppState) -> Result<Option<Ctx>, Error> {
    let AppState { db, clock, tasks, .. } = state;
    let request_id = request_id(parts);
    let ctx = if parts.headers.contains_key(header::AUTHORIZATION) {
        let Some(secret) = bearer(&parts.headers) else { return Ok(None) };
        identity::authenticate_token(db, clock, tasks, secret, &request_id).await?
    } else if let Some(id) = session_id(parts) {
        identity::authenticate_session(db, clock, tasks, id, &request_id).await?
    } else {
        None
    };
    if let Some(ctx) = &ctx {
        telemetry::record_actor(ctx);
    }
    Ok(ctx)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, secret) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
}

/// The id that the outermost layer gave the request.
pub fn request_id(parts: &Parts) -> String {
    parts.extensions.get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default()
}

impl FromRequestParts<AppState> for Client {
    type Rejection = Infallible;

    /// Behind a proxy (a public URL is set) the address is the last of `X-Forwarded-For`, which the proxy wrote itself;
    /// otherwise the header is anybody's and the peer's address counts.
    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Infallible> {
        let text = |name| parts.headers.get_all(name).iter().next_back().and_then(|value| value.to_str().ok());
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
        let forwarded = text(header::HeaderName::from_static("x-forwarded-for"))
            .filter(|_| state.settings.public_url.is_some())
            .and_then(|list| list.rsplit(',').next()?.trim().parse().ok());
        let user_agent = text(header::USER_AGENT).unwrap_or_default();
        Ok(Self {
            address: forwarded.or(peer).map(|address| address.to_string()).unwrap_or_default(),
            user_agent: user_agent.chars().filter(|c| !c.is_control()).take(300).collect(),
        })
    }
}
