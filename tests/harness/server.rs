//! One running `stance serve`.

use crate::Client;
use anyhow::{Context as _, Result, ensure};
use std::{
    path::{Path, PathBuf},
    process::Stdio,
};
use tempfile::TempDir;
use tokio::{
    io::AsyncWriteExt as _,
    process::{Child, Command},
};

/// The password of every organization's owner in these tests.
pub const PASSWORD: &str = "a long enough passphrase";

/// How to start.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Run on the embedded PostgreSQL even where `DATABASE_URL` is set.
    pub embedded: bool,
    /// More arguments for `stance serve`.
    pub arguments: Vec<String>,
}

/// A server and what it needs to be started again.
pub struct Stance {
    child: Option<Child>,
    options: Options,
    data: TempDir,
    database_url: Option<String>,
    /// `http://127.0.0.1:PORT`
    pub url: String,
    listen: String,
}

/// An organization made by `stance admin bootstrap`.
pub struct Organization {
    pub id: String,
    pub owner_email: String,
    pub client: Client,
}

/// The `stance` program under test.
///
/// # Errors
/// When it is not built.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("STANCE_BIN") {
        return Ok(path.into());
    }
    let test = std::env::current_exe()?;
    let folder = test.parent().and_then(Path::parent).context("the test has no target folder")?;
    let binary = folder.join("stance");
    ensure!(
        binary.exists(),
        "{} is missing: build it with `cargo build -p stance`, or set STANCE_BIN",
        binary.display()
    );
    Ok(binary)
}

impl Stance {
    /// Starts a server on a new data directory or database and waits until it is ready.
    ///
    /// # Errors
    /// When it does not become ready within 60 s.
    pub async fn start(options: Options) -> Result<Self> {
        // In /tmp: socket paths are limited to 107 bytes, and the unprivileged PostgreSQL user must reach it.
        let data = tempfile::Builder::new().prefix("stance-t").tempdir_in("/tmp")?;
        #[cfg(unix)]
        std::fs::set_permissions(data.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        std::fs::write(data.path().join("secret.key"), "5e".repeat(32))?;
        let database_url = match std::env::var("DATABASE_URL") {
            Ok(url) if !options.embedded => Some(new_database(&url).await?),
            _ => None,
        };
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let listen = format!("127.0.0.1:{port}");
        let mut stance = Self { child: None, options, data, database_url, url: format!("http://{listen}"), listen };
        stance.start_again().await?;
        Ok(stance)
    }

    /// Starts the server on the data that is there.
    ///
    /// # Errors
    /// When it does not become ready within 60 s.
    pub async fn start_again(&mut self) -> Result<()> {
        let log = std::fs::File::options().create(true).append(true).open(self.data.path().join("stance.log"))?;
        let mut command = self.command("serve")?;
        command.args(["--listen", &self.listen]).args(&self.options.arguments);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
        self.child = Some(command.spawn()?);
        let client = Client::anonymous(&self.url)?;
        let ready = crate::wait_for("the server to be ready", 60, || async {
            matches!(client.get("/readyz").await, Ok(answer) if answer.status().is_success()).then_some(())
        })
        .await;
        ready.with_context(|| self.log())
    }

    /// A `stance` command on this server's database.
    ///
    /// # Errors
    /// When the binary is missing.
    pub fn command(&self, subcommand: &str) -> Result<Command> {
        let mut command = Command::new(binary()?);
        command.args(subcommand.split(' '));
        match &self.database_url {
            Some(url) => command.args(["--database-url", url]),
            None => command.args(["--data-dir".as_ref(), self.data_dir().as_os_str()]),
        };
        if self.database_url.is_some() {
            command.env("STANCE_SECRET_KEY_FILE", self.secret_key());
        }
        command.env_remove("DATABASE_URL").env_remove("STANCE_DATABASE_URL").env_remove("STANCE_DATA_DIR");
        Ok(command)
    }

    /// A worker on this server's database; it is killed when what is returned is dropped.
    ///
    /// # Errors
    /// When the binary is missing.
    pub fn worker(&self, arguments: &[&str]) -> Result<Child> {
        let mut command = Command::new(binary()?);
        command.args(["worker", "--database-url", &self.database_url()]).args(arguments);
        command.env("STANCE_SECRET_KEY_FILE", self.secret_key());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        Ok(command.spawn()?)
    }

    fn secret_key(&self) -> PathBuf {
        let folder = if self.database_url.is_some() { self.data.path().to_owned() } else { self.data_dir() };
        folder.join("secret.key")
    }

    /// A `stance` command without a database.
    ///
    /// # Errors
    /// When the binary is missing.
    pub fn tool(&self) -> Result<Command> {
        Ok(Command::new(binary()?))
    }

    /// Where the server's database is, for what can not be brought about from outside.
    #[must_use]
    pub fn database_url(&self) -> String {
        let embedded = || format!("postgres://stance@localhost/stance?host={}", self.data_dir().join("run").display());
        self.database_url.clone().unwrap_or_else(embedded)
    }

    /// The data directory (used by the embedded PostgreSQL).
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.data.path().join("data")
    }

