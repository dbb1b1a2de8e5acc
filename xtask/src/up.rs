//! A running Stance with the demo organization, from a fresh clone, in one command.

use anyhow::{Context, Result, bail};
use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
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
    drop(TcpListener::bind(&options.listen).with_context(|| format!("{} is taken; choose: --listen", options.listen))?);
    build()?;
    let data = data_dir();
    let mut demo = Demo::start(&data, &options.listen)?;
    println!("\n   Stance      {}", demo.url);
    println!("   sign in     {}\n   password    {}", demo.email, demo.password);
    println!("\n   Ctrl-C stops it. The data stays in {}\n", data.display());
    let status = demo.server.wait()?;
    if !status.success() {
        bail!("stance serve ended with {status}");
    }
    Ok(())
}

/// All that a demo needs.
pub fn build() -> Result<()> {
    step("PostgreSQL", provision::postgresql)?;
    step("dashboard (wasm)", frontend::build)?;
    // The whole workspace, so that `cargo xtask test` finds its dependencies compiled with the same features.
    step("stance", || shell::run(&mut shell::cargo(["build", "--workspace", "--bins"])))
}

/// Inside the clone, except for root: PostgreSQL then runs as another user, who cannot reach into root's folders.
fn data_dir() -> PathBuf {
    if shell::is_root() { "/var/lib/stance-demo".into() } else { shell::root().join(".stance") }
}

/// A server on the demo organization's data. Dropping it, Ctrl-C and SIGTERM end the server in order.
pub struct Demo {
    server: Child,
    pub url: String,
    pub email: String,
    pub password: String,
}

impl Demo {
    /// Makes the organization where the directory has none, and starts the server.
    pub fn start(data: &Path, listen: &str) -> Result<Demo> {
        let stance = shell::binary()?;
        // The password is random and the database has only its hash.
        let file = data.join("demo.json");
        if !file.exists() {
            step("demo organization", || make(&stance, data, &file))?;
        }
        let sign_in: serde_json::Value = serde_json::from_str(&fs::read_to_string(&file)?)?;
        let text = |key: &str| -> Result<String> {
            Ok(sign_in[key].as_str().with_context(|| format!("no {key} in {}", file.display()))?.to_owned())
        };

        let mut serve = Command::new(&stance);
        serve.arg("serve").args(["--listen", listen]).arg("--data-dir").arg(data);
        quiet(&mut serve);
        // In a process group of its own, so that Ctrl-C reaches it once, from here.
        let server = serve.process_group(0).spawn().context("cannot start stance serve")?;
        let id = server.id();
        let mut demo =
            Demo { server, url: format!("http://{listen}"), email: text("email")?, password: text("password")? };
        ctrlc::set_handler(move || terminate(id))?;
        step("start", || demo.ready(&stance))?;
        Ok(demo)
    }

    /// Waits until the server takes requests.
    fn ready(&mut self, stance: &Path) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(120);
        while shell::output(Command::new(stance).args(["healthcheck", "--server", &self.url])).is_err() {
            if let Some(status) = self.server.try_wait()? {
                bail!("stance serve ended with {status}");
            }
            if Instant::now() > deadline {
                bail!("not ready after two minutes");
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if let Ok(None) = self.server.try_wait() {
            terminate(self.server.id());
            // Nothing can be done about an error here.
            let _ = self.server.wait();
        }
    }
}

fn make(stance: &Path, data: &Path, file: &Path) -> Result<()> {
    let mut command = Command::new(stance);
    command.args(["admin", "demo", "--data-dir"]).arg(data);
    quiet(&mut command);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("`stance admin demo` ended with {}. To begin anew, remove {}", output.status, data.display());
    }
    Ok(fs::File::options().write(true).create_new(true).mode(0o600).open(file)?.write_all(&output.stdout)?)
}

/// Only what goes wrong is printed, so that the address and the password stay in sight; `RUST_LOG=info` shows all.
fn quiet(stance: &mut Command) {
    if std::env::var_os("RUST_LOG").is_none() {
        stance.env("RUST_LOG", "warn");
    }
}

fn terminate(process: u32) {
    // It may have ended by itself in the meantime.
    let _ = shell::output(Command::new("kill").args(["-TERM", &process.to_string()]));
}
