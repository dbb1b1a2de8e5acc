//! A private PostgreSQL cluster for tests and generated files: on a unix socket only, fast rather than durable, gone at the end.

use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::shell;

/// Durability costs time and a cluster that is thrown away needs none. Tests run many databases at once.
const SETTINGS: &str = "fsync=off synchronous_commit=off full_page_writes=off max_connections=400 shared_buffers=256MB \
    max_wal_senders=0 wal_level=minimal listen_addresses= ";

/// A running cluster. Dropping it, Ctrl-C and SIGTERM stop it and remove its files.
pub struct Cluster {
    programs: PathBuf,
    folder: PathBuf,
    owner: Option<(u32, u32)>,
}

impl Cluster {
    /// Starts a new, empty cluster with the programs of this folder.
    pub fn start(programs: &Path) -> Result<Cluster> {
        remove_left_behind(programs);
        // Short, since a socket's path may have at most 107 bytes, and outside of home folders, which the unprivileged user cannot reach.
        let folder = std::env::temp_dir().join(format!("stance-pg-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        // PostgreSQL refuses to run as root.
        let owner = shell::is_root().then(unprivileged_user).transpose()?;
        if let Some((user, group)) = owner {
            chown(&folder, Some(user), Some(group))?;
        }
        let cluster = Cluster { programs: programs.to_owned(), folder, owner };
        cluster.stop_on_signal()?;

        let data = cluster.data();
        shell::output(
            cluster
                .program("initdb")
                .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "-D"])
                .arg(&data),
        )?;
        let log = std::fs::File::create(cluster.folder.join("log"))?;
        let mut server = cluster.program("postgres");
        server.arg("-D").arg(&data).arg("-k").arg(&cluster.folder);
        for setting in SETTINGS.split_whitespace() {
            server.args(["-c", setting]);
        }
        // In a process group of its own, so that Ctrl-C reaches the programs that use it first.
        let mut server = server.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0).spawn()?;

        let deadline = Instant::now() + Duration::from_secs(30);
        while cluster.sql("postgres", &["-c", "select 1"]).is_err() {
            if server.try_wait()?.is_some() || Instant::now() > deadline {
                bail!(
                    "PostgreSQL does not start:\n{}",
                    std::fs::read_to_string(cluster.folder.join("log")).unwrap_or_default()
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(cluster)
    }

    /// The address of one of its databases, as the superuser.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@localhost/{database}?host={}", self.folder.display())
    }

    /// Runs psql with these arguments and stops at the first error.
    pub fn sql<S: AsRef<OsStr>>(&self, database: &str, arguments: &[S]) -> Result<()> {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d"]).arg(self.url(database)).args(arguments);
        shell::output(psql.env("PGOPTIONS", "--client-min-messages=warning")).map(|_| ())
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// One of PostgreSQL's server programs, run by the user who owns the cluster.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.current_dir(&self.folder);
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        command
    }

    fn stop_on_signal(&self) -> Result<()> {
        let (programs, folder, owner) = (self.programs.clone(), self.folder.clone(), self.owner);
        ctrlc::set_handler(move || {
            drop(Cluster { programs: programs.clone(), folder: folder.clone(), owner });
            std::process::exit(130);
        })
        .context("cannot listen for signals")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Nothing can be done about an error here, and the next start cleans up what is left.
        let _ = shell::output(self.program("pg_ctl").args(["stop", "-m", "immediate", "-D"]).arg(self.data()));
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Ends clusters whose task was killed before it could.
fn remove_left_behind(programs: &Path) {
    let Ok(entries) = std::fs::read_dir(std::env::temp_dir()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(process) = name.strip_prefix("stance-pg-") else { continue };
        if Path::new("/proc").is_dir() && !Path::new("/proc").join(process).exists() {
            let owner = if shell::is_root() { unprivileged_user().ok() } else { None };
            drop(Cluster { programs: programs.to_owned(), folder: entry.path(), owner });
        }
    }
}

/// User and group id of `postgres`, or of `nobody` where no such user exists.
fn unprivileged_user() -> Result<(u32, u32)> {
    let users = std::fs::read_to_string("/etc/passwd")?;
    let find = |name: &str| {
        let fields: Vec<&str> =
            users.lines().map(|line| line.split(':').collect()).find(|fields: &Vec<&str>| fields[0] == name)?;
        Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
    };
    find("postgres").or_else(|| find("nobody")).context("/etc/passwd has neither a user `postgres` nor `nobody`")
}
