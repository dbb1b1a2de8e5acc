//! What a report came in: its bytes as they are, gzip, or a zip archive with one report in it (whose member may be gzip).
//!
//! One upload is one report: it has one hash, one run and one answer, and what it does not mention is judged by it alone. So an
//! archive of several is refused by name; the command line takes many files, and patterns, at once.
//!
//! Unpacking is streaming and bounded: by total size, by the ratio to what was sent, by the number of members and by nesting.

use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;

use flate2::read::{DeflateDecoder, MultiGzDecoder};
use zip::{CompressionMethod, ZipArchive};

use crate::{ImportError, REGISTRY, SNIFF_BYTES, Source, text};

/// What a report may grow to when it is unpacked.
pub const MAX_UNPACKED: u64 = 16 << 30;

/// How many times larger than what was sent a report may become. Reports of real tools reach about 40.
pub const MAX_RATIO: u64 = 250;

/// Up to this size the ratio does not matter.
const RATIO_FROM: u64 = 64 << 20;

/// Files in one zip archive.
const MAX_MEMBERS: usize = 1000;

/// What may be read to find the members of a zip archive: its directory, and the beginning of each.
const MAX_DIRECTORY_BYTES: u64 = 8 << 20;

/// Bytes as they were sent, which can be read from any place.
pub trait Stored {
    /// How many there are.
    fn size(&self) -> u64;

    /// Opens them at `offset`.
    ///
    /// # Errors
    /// When they can not be read.
    fn open_at(&self, offset: u64) -> io::Result<Box<dyn Read + '_>>;
}

impl Stored for &[u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn open_at(&self, offset: u64) -> io::Result<Box<dyn Read + '_>> {
        Ok(Box::new(usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default()))
    }
}

/// A report in its container.
#[derive(Debug)]
pub struct Contained<S> {
    stored: S,
    /// Of a zip archive, the member that is the report.
    member: Option<Member>,
    is_gzip: bool,
}

/// A file in a zip archive.
#[derive(Clone, Debug)]
struct Member {
    name: String,
    /// Where its data begin in the archive, and how many they are.
    start: u64,
    bytes: u64,
    is_deflated: bool,
}

impl<S: Stored> Contained<S> {
    /// Finds out what `stored` is, by its first bytes and not by what anybody says of it.
    ///
    /// # Errors
    /// [`ImportError::Malformed`] for a zip archive that is broken, encrypted, or has no report or several;
    /// [`ImportError::TooLarge`] for one with too many members.
    pub fn new(stored: S) -> Result<Self, ImportError> {
        let mut contained = Self { stored, member: None, is_gzip: false };
        if contained.is_zip()? {
            contained.member = Some(contained.find_member()?);
            if contained.is_zip()? {
                return Err(malformed("the zip archive has a zip archive in it; send that one alone"));
            }
        }
        contained.is_gzip = contained.begins_with(b"\x1f\x8b")?;
        Ok(contained)
    }

    /// With members, or without any.
    fn is_zip(&self) -> Result<bool, ImportError> {
        Ok(self.begins_with(b"PK\x03\x04")? || self.begins_with(b"PK\x05\x06")?)
    }

    fn begins_with(&self, magic: &[u8]) -> Result<bool, ImportError> {
        let mut head = Vec::new();
        self.open()?.take(magic.len() as u64).read_to_end(&mut head)?;
        Ok(head == magic)
    }

    /// The one member of a zip archive that is a report: the only file, or the only one whose format is known.
    fn find_member(&self) -> Result<Member, ImportError> {
        let files = members(&self.stored)?;
        if let [only] = &files[..] {
            return Ok(only.clone());
        }
        let mut reports = Vec::new();
        for member in &files {
            let mut alone = Contained { stored: Borrowed(&self.stored), member: Some(member.clone()), is_gzip: false };
            alone.is_gzip = alone.begins_with(b"\x1f\x8b")?;
            let mut head = Vec::new();
            alone.open()?.take(SNIFF_BYTES as u64).read_to_end(&mut head)?;
            if REGISTRY.iter().any(|importer| importer.sniff(&head)) {
                reports.push(member);
            }
        }
        match reports[..] {
            [report] => Ok(report.clone()),
            [] if files.is_empty() => Err(malformed("the zip archive has no files")),
            [] => Err(malformed(format!(
                "none of the {} files in the zip archive is a report of a known format",
                files.len()
            ))),
            [..] => {
                let names: Vec<_> = reports.iter().take(5).map(|member| text::one_line(&member.name, 100)).collect();
                Err(malformed(format!(
                    "the zip archive has {} reports; unpack it and send each by itself, for example with “stance import reports/*”: {}",
                    reports.len(),
                    names.join(", ")
                )))
            }
        }
    }
}

