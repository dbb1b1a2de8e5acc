//! A Rust compiler with the target `wasm32-unknown-unknown`.
//!
//! rustup's is the first choice. Where rustup can fetch nothing, Debian's own compiler is unpacked into a private folder; it comes
//! without a standard library for the target, so that one is built once from Debian's sources.

use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::debian;
use crate::shell;

pub const TARGET: &str = "wasm32-unknown-unknown";

/// What a `cargo build --target wasm32-unknown-unknown` must have in its environment.
#[derive(Default)]
pub struct WasmToolchain {
    pub environment: Vec<(&'static str, OsString)>,
}

/// Finds or prepares the compiler.
pub fn wasm() -> Result<WasmToolchain> {
    if has_target(&mut Command::new("rustc")) {
        return Ok(WasmToolchain::default());
    }
    let folder = cache_folder()?;
    if let Some(toolchain) = private(&folder) {
        return toolchain;
    }
    println!("   rustup target add {TARGET}");
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "add", TARGET]).env("RUSTUP_MAX_RETRIES", "1").stdin(Stdio::null());
    let refused = match shell::output(&mut rustup) {
        Ok(_) if has_target(&mut Command::new("rustc")) => return Ok(WasmToolchain::default()),
        Ok(_) => "rustup added the target to another toolchain than the one in use".to_owned(),
        Err(error) => format!("{error:#}"),
    };
    if shell::which("apt-get").is_none() {
        bail!("{refused}\nRun where the network allows it: rustup target add {TARGET}");
    }
    println!("   rustup cannot; preparing Debian's compiler in {} (about a minute)", folder.display());
    prepare(&folder).with_context(|| {
        format!("{refused}\nRun where the network allows it: rustup target add {TARGET}\nor, for Debian's compiler: sudo apt-get update")
    })?;
    private(&folder).context("the prepared compiler lacks the target")?
}

/// Survives `cargo clean` and serves every clone on the machine.
fn cache_folder() -> Result<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache
        .or_else(|| Some(std::env::home_dir()?.join(".cache")))
        .context("neither XDG_CACHE_HOME nor HOME is set")?;
    Ok(cache.join("stance").join("wasm-toolchain"))
}

fn has_target(rustc: &mut Command) -> bool {
    let Ok(folder) = shell::output(rustc.args(["--print", "target-libdir", "--target", TARGET])) else { return false };
    std::fs::read_dir(folder.trim())
        .is_ok_and(|entries| entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-")))
}

/// The toolchain unpacked in this folder, if it is complete.
fn private(folder: &Path) -> Option<Result<WasmToolchain>> {
    let environment = compiler_environment(folder);
    let mut rustc = Command::new(rustc(folder));
    rustc.envs(environment.iter().cloned());
    has_target(&mut rustc).then(|| {
        let mut environment = environment;
        environment.push(("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker()?.into()));
        Ok(WasmToolchain { environment })
    })
}

fn rustc(folder: &Path) -> PathBuf {
    folder.join("usr/bin/rustc")
}

fn compiler_environment(folder: &Path) -> Vec<(&'static str, OsString)> {
    let libraries = folder.join(format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH));
    vec![("RUSTC", rustc(folder).into()), ("LD_LIBRARY_PATH", libraries.into())]
}

/// The linker that comes with rustup's compiler; Debian's package has none.
fn linker() -> Result<PathBuf> {
    let sysroot = shell::output(Command::new("rustc").args(["--print", "sysroot"]))?;
    let host = shell::output(Command::new("rustc").args(["--print", "host-tuple"]))?;
    let linker = Path::new(sysroot.trim()).join("lib/rustlib").join(host.trim()).join("bin/rust-lld");
    if !linker.is_file() {
        bail!("{} is missing: install Rust with rustup", linker.display());
    }
    Ok(linker)
}

/// Unpacks Debian's compiler beside `folder`, builds the standard library for the target, and moves the result into place.
fn prepare(folder: &Path) -> Result<()> {
    let work = folder.with_extension(std::process::id().to_string());
    std::fs::create_dir_all(&work)?;
    let library = debian::dependency("libstd-rust-web-dev", "libstd-rust-web-")?;
    let llvm = debian::dependency(&library, "libllvm")?;
    let packages = ["rustc-web".to_owned(), "libstd-rust-web-dev".to_owned(), "rust-web-src".to_owned(), library, llvm];
    debian::unpack(&packages, &work)?;

    let empty = work.join("empty");
    std::fs::create_dir_all(empty.join("src"))?;
    std::fs::write(empty.join("src/lib.rs"), "")?;
    std::fs::write(empty.join("Cargo.toml"), "[package]\nname = \"empty\"\nedition = \"2024\"\n[workspace]\n")?;
    let mut build = Command::new("cargo");
    build.args([
        "build",
        "--release",
        "--target",
        TARGET,
        "-Zbuild-std=std,panic_abort,proc_macro",
        "--target-dir",
        "target",
    ]);
    // The flag is meant for nightly compilers; this lets a stable one take it.
    build.current_dir(&empty).envs(compiler_environment(&work)).env("RUSTC_BOOTSTRAP", "1").env_remove("RUSTFLAGS");
    shell::run(&mut build)?;

    let libraries = work.join("usr/lib/rustlib").join(TARGET).join("lib");
    std::fs::create_dir_all(&libraries)?;
    for entry in std::fs::read_dir(empty.join("target").join(TARGET).join("release/deps"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if (name.ends_with(".rlib") || name.ends_with(".rmeta")) && !name.starts_with("libempty-") {
            std::fs::copy(&path, libraries.join(name))?;
        }
    }
    // Half a gigabyte that served its purpose.
    std::fs::remove_dir_all(&empty)?;
    std::fs::remove_dir_all(work.join("usr/src"))?;
    match std::fs::rename(&work, folder) {
        // Another clone was faster; its result is as good.
        Err(_) if private(folder).is_some() => Ok(std::fs::remove_dir_all(&work)?),
        done => Ok(done?),
    }
}