    /// What the server printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.data.path().join("stance.log")).unwrap_or_default()
    }

    /// The server's process id.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// kill -9.
    ///
    /// # Errors
    /// When there is no process.
    pub async fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("no server is running")?;
        child.kill().await?;
        Ok(())
    }

    /// SIGTERM; waits for the end and gives the exit code.
    ///
    /// # Errors
    /// When it does not end within 15 s.
    pub async fn terminate(&mut self) -> Result<Option<i32>> {
        let mut child = self.child.take().context("no server is running")?;
        let pid = child.id().context("the server ended already")?.to_string();
        ensure!(std::process::Command::new("kill").args(["-TERM", &pid]).status()?.success());
        let status = tokio::time::timeout(std::time::Duration::from_secs(15), child.wait())
            .await
            .context("SIGTERM did not end it")??;
        Ok(status.code())
    }

    /// Makes an organization with an owner, beside the running server.
    ///
    /// # Errors
    /// When the command fails, with what it printed.
    pub async fn bootstrap(&self, name: &str, email: &str) -> Result<Organization> {
        let mut command = self.command("admin bootstrap")?;
        command.args(["--organization", name, "--email", email, "--password-stdin", "--json"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut stdin = child.stdin.take().context("no stdin")?;
        stdin.write_all(format!("{PASSWORD}\n").as_bytes()).await?;
        drop(stdin);
        let output = child.wait_with_output().await?;
        ensure!(output.status.success(), "bootstrap failed: {}", String::from_utf8_lossy(&output.stderr));
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        let text = |key: &str| {
            answer[key].as_str().map(str::to_owned).with_context(|| format!("{key} is missing in {answer}"))
        };
        ensure!(answer["userId"].is_string(), "userId is missing in {answer}");
        Ok(Organization {
            id: text("organizationId")?,
            owner_email: email.to_owned(),
            client: Client::with_token(&self.url, &text("apiToken")?)?,
        })
    }
}

impl Drop for Stance {
    fn drop(&mut self) {
        // A killed server's PostgreSQL must not outlive the test.
        if let (None, Ok(pidfile)) =
            (&self.database_url, std::fs::read_to_string(self.data_dir().join("postgres/postmaster.pid")))
        {
            drop(self.child.take().map(|mut child| child.start_kill()));
            if let Some(pid) = pidfile.lines().next() {
                drop(std::process::Command::new("kill").args(["-INT", pid]).status());
            }
        }
    }
}

async fn new_database(cluster: &str) -> Result<String> {
    use sqlx::{Connection as _, Executor as _};
    let name = format!("stance_bb_{}", uuid::Uuid::new_v4().simple());
    let mut connection = sqlx::PgConnection::connect(cluster).await?;
    connection.execute(sqlx::AssertSqlSafe(format!("create database {name}"))).await?;
    let (base, query) = cluster.split_once('?').map_or((cluster, None), |(base, query)| (base, Some(query)));
    let slash = base.rfind('/').filter(|at| !base[..*at].ends_with('/')).context("DATABASE_URL names no database")?;
    Ok(format!("{}/{name}{}", &base[..slash], query.map(|q| format!("?{q}")).unwrap_or_default()))
}