impl<S: Stored> Source for Contained<S> {
    fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        let sent = Rc::new(Cell::new(0));
        let start = self.member.as_ref().map_or(0, |member| member.start);
        let stored = Counted { inner: self.stored.open_at(start)?, count: sent.clone() };
        let unpacked: Box<dyn Read + '_> = match (&self.member, self.is_gzip) {
            (None, false) => return Ok(Box::new(stored)),
            (None, true) => Box::new(MultiGzDecoder::new(stored)),
            (Some(member), is_gzip) => {
                let data = stored.take(member.bytes);
                let data: Box<dyn Read> =
                    if member.is_deflated { Box::new(DeflateDecoder::new(data)) } else { Box::new(data) };
                if is_gzip { Box::new(MultiGzDecoder::new(data)) } else { data }
            }
        };
        Ok(Box::new(Bounded { inner: unpacked, sent, unpacked: 0 }))
    }
}

struct Borrowed<'a, S>(&'a S);

impl<S: Stored> Stored for Borrowed<'_, S> {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn open_at(&self, offset: u64) -> io::Result<Box<dyn Read + '_>> {
        self.0.open_at(offset)
    }
}

fn malformed(expected: impl Into<String>) -> ImportError {
    ImportError::Malformed { expected: expected.into(), position: crate::Position::default() }
}

/// The files of a zip archive, without folders and without what operating systems add.
fn members(stored: &impl Stored) -> Result<Vec<Member>, ImportError> {
    let broken = |error: zip::result::ZipError| match error {
        zip::result::ZipError::Io(error) => ImportError::from(error),
        error => malformed(format!("the zip archive can not be read: {}", text::one_line(&error.to_string(), 200))),
    };
    let seekable = Seekable { stored, at: 0, reader: None, left: MAX_DIRECTORY_BYTES };
    let mut archive = ZipArchive::new(seekable).map_err(broken)?;
    if archive.len() > MAX_MEMBERS {
        return Err(ImportError::TooLarge(format!("the zip archive has more than {MAX_MEMBERS} files")));
    }
    let mut files = Vec::new();
    for index in 0..archive.len() {
        let file = archive.by_index_raw(index).map_err(broken)?;
        let name = String::from_utf8_lossy(file.name_raw()).into_owned();
        let is_hidden = name.rsplit(['/', '\\']).next().is_some_and(|name| name.starts_with('.'));
        if !file.is_file() || is_hidden || name.starts_with("__MACOSX/") {
            continue;
        }
        if file.encrypted() {
            return Err(malformed("the zip archive is encrypted"));
        }
        let is_deflated = match file.compression() {
            CompressionMethod::Stored => false,
            CompressionMethod::Deflated => true,
            _ => return Err(malformed("the zip archive is compressed in a way that is not supported; use deflate")),
        };
        let start = file.data_start().unwrap_or_default();
        files.push(Member { name, start, bytes: file.compressed_size(), is_deflated });
    }
    Ok(files)
}

/// Stored bytes as the reader of zip archives wants them.
struct Seekable<'a, S> {
    stored: &'a S,
    at: u64,
    reader: Option<Box<dyn Read + 'a>>,
    left: u64,
}

impl<S: Stored> Read for Seekable<'_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            None => self.reader.insert(self.stored.open_at(self.at)?),
        };
        let n = reader.read(buffer)?;
        self.at += n as u64;
        self.left =
            self.left.checked_sub(n as u64).ok_or_else(|| passed("the zip archive's directory is too large"))?;
        Ok(n)
    }
}

impl<S: Stored> Seek for Seekable<'_, S> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(to) => Some(to),
            SeekFrom::End(by) => self.stored.size().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        let to = to.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        if to != self.at {
            (self.at, self.reader) = (to, None);
        }
        Ok(to)
    }
}

/// A limit was passed while reading: becomes [`ImportError::TooLarge`].
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct LimitPassed(pub(crate) String);

