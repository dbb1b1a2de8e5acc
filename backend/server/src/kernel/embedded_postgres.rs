//! A private PostgreSQL in the data directory, so that `stance serve` alone is a whole installation.
//!
//! ```text
//! DATA_DIR/stance.lock   locked by the Stance that owns the directory; holds its process id
//! DATA_DIR/postgres/     the cluster, owned by an unprivileged user, since PostgreSQL refuses to run as root
//! DATA_DIR/run/          the socket (elsewhere when that path is too long for a socket)
//! ```
//!
//! There is no TCP port and no password: the socket's directory is closed to everybody but its owner. Stance restarts
//! the server when it dies. A server that outlived a killed Stance is shut down cleanly before a new one starts.

mod install;
mod process;

use install::{Installation, Owner};
use process::Postmaster;
use sqlx::postgres::PgConnectOptions;
use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::oneshot, task::JoinHandle};

/// The database and its user.
const NAME: &str = "stance";

/// What keeps a private PostgreSQL from starting; each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    #[error(
        "PostgreSQL {} or newer was not found in PATH, by `pg_config --bindir`, or in /usr/lib/postgresql/*/bin. Install \
         it, for example with `apt-get install -y postgresql`, or name a server with --database-url",
        install::OLDEST
    )]
    NotInstalled,
    #[error("{0} belongs to another Stance, process {1}. Stop that one, or choose another --data-dir")]
    InUse(PathBuf, String),
    #[error(
        "neither the user `postgres` nor `nobody` exists; PostgreSQL refuses to run as root. Create the user `postgres`"
    )]
    NoUser,
    #[error(
        "the user `{user}`, as whom PostgreSQL must run, can not reach {path}. Choose a --data-dir outside of private \
         directories, for example /var/lib/stance"
    )]
    Unreachable { user: String, path: PathBuf },
    #[error(
        "{path} was made by PostgreSQL {made}, but only {found} is installed. Install postgresql-{made}, or move the data \
         with pg_upgrade"
    )]
    OtherVersion { path: PathBuf, made: String, found: u32 },
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("PostgreSQL could not {action}: {output}")]
    Failed { action: &'static str, output: String },
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

type Result<T> = std::result::Result<T, EmbeddedError>;

/// A running private PostgreSQL, restarted when it dies.
pub struct EmbeddedPostgres {
    options: PgConnectOptions,
    stop: oneshot::Sender<()>,
    supervisor: JoinHandle<()>,
    _lock: File,
    /// Removed with the value; only when the socket could not be in the data directory.
    _socket_dir: Option<SocketDir>,
}

impl EmbeddedPostgres {
    /// Starts PostgreSQL on a data directory, which is made when it does not exist.
    ///
    /// # Errors
    /// See [`EmbeddedError`].
    pub async fn start(data_dir: &Path) -> Result<Self> {
        let installation = Installation::find()?;
        let owner = Owner::find()?;
        make_dir(data_dir, 0o755)?;
        let lock = lock(data_dir)?;

        let cluster = data_dir.join("postgres");
        let (socket, socket_dir) = socket_dir(data_dir)?;
        owner.take(&socket)?;
        owner.check_reach(data_dir)?;
        let installation = if cluster.exists() {
            process::stop_leftover(&cluster).await?;
            installation.match_version(&cluster)?
        } else {
            installation.initialize(&cluster, &owner).await?;
            installation
        };

        let postmaster = Arc::new(Postmaster { program: installation.program("postgres"), cluster, socket, owner });
        let child = postmaster.start().await?;
        let options = connect_options(&postmaster.socket);
        create_database(&options).await?;
        let (stop, stopped) = oneshot::channel();
        #[expect(
            clippy::disallowed_methods,
            reason = "`stop` waits for it, after everything that needs the database ended"
        )]
        let supervisor = tokio::spawn(async move { postmaster.supervise(child, stopped).await });
        Ok(Self { options, stop, supervisor, _lock: lock, _socket_dir: socket_dir })
    }

    /// How to connect.
    #[must_use]
    pub fn options(&self) -> PgConnectOptions {
        self.options.clone()
    }

    /// How to connect to the PostgreSQL that another Stance runs on the directory, if one does.
    #[must_use]
    pub fn running(data_dir: &Path) -> Option<PgConnectOptions> {
        // Whoever can take the lock is alone; then what the pid file says is a leftover.
        let file = File::open(data_dir.join("stance.lock")).ok()?;
        if file.try_lock_shared().is_ok() {
            return None;
        }
        process::PidFile::read(&data_dir.join("postgres")).map(|file| connect_options(&file.socket_dir))
    }

    /// Stops PostgreSQL: connections end, a checkpoint is written; at most two seconds, then without checkpoint, which
    /// costs the next start some time but no data.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        if let Err(error) = self.supervisor.await {
            tracing::error!(%error, "the supervisor of PostgreSQL failed");
        }
    }
}

