//! Cisco's skill-scanner, JSON of one skill or of several. What is taken over, field by field: `README.md`.

mod mapping;

use std::cell::RefCell;

use serde::Deserialize;
use serde_json::{Map, Value as Json};
use stance_engine::fingerprint::Fingerprint;
use stance_shared::{AssetKind, Layer, Severity};

use crate::category::Categories;
use crate::json::{Members, Value, malformed, or_default, read_object, text_of};
use crate::record::NO_RULE;
use crate::report::Report;
use crate::sniff::Outline;
use crate::text::{self, Evidence};
use crate::{AssetRef, FindingRecord, Hints, ImportError, Importer, Location, RunInfo, Sink, Source, mcp};

/// The importer of `format=skill_scanner`.
pub struct SkillScanner;

impl Importer for SkillScanner {
    fn format(&self) -> &'static str {
        "skill_scanner"
    }

    fn title(&self) -> &'static str {
        "Cisco skill-scanner JSON"
    }

    fn help(&self) -> &'static str {
        include_str!("README.md")
    }

    fn asset_kind(&self) -> AssetKind {
        AssetKind::Tool
    }

    fn sniff(&self, head: &[u8]) -> bool {
        let outline = Outline::of(head);
        outline.has("skill_name")
            || outline.has("results[].skill_name")
            || outline.has("cross_skill_findings")
            || outline.has("summary.total_skills_scanned")
    }

    fn read(&self, source: &dyn Source, hints: &Hints, sink: &mut dyn Sink) -> Result<RunInfo, ImportError> {
        const WHAT: &str = "a skill-scanner report, an object with “skill_name” and “findings”, or with “results”";
        let import = RefCell::new(Import {
            report: Report::new("skill-scanner", hints, sink),
            names: Vec::new(),
            is_first: true,
            several: false,
        });
        // A skill's name may stand behind its findings.
        for is_first in [true, false] {
            import.borrow_mut().is_first = is_first;
            let mut root = Root { import: &import, skill: Skill::new(&import, 0) };
            read_object(source, WHAT, &mut root)?;
            let skill = root.skill;
            if !import.borrow().several {
                skill.finish()?;
            }
        }
        let import = import.into_inner();
        import.report.finish("a valid report in which skill-scanner found nothing")
    }
}

/// A report is read for the names of its skills first, and then for what was found in them.
struct Import<'a> {
    report: Report<'a>,
    names: Vec<String>,
    is_first: bool,
    several: bool,
}

/// Skills of one report.
const MAX_SKILLS: usize = 20_000;

struct Root<'i, 'a> {
    import: &'i RefCell<Import<'a>>,
    /// The members of a report of one skill.
    skill: Skill<'i, 'a>,
}

impl Members for Root<'_, '_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        match key {
            "results" => {
                self.import.borrow_mut().several = true;
                let skill = |index| Ok(Skill::new(self.import, index));
                value.objects("an array of scanned skills", skill, |_, skill| skill.finish())?;
                Ok(())
            }
            "cross_skill_findings" => {
                let import = &mut *self.import.borrow_mut();
                import.several = true;
                if import.is_first {
                    return value.skip();
                }
                value.array("an array of findings", |_, finding: Finding| {
                    let Some(agent) = import.report.hint().cloned() else {
                        let says = "problems over several skills belong to the agent that has them, and the report does not name it";
                        return Err(ImportError::NeedsAsset(says.to_owned()));
                    };
                    import.finding(&agent, "", finding)
                })?;
                Ok(())
            }
            "summary" => value.object("an object", &mut Summary(self.import)),
            _ => self.skill.member(key, value),
        }
    }
}

struct Summary<'i, 'a>(&'i RefCell<Import<'a>>);

impl Members for Summary<'_, '_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        let import = &mut *self.0.borrow_mut();
        match key {
            "total_skills_scanned" => {
                import.several = true;
                value.skip()
            }
            "skills_skipped" if !import.is_first => {
                value.array("an array of skipped skills", |_, skipped: Map<String, Json>| {
                    let subject = ["skill", "path", "skill_path", "name"].iter().find_map(|key| text_of(&skipped, key));
                    let reason = ["reason", "error"].iter().find_map(|key| text_of(&skipped, key));
                    import.report.gap("skipped", subject.unwrap_or_default(), reason.unwrap_or("not scanned"))
                })?;
                Ok(())
            }
            _ => value.skip(),
        }
    }
}

/// One skill's part of a report.
struct Skill<'i, 'a> {
    import: &'i RefCell<Import<'a>>,
    index: usize,
    name: String,
    path: String,
    has_findings: bool,
}

#[derive(Debug, Deserialize)]
struct Finding {
    rule_id: String,
    #[serde(default, deserialize_with = "or_default")]
    category: String,
    severity: String,
    #[serde(default, deserialize_with = "or_default")]
    title: String,
    #[serde(default, deserialize_with = "or_default")]
    description: String,
    file_path: Option<String>,
    line_number: Option<u32>,
    snippet: Option<String>,
    remediation: Option<String>,
    analyzer: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    metadata: Map<String, Json>,
}

impl<'i, 'a> Skill<'i, 'a> {
    fn new(import: &'i RefCell<Import<'a>>, index: usize) -> Self {
        Self { import, index, name: String::new(), path: String::new(), has_findings: false }
    }

