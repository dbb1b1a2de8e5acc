//! The server is compiled again when the dashboard or the migrations change; both are embedded.

fn main() -> std::io::Result<()> {
    // `cargo xtask` lays the dashboard out there. Without it the server has no pages' styles and scripts, but compiles.
    std::fs::create_dir_all("../../target/site")?;
    println!("cargo::rerun-if-changed=../../target/site");
    println!("cargo::rerun-if-changed=../../migrations");
    Ok(())
}
