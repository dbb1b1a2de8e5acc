//! The dashboard's browser side: compiled to WebAssembly, bound to JavaScript, compressed, and laid out in `target/site`, which the
//! server embeds when it is compiled.

use anyhow::Result;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use wasm_bindgen_cli_support::Bindgen;

use crate::provision::{self, WasmToolchain};
use crate::shell;

/// Text formats that are worth a compressed sibling (`name.br`); fonts and images are compressed already.
const COMPRESSED: [&str; 5] = ["css", "js", "json", "svg", "wasm"];

/// Builds `target/site`. Files that have not changed are left alone, so that the server is not compiled again for them.
pub fn build() -> Result<()> {
    let toolchain = provision::wasm()?;
    let wasm = compile(&toolchain)?;
    let target = shell::target_dir()?;
    let bound = target.join("wasm/bound");
    let stamp = target.join("wasm/bound.stamp");
    let module = std::fs::read(&wasm)?;
    // wasm-bindgen takes seconds; the same module gives the same result.
    if !bound.is_dir() || std::fs::read(&stamp).ok().as_deref() != Some(&shell::digest(&module)) {
        if bound.exists() {
            std::fs::remove_dir_all(&bound)?;
        }
        Bindgen::new().input_path(&wasm).web(true)?.typescript(false).out_name("stance").generate(&bound)?;
        std::fs::write(&stamp, shell::digest(&module))?;
    }

    let site = shell::root().join("target/site");
    let mut kept = BTreeSet::new();
    copy(&bound, &site.join("pkg"), &mut kept)?;
    copy(&shell::root().join("frontend/assets"), &site, &mut kept)?;
    remove_others(&site, &kept)
}

fn compile(toolchain: &WasmToolchain) -> Result<PathBuf> {
    // A folder of its own: the compiler may be another one than the server's, and the two builds do not wait for each other's lock.
    let folder = shell::target_dir()?.join("wasm");
    let mut cargo = shell::cargo([
        "build",
        "--package",
        "stance-frontend",
        "--lib",
        "--no-default-features",
        "--features",
        "hydrate",
    ]);
    cargo.args(["--target", provision::WASM, "--profile", "wasm-release", "--target-dir"]).arg(&folder);
    shell::run(cargo.envs(toolchain.environment.iter().cloned()))?;
    Ok(folder.join(provision::WASM).join("wasm-release/stance_frontend.wasm"))
}

/// Copies a folder's files and makes their compressed siblings, and notes every name it has made.
fn copy(from: &Path, to: &Path, kept: &mut BTreeSet<PathBuf>) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let source = entry?.path();
        let destination = to.join(source.file_name().unwrap_or_default());
        if source.is_dir() {
            copy(&source, &destination, kept)?;
            continue;
        }
        let compressed = source
            .extension()
            .and_then(|extension| extension.to_str())
            .filter(|extension| COMPRESSED.contains(extension));
        let sibling = compressed.map(|extension| destination.with_extension(format!("{extension}.br")));
        let bytes = std::fs::read(&source)?;
        if std::fs::read(&destination).ok().as_deref() != Some(&bytes)
            || sibling.as_ref().is_some_and(|path| !path.exists())
        {
            if let Some(sibling) = &sibling {
                std::fs::write(sibling, brotli(&bytes)?)?;
            }
            std::fs::write(&destination, bytes)?;
        }
        kept.extend(sibling);
        kept.insert(destination);
    }
    Ok(())
}

fn remove_others(folder: &Path, kept: &BTreeSet<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            remove_others(&path, kept)?;
        } else if !kept.contains(&path) {
            std::fs::remove_file(&path)?;
        }
    }
    Ok(())
}

fn brotli(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut compressor = brotli::CompressorWriter::new(Vec::new(), 1 << 16, 11, 22);
    compressor.write_all(bytes)?;
    Ok(compressor.into_inner())
}