fn passed(limit: impl Into<String>) -> io::Error {
    io::Error::other(LimitPassed(limit.into()))
}

struct Counted<R> {
    inner: R,
    count: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.count.set(self.count.get() + n as u64);
        Ok(n)
    }
}

/// Refuses what grows beyond all measure when it is unpacked.
struct Bounded<R> {
    inner: R,
    /// Bytes that were read to get there.
    sent: Rc<Cell<u64>>,
    unpacked: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.unpacked += n as u64;
        if self.unpacked > MAX_UNPACKED {
            return Err(passed(format!("unpacked it is larger than {} GiB", MAX_UNPACKED >> 30)));
        }
        if self.unpacked > RATIO_FROM && self.unpacked / MAX_RATIO > self.sent.get() {
            return Err(passed(format!("unpacked it is more than {MAX_RATIO} times as large as it was sent")));
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    const REPORT: &str = r#"{"stance":"findings/1","tool":{"name":"t"},"findings":[]}"#;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = ZipWriter::new(io::Cursor::new(Vec::new()));
        for (name, bytes) in members {
            if name.ends_with('/') {
                writer.add_directory(*name, SimpleFileOptions::default()).unwrap();
                continue;
            }
            let method = if bytes.len() < 20 { CompressionMethod::Stored } else { CompressionMethod::Deflated };
            writer.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn unpack(bytes: &[u8]) -> Result<String, ImportError> {
        let contained = Contained::new(bytes)?;
        let mut text = String::new();
        contained.open()?.read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn a_report_comes_out_of_each_container() {
        let report = REPORT.as_bytes();
        for bytes in [
            report.to_vec(),
            gzip(report),
            [gzip(&report[..20]), gzip(&report[20..])].concat(),
            zip(&[("a/report.json", report)]),
            zip(&[("report.json.gz", &gzip(report))]),
            zip(&[("a/", b""), ("a/notes.txt", b"hello"), ("__MACOSX/._x", report), ("a/.x", report), ("a/x", report)]),
        ] {
            assert_eq!(unpack(&bytes).unwrap(), REPORT);
        }
    }

    #[test]
    fn what_is_no_single_report_is_refused() {
        let report = REPORT.as_bytes();
        let inner = zip(&[("x", report)]);
        let (gz, whole) = (gzip(report), zip(&[("report.json", report)]));
        for (bytes, says) in [
            (
                zip(&[("a", report), ("b", report)]),
                "has 2 reports; unpack it and send each by itself, for example with “stance import reports/*”: a, b",
            ),
            (zip(&[("a", b"hello"), ("b", b"world")]), "none of the 2 files"),
            (zip(&[]), "the zip archive has no files"),
            (zip(&[("inner.zip", &inner)]), "has a zip archive in it"),
            (gz[..gz.len() - 12].to_vec(), "ends too early"),
            (whole[..whole.len() - 30].to_vec(), "can not be read"),
        ] {
            let error = unpack(&bytes).map(|text| panic!("{says}: {text}")).unwrap_err();
            assert!(error.to_string().contains(says), "{says}: {error:?}");
        }
        let names: Vec<String> = (0..=MAX_MEMBERS).map(|i| i.to_string()).collect();
        let many: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"x"[..])).collect();
        assert!(matches!(unpack(&zip(&many)), Err(ImportError::TooLarge(_))));
    }

    #[test]
    fn bombs_are_refused_while_they_unpack() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let zeros = vec![0; 1 << 20];
        (0..80).for_each(|_| encoder.write_all(&zeros).unwrap());
        let bomb = encoder.finish().unwrap();
        for bytes in [bomb.clone(), zip(&[("report.json.gz", &bomb)])] {
            let contained = Contained::new(bytes.as_slice()).unwrap();
            let read = io::copy(&mut contained.open().unwrap(), &mut io::sink()).map_err(ImportError::from);
            assert!(matches!(&read, Err(ImportError::TooLarge(why)) if why.contains("250 times")), "{read:?}");
        }
    }

    #[test]
    fn arbitrary_archives_never_panic() {
        let whole = zip(&[("report.json", REPORT.as_bytes()), ("b", b"x")]);
        for at in 0..whole.len() {
            for bits in [0x01, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= bits;
                let _ = unpack(&bytes);
            }
            let _ = unpack(&whole[..at]);
        }
    }
}
