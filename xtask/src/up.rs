//! A running Stance from a fresh clone, in one command.

use anyhow::{Context, Result, bail};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::shell::{self, step};
use crate::{frontend, provision};

#[derive(clap::Args)]
pub struct Options {
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: String,
}

/// Builds, starts, and stays until Ctrl-C. What is in the data directory survives: a second run goes on with it.
pub fn run(options: &Options) -> Result<()> {
    // Before minutes of work, and so that no other server answers in place of this one.
    drop(
        TcpListener::bind(&options.listen)
            .with_context(|| format!("{} is taken; choose another: --listen", options.listen))?,
    );
    step("PostgreSQL", provision::postgresql)?;
    step("dashboard (wasm)", frontend::build)?;
    // The whole workspace, so that `cargo xtask test` finds its dependencies compiled with the same features.
    step("stance", || shell::run(&mut shell::cargo(["build", "--workspace", "--bins"])))?;
    let (stance, data) = (shell::binary()?, data_dir());
    let mut serve = Command::new(&stance);
    serve.arg("serve").args(["--listen", &options.listen]).arg("--data-dir").arg(&data);
    let mut server = start(&mut serve)?;
    let url = format!("http://{}", options.listen);
    let started = step("start", || ready(&stance, &url, &mut server));
    if started.is_err() {
        // It may be gone already; then there is nothing to end.
        let _ = terminate(server.id());
        let _ = server.wait();
        return started;
    }
    println!("\n   Stance runs at {url} on the data in {}. Ctrl-C stops it.\n", data.display());
    let status = server.wait()?;
    if !status.success() {
        bail!("stance serve ended with {status}");
    }
    Ok(())
}

/// Inside the clone, except for root: PostgreSQL then runs as another user, who cannot reach into root's folders.
fn data_dir() -> PathBuf {
    if shell::is_root() { "/var/lib/stance-demo".into() } else { shell::root().join(".stance") }
}

/// Starts the server in a process group of its own, and passes Ctrl-C and SIGTERM on to it, so that it ends in order and once.
fn start(command: &mut Command) -> Result<Child> {
    use std::os::unix::process::CommandExt;
    let server = command.process_group(0).spawn().context("cannot start stance serve")?;
    let id = server.id();
    ctrlc::set_handler(move || {
        let _ = terminate(id);
    })?;
    Ok(server)
}

fn terminate(process: u32) -> Result<()> {
    shell::output(Command::new("kill").args(["-TERM", &process.to_string()])).map(|_| ())
}

/// Waits until the server takes requests.
fn ready(stance: &Path, url: &str, server: &mut Child) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(120);
    while shell::output(Command::new(stance).args(["healthcheck", "--server", url])).is_err() {
        if let Some(status) = server.try_wait()? {
            bail!("stance serve ended with {status}");
        }
        if Instant::now() > deadline {
            bail!("not ready after two minutes");
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}
