//! The one door for messages to addresses that people enter: webhooks, and the host names of mail servers.
//!
//! Whoever may set up a webhook could otherwise make Stance ask its own network: other services on this machine, the cloud's metadata.
//! So an address is looked at where it can no longer change: in the client's own resolver, after DNS, at each connection. Redirects are
//! not followed, and proxies of the environment are not used: they would resolve names themselves.

mod address;

use super::{
    Clock, Error, Kind, Result,
    crypto::{self, Secret, Vault},
};
use address::Reach;
use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect::Policy,
};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

/// The longest that an exchange may take, the answer's body included.
pub const TIME_LIMIT: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read.
pub const MAX_ANSWER: usize = 64 << 10;
/// Characters of an address.
pub const MAX_URL: usize = 2_000;

/// The client, and the key for secrets that it is used with.
#[derive(Clone)]
pub struct Outbound {
    client: reqwest::Client,
    resolver: Guarded,
    clock: Clock,
    /// Opens and seals what [`Delivery::secret`] holds.
    pub vault: Vault,
}

/// A message.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    pub url: &'a str,
    /// Signs the message: `Stance-Signature: t=UNIX-SECONDS,v1=HEX`, where HEX is the HMAC-SHA256 of `UNIX-SECONDS.BODY`.
    pub secret: Option<&'a Secret>,
    /// `Idempotency-Key`: the same for every attempt, so that the receiver can tell a repetition.
    pub key: &'a str,
    pub body: &'a serde_json::Value,
}

/// What came back. A redirect is an answer like any other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// At most [`MAX_ANSWER`] bytes of it; what is not UTF-8 is replaced. Hostile text.
    pub body: String,
    /// From the first look at the name to the end of the body.
    pub micros: u64,
}

impl Answer {
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }
}

impl Outbound {
    /// `allow_private`: also this machine and private networks.
    ///
    /// # Errors
    /// When TLS can not be set up.
    pub fn new(vault: Vault, clock: Clock, allow_private: bool) -> anyhow::Result<Self> {
        let resolver = Guarded { allow_private };
        // An error means that it was installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .user_agent(concat!("Stance/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(resolver))
            .redirect(Policy::none())
            .no_proxy()
            .timeout(TIME_LIMIT)
            .build()?;
        Ok(Self { client, resolver, clock, vault })
    }

    /// Refuses what can not be a target, as far as the address alone says; a name is looked at again whenever it is resolved.
    ///
    /// # Errors
    /// `BAD_INPUT` for the field `url`.
    pub fn check(&self, url: &str) -> Result<()> {
        self.parse(url).map(|_| ())
    }

    fn parse(&self, text: &str) -> Result<Url> {
        let refuse = |message: &str| Err(Error::field("url", message));
        if text.len() > MAX_URL {
            return refuse(&format!("must be at most {MAX_URL} characters"));
        }
        let Ok(url) = text.parse::<Url>() else {
            return refuse("must be an address like https://hooks.example.com/path");
        };
        if !matches!(url.scheme(), "http" | "https") {
            return refuse("must begin with https:// or http://");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("must not hold a user name or password");
        }
        // The parser has read every way to write an address (0x7f.1, 2130706433) by now.
        let host = url.host_str().unwrap_or_default();
        let literal: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
        let name = host.trim_end_matches('.');
        let local = name == "localhost" || name.ends_with(".localhost");
        match literal {
            Some(address) if !self.resolver.allows(address) => Err(self.resolver.refusal("url")),
            None if host.is_empty() => refuse("must name a host"),
            None if local && !self.resolver.allow_private => Err(self.resolver.refusal("url")),
            _ => Ok(url),
        }
    }

