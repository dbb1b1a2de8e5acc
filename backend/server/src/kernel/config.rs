//! What the command line and the environment say, once for all commands.

use super::{Clock, crypto::Vault, db::Db, embedded_postgres::EmbeddedPostgres, outbound::Outbound};
use anyhow::Context as _;
use sqlx::postgres::PgConnectOptions;
use std::{net::SocketAddr, path::PathBuf, str::FromStr as _, time::Duration};

/// Which database. Without a URL Stance runs a private PostgreSQL in the data directory.
#[derive(clap::Args, Clone, Debug)]
pub struct DatabaseArgs {
    /// PostgreSQL 14 or newer, postgres://USER:PASSWORD@HOST/DATABASE; without it Stance runs its own in the data directory.
    #[arg(long, value_name = "URL", env = "STANCE_DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// Where Stance keeps its own PostgreSQL; not used with a database URL [default: /var/lib/stance as root, else
    /// $XDG_DATA_HOME/stance].
    #[arg(long, value_name = "DIR", env = "STANCE_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
}

/// `stance serve`.
#[derive(clap::Args, Clone, Debug)]
pub struct ServeArgs {
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// The address to listen on. TLS is the work of a proxy in front.
    #[arg(long, value_name = "ADDRESS", env = "STANCE_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// How browsers reach the server, for example https://stance.example.com; needed behind a proxy. With https, cookies
    /// are Secure and browsers are told to stay with TLS.
    #[arg(long, value_name = "URL", env = "STANCE_PUBLIC_URL", value_parser = public_url)]
    pub public_url: Option<String>,
    #[command(flatten)]
    pub outbound: OutboundArgs,
    /// Leave jobs to other processes (`stance worker`).
    #[arg(long, env = "STANCE_NO_WORKER")]
    pub no_worker: bool,
    /// The largest report that may be uploaded, in bytes as they are sent.
    #[arg(long, value_name = "BYTES", env = "STANCE_MAX_REPORT_BYTES", default_value_t = 2 << 30)]
    pub max_report_bytes: u64,
    /// Who may read /metrics from other machines: the bearer token that they send. Without it only this machine may.
    #[arg(long, value_name = "TOKEN", env = "STANCE_METRICS_TOKEN", hide_env_values = true)]
    pub metrics_token: Option<String>,
}

/// `stance worker`.
#[derive(clap::Args, Clone, Debug)]
pub struct WorkerArgs {
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// How browsers reach the server, for links in notifications.
    #[arg(long, value_name = "URL", env = "STANCE_PUBLIC_URL", value_parser = public_url)]
    pub public_url: Option<String>,
    #[command(flatten)]
    pub outbound: OutboundArgs,
}

/// How Stance reaches what people name: webhooks and mail servers. The same for all processes of an installation.
#[derive(clap::Args, Clone, Debug)]
pub struct OutboundArgs {
    /// The key that seals secrets in the database: a file of 64 hexadecimal digits, made with `openssl rand -hex 32`. Without a
    /// database URL Stance makes one in the data directory.
    #[arg(long, value_name = "FILE", env = "STANCE_SECRET_KEY_FILE")]
    pub secret_key_file: Option<PathBuf>,
    /// Let webhooks and mail servers be on this machine and in private networks. Link-local and metadata addresses stay refused.
    #[arg(long, env = "STANCE_ALLOW_PRIVATE_WEBHOOKS")]
    pub allow_private_webhooks: bool,
}

impl ServeArgs {
    /// Where browsers reach the server, for links that people pass on.
    #[must_use]
    pub fn origin(&self) -> String {
        self.public_url.clone().unwrap_or_else(|| format!("http://{}", self.listen))
    }

    /// Whether browsers come by TLS.
    #[must_use]
    pub fn tls(&self) -> bool {
        self.public_url.as_deref().is_some_and(|url| url.starts_with("https://"))
    }
}