    /// The skill, related to the agent that the upload named. An upload that names a tool means this skill.
    fn asset(&self) -> Result<AssetRef, ImportError> {
        let import = &mut *self.import.borrow_mut();
        let named = import.names.get(self.index).and_then(|name| mcp::skill(name));
        let hint = import.report.hint();
        if let Some(hint) = hint.filter(|hint| hint.kind == AssetKind::Tool || named.is_none()) {
            return Ok(hint.clone());
        }
        let asset = named.ok_or_else(|| ImportError::NeedsAsset("the report does not name its skill".to_owned()))?;
        let user = mcp::user(&mut import.report, None)?;
        mcp::have_skill(&mut import.report, user.as_ref(), &asset)?;
        Ok(asset)
    }

    fn finish(self) -> Result<(), ImportError> {
        if !self.has_findings {
            return Err(malformed("not a skill-scanner report: a skill needs “skill_name” and “findings”"));
        }
        if self.import.borrow().is_first {
            let last = |path: &str| path.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next().map(str::to_owned);
            let name = Some(self.name).filter(|name| !name.is_empty()).or_else(|| last(&self.path));
            let names = &mut self.import.borrow_mut().names;
            if names.len() == MAX_SKILLS {
                return Err(ImportError::TooLarge(format!("a report may name at most {MAX_SKILLS} skills")));
            }
            names.push(text::one_line(&name.unwrap_or_default(), 200));
            return Ok(());
        }
        let asset = self.asset()?;
        self.import.borrow_mut().report.assess(&asset, Layer::Application, "code-scanned", Map::new())
    }
}

impl Members for Skill<'_, '_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        let is_first = self.import.borrow().is_first;
        match key {
            "skill_name" => self.name = value.record::<Option<String>>()?.unwrap_or_default(),
            "skill_path" => self.path = value.record::<Option<String>>()?.unwrap_or_default(),
            "findings" => {
                self.has_findings = true;
                if is_first {
                    return value.skip();
                }
                let asset = self.asset()?;
                let import = &mut *self.import.borrow_mut();
                let name = import.names.get(self.index).cloned().unwrap_or_default();
                value.array("an array of findings", |_, finding: Finding| import.finding(&asset, &name, finding))?;
            }
            "analyzers_failed" if !is_first => {
                let report = &mut self.import.borrow_mut().report;
                value.array("an array of analyzers that failed", |_, failed: Map<String, Json>| {
                    let said = text_of(&failed, "error").or(text_of(&failed, "reason")).unwrap_or("failed");
                    report.error(text_of(&failed, "analyzer").unwrap_or_default(), said)
                })?;
            }
            _ => value.skip()?,
        }
        Ok(())
    }
}

impl Import<'_> {
    fn finding(&mut self, asset: &AssetRef, skill: &str, found: Finding) -> Result<(), ImportError> {
        let severity = match found.severity.trim().to_uppercase().as_str() {
            "SAFE" => return Ok(()),
            word => word.parse::<Severity>().map_err(|error| malformed(format!("severity: {error}")))?,
        };
        let mut categories = Categories::default();
        // The finding's own mappings are more precise than those of its technique.
        let mappings = ["framework_mappings", "aisubtech_mappings", "aitech_mappings"];
        let mappings =
            mappings.iter().find_map(|key| found.metadata.get(*key)?.as_array().filter(|all| !all.is_empty()));
        mappings.into_iter().flatten().take(50).filter_map(Json::as_str).for_each(|text| categories.add_named_in(text));
        categories.add_all(mapping::of_category(&found.category));
        let rule = text::one_line(&found.rule_id, 300);
        let uri = text::normalize_uri(found.file_path.as_deref().unwrap_or_default(), None);
        let snippet = found.snippet.as_deref().unwrap_or_default();
        let told = text::single_blanks(snippet);
        let told = if told.is_empty() { String::new() } else { text::digest(&told) };
        let mut evidence = Evidence::default();
        evidence.add("skill", skill);
        evidence.add("category", found.category);
        evidence.add("analyzer", found.analyzer);
        for key in ["aitech", "aitech_name", "aisubtech", "aisubtech_name"] {
            evidence.add(key, found.metadata.get(key).cloned().unwrap_or_default());
        }
        evidence.add("mappings", mappings.cloned().unwrap_or_default());
        let title = text::one_line(&text::redact(&found.title), 300);
        let title =
            [title, rule.clone()].into_iter().find(|text| !text.is_empty()).unwrap_or_else(|| NO_RULE.to_owned());
        let location = Location {
            uri: uri.clone(),
            line: found.line_number.filter(|line| *line > 0),
            snippet: found.snippet.as_deref().map(|snippet| text::evidence_text(snippet, 2000)),
        };
        let parts = ["skill-scanner", &rule, &uri, &told];
        self.report.finding(FindingRecord {
            severity,
            title,
            description: text::evidence_text(&found.description, 8000),
            remediation: text::evidence_text(found.remediation.as_deref().unwrap_or_default(), 8000),
            categories: categories.into_vec(),
            locations: if uri.is_empty() { Vec::new() } else { vec![location] },
            evidence: evidence.finish(),
            ..FindingRecord::blank(
                asset,
                Fingerprint::of((asset.kind.as_str(), &asset.key), &parts),
                &rule,
                Layer::Application,
            )
        })?;
        self.report.assess(asset, Layer::Application, "", Map::new())
    }
}
