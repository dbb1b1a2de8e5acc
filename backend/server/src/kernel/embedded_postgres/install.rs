//! Which PostgreSQL, as which user, and the making of a cluster.

use super::{EmbeddedError, Result, file_error};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt as _, chown},
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The oldest PostgreSQL that Stance runs on.
pub const OLDEST: u32 = 14;

/// A folder with `postgres` and `initdb` of one version.
pub struct Installation {
    bin: PathBuf,
    version: u32,
    others: BTreeMap<u32, PathBuf>,
}

impl Installation {
    /// Finds the newest one.
    pub fn find() -> Result<Self> {
        let mut folders: Vec<PathBuf> =
            std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
        if let Ok(Output { status, stdout, .. }) = Command::new("pg_config").arg("--bindir").output()
            && status.success()
        {
            folders.push(String::from_utf8_lossy(&stdout).trim().into());
        }
        if let Ok(versions) = fs::read_dir("/usr/lib/postgresql") {
            folders.extend(versions.flatten().map(|version| version.path().join("bin")));
        }
        let others: BTreeMap<u32, PathBuf> = folders
            .into_iter()
            // Through links, since programs of one version may be linked one by one into a folder of the PATH.
            .filter_map(|folder| Some(fs::canonicalize(folder.join("postgres")).ok()?.parent()?.to_owned()))
            .filter(|bin| bin.join("initdb").exists())
            .filter_map(|bin| Some((version(&bin)?, bin)))
            .filter(|(version, _)| *version >= OLDEST)
            .collect();
        let (version, bin) = others.last_key_value().ok_or(EmbeddedError::NotInstalled)?;
        Ok(Self { bin: bin.clone(), version: *version, others: others.clone() })
    }

    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// A cluster can only be run by the major version that made it: changes to that one if it is installed.
    pub fn match_version(mut self, cluster: &Path) -> Result<Self> {
        let path = cluster.join("PG_VERSION");
        let made = fs::read_to_string(&path).map_err(|source| file_error(&path, source))?.trim().to_owned();
        match made.parse().ok().and_then(|version| self.others.get(&version)) {
            Some(bin) => self.bin.clone_from(bin),
            None => return Err(EmbeddedError::OtherVersion { path: cluster.to_owned(), made, found: self.version }),
        }
        Ok(self)
    }

    /// Makes a cluster; all or nothing, so that a crash meanwhile leaves none behind that is half made.
    pub async fn initialize(&self, cluster: &Path, owner: &Owner) -> Result<()> {
        let unfinished = cluster.with_extension("unfinished");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(|source| file_error(&unfinished, source))?;
        }
        super::make_dir(&unfinished, 0o700)?;
        owner.take(&unfinished)?;
        tracing::info!(directory = %cluster.display(), version = self.version, "making a PostgreSQL cluster");
        let mut command = tokio::process::Command::new(self.program("initdb"));
        command.arg("--pgdata").arg(&unfinished).args([
            "--username=stance",
            "--auth=trust",
            "--encoding=UTF8",
            // Byte order is the same everywhere and for ever, so no system update can break an index.
            "--lc-collate=C",
            "--lc-ctype=C.UTF-8",
            "--data-checksums",
        ]);
        // Where it starts, it must be able to be.
        owner.apply(command.current_dir("/"));
        let failed = |output: String| EmbeddedError::Failed { action: "make a cluster", output };
        let output = command.output().await.map_err(|error| failed(error.to_string()))?;
        if !output.status.success() {
            return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        fs::rename(&unfinished, cluster).map_err(|source| file_error(cluster, source))
    }
}

fn version(bin: &Path) -> Option<u32> {
    let output = Command::new(bin.join("postgres")).arg("--version").output().ok()?;
    // postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let number = text.split_once("(PostgreSQL) ")?.1;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Who runs PostgreSQL: as root another user, else oneself.
pub enum Owner {
    Oneself,
    Other { name: String, uid: u32, gid: u32 },
}

impl Owner {
    pub fn find() -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self::Oneself);
        }
        let path = Path::new("/etc/passwd");
        let users = fs::read_to_string(path).map_err(|source| file_error(path, source))?;
        ["postgres", "nobody"].iter().find_map(|name| passwd_entry(&users, name)).ok_or(EmbeddedError::NoUser)
    }

    /// Gives a directory to the user.
    pub fn take(&self, path: &Path) -> Result<()> {
        match self {
            Self::Oneself => Ok(()),
            Self::Other { uid, gid, .. } => {
                chown(path, Some(*uid), Some(*gid)).map_err(|source| file_error(path, source))
            }
        }
    }

    /// Drops to the user.
    pub fn apply(&self, command: &mut tokio::process::Command) {
        if let Self::Other { uid, gid, .. } = self {
            command.uid(*uid).gid(*gid);
        }
    }

    /// Refuses a directory that the user can not reach, which PostgreSQL would say less clearly.
    pub fn check_reach(&self, path: &Path) -> Result<()> {
        let Self::Other { name, uid, gid } = self else { return Ok(()) };
        let path = fs::canonicalize(path).map_err(|source| file_error(path, source))?;
        for ancestor in path.ancestors() {
            let meta = fs::metadata(ancestor).map_err(|source| file_error(ancestor, source))?;
            let enter = match (meta.uid() == *uid, meta.gid() == *gid) {
                (true, _) => 0o100,
                (false, true) => 0o010,
                (false, false) => 0o001,
            };
            if meta.mode() & enter == 0 {
                return Err(EmbeddedError::Unreachable { user: name.clone(), path: ancestor.to_owned() });
            }
        }
        Ok(())
    }
}

fn passwd_entry(users: &str, wanted: &str) -> Option<Owner> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| *name == wanted)?.to_owned();
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(Owner::Other { name, uid, gid })
    })
}
