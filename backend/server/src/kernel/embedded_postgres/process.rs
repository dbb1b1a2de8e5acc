//! The server process: start, watch, stop, and what a killed Stance left behind.

use super::{EmbeddedError, Result, STOP, connect_options, file_error, install::Owner};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use sqlx::{ConnectOptions as _, Connection as _};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{
    process::{Child, Command},
    sync::oneshot,
    time::{Instant, sleep, timeout},
};

/// How long a start may take; after a crash PostgreSQL first replays its log.
const START: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(20);

/// The settings. Durable (`fsync` stays on), for one machine that also runs other things, and for loads of many rows.
/// Without replicas nothing needs more than the minimal log, so a backup is made with `pg_dump`.
const SETTINGS: &[&str] = &[
    "listen_addresses=",
    "port=5432",
    "unix_socket_permissions=0700",
    "max_connections=100",
    "shared_buffers=256MB",
    "effective_cache_size=1GB",
    "work_mem=16MB",
    "maintenance_work_mem=128MB",
    "random_page_cost=1.1",
    // Statements are short; compiling them costs more than it saves.
    "jit=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_wal_size=4GB",
    "wal_compression=on",
    "checkpoint_timeout=15min",
    "autovacuum_naptime=15s",
    "timezone=UTC",
    "log_timezone=UTC",
    "logging_collector=on",
    "log_directory=log",
    "log_filename=postgres-%a.log",
    "log_truncate_on_rotation=on",
    "log_rotation_age=1d",
    "log_rotation_size=0",
    // Details quote the values of rows, and those come from reports.
    "log_error_verbosity=terse",
];

/// How to start the server.
pub struct Postmaster {
    pub program: PathBuf,
    pub cluster: PathBuf,
    pub socket: PathBuf,
    pub owner: Owner,
}

impl Postmaster {
    /// Starts the server and waits until it answers.
    pub async fn start(&self) -> Result<Child> {
        let early = self.cluster.with_file_name("postgres.stderr");
        let stderr = File::create(&early).map_err(|source| file_error(&early, source))?;
        let mut command = Command::new(&self.program);
        command.arg("-D").arg(&self.cluster).arg("-k").arg(&self.socket);
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        self.owner.apply(&mut command);
        // In a process group of its own: Ctrl-C in a terminal is for Stance, which stops PostgreSQL last.
        command.current_dir("/").process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        let failed = |output: String| EmbeddedError::Failed { action: "start", output };
        let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;

        let options = connect_options(&self.socket).database("postgres");
        let deadline = Instant::now() + START;
        loop {
            if let Ok(Some(status)) = child.try_wait() {
                let said = fs::read_to_string(&early).unwrap_or_default();
                return Err(failed(format!(
                    "it ended with {status}; {} Its log is in {}",
                    said.trim(),
                    self.cluster.join("log").display()
                )));
            }
            match options.connect().await {
                Ok(connection) => {
                    let _ = connection.close().await;
                    return Ok(child);
                }
                Err(error) if Instant::now() > deadline => {
                    stop(&mut child).await;
                    return Err(failed(format!("it does not answer: {error}")));
                }
                Err(_) => sleep(POLL).await,
            }
        }
    }

    /// Restarts the server when it ends by itself; stops it when told.
    pub async fn supervise(&self, mut child: Child, mut stopped: oneshot::Receiver<()>) {
        loop {
            let status = tokio::select! {
                _ = &mut stopped => return stop(&mut child).await,
                status = child.wait() => status,
            };
            tracing::error!(?status, "PostgreSQL ended unexpectedly; starting it again");
            child = loop {
                let pause = tokio::select! {
                    _ = &mut stopped => return,
                    started = self.start() => match started {
                        Ok(child) => break child,
                        // Processes of the old server may still be at work.
                        Err(error) => { tracing::error!(%error, "PostgreSQL"); Duration::from_millis(500) }
                    }
                };
                sleep(pause).await;
            };
            tracing::info!("PostgreSQL runs again");
        }
    }
}

/// Fast shutdown, then immediate.
async fn stop(child: &mut Child) {
    for (signal, patience) in [(Signal::INT, STOP), (Signal::QUIT, Duration::from_secs(2))] {
        let Some(pid) = child.id().and_then(|id| Pid::from_raw(id.cast_signed())) else { return };
        let _ = kill_process(pid, signal);
        if timeout(patience, child.wait()).await.is_ok() {
            return;
        }
    }
    let _ = child.kill().await;
}

/// The lines of `postmaster.pid` that matter.
pub struct PidFile {
    pid: Pid,
    /// Where its socket is.
    pub socket_dir: PathBuf,
}

impl PidFile {
    /// Reads the cluster's pid file; `None` when no server runs, or it is just starting.
    pub fn read(cluster: &Path) -> Option<Self> {
        let text = fs::read_to_string(cluster.join("postmaster.pid")).ok()?;
        let lines: Vec<&str> = text.lines().collect();
        // Process, data directory, start time, port, socket directory.
        let pid = Pid::from_raw(lines.first()?.trim().parse().ok()?)?;
        Some(Self { pid, socket_dir: PathBuf::from(lines.get(4).copied().unwrap_or_default()) })
    }
}

/// Shuts down a server of this cluster that outlived its Stance, so that the new one is ours to watch.
pub async fn stop_leftover(cluster: &Path) -> Result<()> {
    let Some(PidFile { pid, .. }) = PidFile::read(cluster) else { return Ok(()) };
    if !runs(pid, cluster) {
        // Its number may belong to another process by now, which PostgreSQL would take for the server.
        let path = cluster.join("postmaster.pid");
        return fs::remove_file(&path).map_err(|source| file_error(&path, source));
    }
    tracing::warn!(pid = pid.as_raw_nonzero().get(), "stopping the PostgreSQL that a killed Stance left behind");
    for (signal, patience) in [(Signal::INT, Duration::from_secs(30)), (Signal::QUIT, Duration::from_secs(10))] {
        let _ = kill_process(pid, signal);
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if !runs(pid, cluster) {
                return Ok(());
            }
            sleep(POLL).await;
        }
    }
    Err(EmbeddedError::Failed { action: "stop", output: format!("process {} does not end", pid.as_raw_nonzero()) })
}

/// Whether the process lives and is this cluster's server, which works in its cluster's directory.
fn runs(pid: Pid, cluster: &Path) -> bool {
    let directory = Path::new("/proc").join(pid.as_raw_nonzero().to_string()).join("cwd");
    match (fs::read_link(directory), fs::canonicalize(cluster)) {
        (Ok(at), Ok(cluster)) => at == cluster,
        // Where there is no /proc, the pid file is believed.
        _ => !Path::new("/proc/self").exists() && test_kill_process(pid).is_ok(),
    }
}