/// `scheme://host[:port]`, as browsers write it in `Origin`.
fn public_url(text: &str) -> Result<String, String> {
    let wanted = "must be http:// or https:// with a host and no path, for example https://stance.example.com";
    let uri: axum::http::Uri = text.parse().map_err(|_| wanted.to_owned())?;
    match (uri.scheme_str(), uri.authority(), uri.path()) {
        (Some(scheme @ ("http" | "https")), Some(authority), "/" | "") => {
            Ok(format!("{scheme}://{authority}").to_ascii_lowercase())
        }
        _ => Err(wanted.to_owned()),
    }
}

/// The open database; its own server, if there is one, must be stopped at the end.
pub struct Database {
    pub db: Db,
    pub embedded: Option<EmbeddedPostgres>,
}

impl DatabaseArgs {
    /// Opens the database, for a server: starts the private PostgreSQL.
    ///
    /// # Errors
    /// A sentence that says what to do.
    pub async fn open(&self, connections: u32) -> anyhow::Result<Database> {
        let (embedded, options) = match self.url()? {
            Some(options) => (None, options),
            None => {
                let embedded = EmbeddedPostgres::start(&self.directory()?).await?;
                let options = embedded.options();
                (Some(embedded), options)
            }
        };
        Ok(Database { db: connect(options, connections).await?, embedded })
    }

    /// Opens the database, for a command that may run beside a server: uses the server's private PostgreSQL if it runs.
    ///
    /// # Errors
    /// A sentence that says what to do.
    pub async fn open_beside(&self) -> anyhow::Result<Database> {
        if self.database_url.is_none()
            && let Some(options) = EmbeddedPostgres::running(&self.directory()?)
        {
            return Ok(Database { db: connect(options, 2).await?, embedded: None });
        }
        self.open(2).await
    }

    /// The door to addresses outside. Where Stance keeps its own PostgreSQL, its key lies beside it; open the database first.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the key.
    pub fn outbound(&self, args: &OutboundArgs) -> anyhow::Result<Outbound> {
        let vault = match &args.secret_key_file {
            Some(file) => Vault::from_file(file)?,
            None if self.database_url.is_none() => Vault::in_directory(&self.directory()?)?,
            None => Vault::closed(),
        };
        Outbound::new(vault, Clock::System, args.allow_private_webhooks)
    }

    fn url(&self) -> anyhow::Result<Option<PgConnectOptions>> {
        let parsed = self.database_url.as_deref().map(PgConnectOptions::from_str).transpose();
        // The parser's message may quote the URL and with it the password.
        parsed.map_err(|_| anyhow::anyhow!("the database URL must be postgres://USER:PASSWORD@HOST:PORT/DATABASE"))
    }

    fn directory(&self) -> anyhow::Result<PathBuf> {
        if let Some(directory) = &self.data_dir {
            return std::path::absolute(directory).context("the data directory");
        }
        if rustix::process::geteuid().is_root() {
            return Ok("/var/lib/stance".into());
        }
        let base = std::env::var_os("XDG_DATA_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
        let base = base.or_else(|| std::env::home_dir().map(|home| home.join(".local/share")));
        Ok(base.context("neither --data-dir nor HOME is set: name a data directory")?.join("stance"))
    }
}

async fn connect(options: PgConnectOptions, connections: u32) -> anyhow::Result<Db> {
    Db::connect(options, connections).await.context("the database does not answer")
}

impl Database {
    /// Closes the connections, at once if they are not given back within a second, and stops the private PostgreSQL.
    pub async fn close(self) {
        if tokio::time::timeout(Duration::from_secs(1), self.db.close()).await.is_err() {
            tracing::warn!("some database connections were still in use");
        }
        if let Some(embedded) = self.embedded {
            embedded.stop().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_url_is_an_origin() {
        assert_eq!(public_url("https://Stance.example.com/"), Ok("https://stance.example.com".to_owned()));
        assert_eq!(public_url("http://127.0.0.1:8080"), Ok("http://127.0.0.1:8080".to_owned()));
        for wrong in ["stance.example.com", "ftp://x", "https://x/path", "https://"] {
            assert!(public_url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_wrong_database_url_is_not_repeated() {
        let args = DatabaseArgs { database_url: Some("postgres://u:secret@h:port/db".into()), data_dir: None };
        assert!(!format!("{:#}", args.url().unwrap_err()).contains("secret"));
    }
}
