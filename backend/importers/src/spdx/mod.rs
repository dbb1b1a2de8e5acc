//! SPDX 2.2 and 2.3 (JSON, tag-value) and SPDX 3.0 with its AI and Dataset profiles (JSON-LD). What is taken over, field by
//! field: `README.md`.

mod graph;
mod package;
mod tags;

use std::io::Read as _;

use crate::sniff::Outline;
use crate::{Hints, ImportError, Importer, RunInfo, Sink, Source};

/// The importer of `format=spdx`.
pub struct Spdx;

impl Importer for Spdx {
    fn format(&self) -> &'static str {
        "spdx"
    }

    fn title(&self) -> &'static str {
        "SPDX 2.3 (JSON, tag-value), SPDX 3.0 AI and Dataset"
    }

    fn help(&self) -> &'static str {
        include_str!("README.md")
    }

    fn sniff(&self, head: &[u8]) -> bool {
        let outline = Outline::of(head);
        if !outline.is_json {
            return tags::are(head);
        }
        is_graph(&outline) || outline.has("spdxVersion") || outline.has("packages[].SPDXID")
    }

    fn read(&self, source: &dyn Source, hints: &Hints, sink: &mut dyn Sink) -> Result<RunInfo, ImportError> {
        let mut head = Vec::new();
        source.open()?.take(crate::SNIFF_BYTES as u64).read_to_end(&mut head)?;
        let outline = Outline::of(&head);
        match outline.is_json {
            false => tags::read(source, hints, sink),
            true if is_graph(&outline) => graph::read(source, hints, sink),
            true => package::read(source, hints, sink),
        }
    }
}

fn is_graph(outline: &Outline) -> bool {
    let says_so = outline.text("@context").is_some_and(|context| context.contains("spdx.org/rdf/3"));
    says_so || (outline.has("@graph") && (outline.has("@graph[].spdxId") || outline.has("@graph[].creationInfo")))
}