    /// Sends a message once. Any answer is an [`Answer`]; nothing here repeats.
    ///
    /// # Errors
    /// `BAD_INPUT` when the address is refused, also after DNS; `UNAVAILABLE` when there is no answer, with a sentence that says why.
    pub async fn post(&self, delivery: Delivery<'_>) -> Result<Answer> {
        let url = self.parse(delivery.url)?;
        let body = serde_json::to_vec(delivery.body).map_err(Error::internal)?;
        let mut request = self.client.post(url).header("content-type", "application/json");
        request = request.header("idempotency-key", delivery.key);
        if let Some(secret) = delivery.secret {
            request = request.header("stance-signature", signature(secret, self.clock.now().timestamp(), &body));
        }
        let started = Instant::now();
        let mut answer = request.body(body).send().await.map_err(|error| self.told(&error))?;
        let status = answer.status().as_u16();
        let mut read = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.told(&error))? {
            let room = MAX_ANSWER - read.len();
            read.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if read.len() == MAX_ANSWER {
                break;
            }
        }
        Ok(Answer {
            status,
            body: String::from_utf8_lossy(&read).into_owned(),
            micros: u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        })
    }

    /// Where a host is, as far as Stance may talk to it: for protocols other than HTTP. Connect to these addresses, not to the name.
    ///
    /// # Errors
    /// `BAD_INPUT` naming `field` when all addresses are refused; `UNAVAILABLE` when there are none.
    pub async fn resolve(&self, field: &str, host: &str, port: u16) -> Result<Vec<SocketAddr>> {
        match tokio::time::timeout(TIME_LIMIT, self.resolver.lookup(host, port)).await {
            Ok(Ok(addresses)) => Ok(addresses),
            Ok(Err(Unresolved::Refused)) => Err(self.resolver.refusal(field)),
            Ok(Err(Unresolved::Unknown)) | Err(_) => {
                Err(Error::new(Kind::Unavailable, "The name of the host is not known."))
            }
        }
    }

    /// A sentence on why there was no answer, without the address: it may hold a secret.
    fn told(&self, error: &reqwest::Error) -> Error {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
        let mut story = String::new();
        while let Some(error) = cause {
            match error.downcast_ref::<Unresolved>() {
                Some(Unresolved::Refused) => return self.resolver.refusal("url"),
                Some(Unresolved::Unknown) => {
                    return Error::new(Kind::Unavailable, "The name of the host is not known.");
                }
                None => {}
            }
            cause = error.source();
            if cause.is_none() {
                story = error.to_string();
            }
        }
        let sentence = if error.is_timeout() {
            format!("There was no answer within {} s.", TIME_LIMIT.as_secs())
        } else if error.is_connect() {
            format!("No connection: {story}.")
        } else {
            format!("The answer broke off: {story}.")
        };
        Error::new(Kind::Unavailable, sentence)
    }

    /// A door that may also talk to this machine, with a key of its own.
    #[cfg(test)]
    #[must_use]
    pub fn for_tests(clock: &Clock, allow_private: bool) -> Self {
        Self::new(Vault::with_key(&[7; 32]).unwrap(), clock.clone(), allow_private).unwrap()
    }
}

/// What stands in `Stance-Signature`.
#[must_use]
pub fn signature(secret: &Secret, unix_seconds: i64, body: &[u8]) -> String {
    let signed = [unix_seconds.to_string().as_bytes(), b".", body].concat();
    format!("t={unix_seconds},v1={}", crypto::hmac_sha256(secret, &signed))
}

/// A resolver that gives out no address that may not be talked to.
#[derive(Clone, Copy, Debug)]
struct Guarded {
    allow_private: bool,
}

#[derive(Debug, thiserror::Error)]
enum Unresolved {
    #[error("the address is not allowed")]
    Refused,
    #[error("the name is not known")]
    Unknown,
}

impl Guarded {
    fn allows(self, address: IpAddr) -> bool {
        match address::reach(address) {
            Reach::Public => true,
            Reach::Private => self.allow_private,
            Reach::Never => false,
        }
    }

    async fn lookup(self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Unresolved> {
        let found: Vec<SocketAddr> =
            tokio::net::lookup_host((host, port)).await.map_err(|_| Unresolved::Unknown)?.collect();
        if found.is_empty() {
            return Err(Unresolved::Unknown);
        }
        let allowed: Vec<SocketAddr> = found.into_iter().filter(|address| self.allows(address.ip())).collect();
        if allowed.is_empty() { Err(Unresolved::Refused) } else { Ok(allowed) }
    }

    fn refusal(self, field: &str) -> Error {
        let unless = match self.allow_private {
            true => "",
            false => " (private ones: unless the server was started with --allow-private-webhooks)",
        };
        Error::field(
            field,
            format!(
                "must lead to a public address: this machine, private networks, link-local and metadata addresses are refused{unless}"
            ),
        )
    }
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let guarded = *self;
        Box::pin(async move {
            let found = guarded.lookup(name.as_str(), 0).await?;
            let addresses: Addrs = Box::new(found.into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests;