/// Restricts a directory that is made here; one that exists keeps its mode.
fn make_dir(path: &Path, mode: u32) -> Result<()> {
    fs::DirBuilder::new().recursive(true).mode(mode).create(path).map_err(|source| file_error(path, source))
}

fn file_error(path: &Path, source: std::io::Error) -> EmbeddedError {
    EmbeddedError::File { path: path.to_owned(), source }
}

/// Takes the directory for this process; the kernel gives it back however the process ends.
fn lock(data_dir: &Path) -> Result<File> {
    let path = data_dir.join("stance.lock");
    let attempt = || -> std::io::Result<std::result::Result<File, String>> {
        let mut file = File::options().read(true).write(true).create(true).truncate(false).open(&path)?;
        if let Err(fs::TryLockError::WouldBlock) = file.try_lock() {
            let mut pid = String::new();
            file.read_to_string(&mut pid)?;
            return Ok(Err(pid.trim().to_owned()));
        }
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Ok(file))
    };
    match attempt() {
        Ok(Ok(file)) => Ok(file),
        Ok(Err(pid)) => Err(EmbeddedError::InUse(data_dir.to_owned(), pid)),
        Err(source) => Err(file_error(&path, source)),
    }
}

/// A directory for the socket outside of the data directory, removed at the end.
struct SocketDir(PathBuf);

impl Drop for SocketDir {
    fn drop(&mut self) {
        // Empty by now, unless PostgreSQL was killed; then a few bytes stay in a temporary directory.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Socket paths end at 107 bytes on Linux, 103 elsewhere.
const LONGEST_SOCKET: usize = 103;

fn socket_dir(data_dir: &Path) -> Result<(PathBuf, Option<SocketDir>)> {
    let near = data_dir.join("run");
    if near.join(".s.PGSQL.5432").as_os_str().len() <= LONGEST_SOCKET {
        make_dir(&near, 0o700)?;
        fs::set_permissions(&near, fs::Permissions::from_mode(0o700)).map_err(|source| file_error(&near, source))?;
        return Ok((near, None));
    }
    // A random name that must not exist yet: nobody can have prepared it.
    let away = PathBuf::from(format!("/tmp/stance-{:016x}", rand::random::<u64>()));
    fs::DirBuilder::new().mode(0o700).create(&away).map_err(|source| file_error(&away, source))?;
    Ok((away.clone(), Some(SocketDir(away))))
}

fn connect_options(socket_dir: &Path) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass().socket(socket_dir).port(5432).username(NAME).database(NAME)
}

async fn create_database(options: &PgConnectOptions) -> Result<()> {
    use sqlx::{ConnectOptions as _, Connection as _};
    let mut connection = options.clone().database("postgres").connect().await?;
    let exists: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
        .bind(NAME)
        .fetch_one(&mut connection)
        .await?;
    if !exists {
        sqlx::query("create database stance").execute(&mut connection).await?;
    }
    Ok(connection.close().await?)
}

/// How long a server may take to stop before it is told to leave its checkpoint.
const STOP: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
