//! What a run's results refer to: the tool with its rules, taxonomies, artifacts, base URIs.

use std::collections::{BTreeMap, HashMap};

use super::model::{
    ArtifactLocation, AutomationDetails, Descriptor, DescriptorReference, ExternalFiles, Invocation, Message, Taxon,
    Taxonomy, VersionControl,
};
use super::{mapping, result};
use crate::category::Categories;
use crate::json::{Members, Value};
use crate::{ImportError, text};

/// How many bytes of rules, taxa and artifact names of one run are kept.
const MAX_TABLE_BYTES: usize = 24 << 20;

/// Texts of rules are cut to this many characters.
const MAX_RULE_TEXT: usize = 4000;

/// A rule, with what can be known once for all of its results.
#[derive(Debug, Default)]
pub(super) struct Rule {
    pub id: String,
    pub name: String,
    pub short: String,
    /// The short description as a title, unless it only repeats the id.
    pub title: Option<String>,
    pub full: String,
    pub help: String,
    /// From `help` and the rule's page.
    pub remediation: String,
    pub help_uri: String,
    pub level: Option<String>,
    pub severity: Option<stance_shared::Severity>,
    pub score: Option<f64>,
    pub messages: BTreeMap<String, Message>,
    /// Complete after [`RunContext::connect`].
    pub categories: Categories,
}

#[derive(Debug, Default)]
pub(super) struct RunContext {
    pub tool: String,
    pub version: String,
    /// Whether `tool` was read: results can be read only after it.
    pub has_tool: bool,
    /// Rules by component: the driver's first, then each extension's.
    rules: Vec<Vec<Rule>>,
    by_id: HashMap<String, (usize, usize)>,
    /// Relations of rules to taxa, resolved when everything is known.
    references: Vec<(usize, usize, Vec<DescriptorReference>)>,
    taxonomies: Vec<Taxonomy>,
    pub artifacts: Option<Vec<ArtifactLocation>>,
    pub base_uris: BTreeMap<String, ArtifactLocation>,
    pub repository: Option<VersionControl>,
    pub has_repository: bool,
    has_base_uris: bool,
    has_invocations: bool,
    pub automation_id: String,
    pub invocations: Vec<Invocation>,
    /// Files of their own in which results stand.
    pub external_results: usize,
    bytes: usize,
}

impl RunContext {
    /// Keeps what `key` says of the run; false when the key says nothing that is kept.
    pub(super) fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        match key {
            "tool" => {
                self.has_tool = true;
                value.object("an object with a “driver”", &mut ToolMembers(self))
            }
            "versionControlProvenance" => {
                self.has_repository = true;
                value.array("an array of version control details", |_, details: VersionControl| {
                    if self.repository.is_none() && details.repository_uri.as_deref().is_some_and(|uri| !uri.is_empty())
                    {
                        self.repository = Some(details);
                    }
                    Ok(())
                })?;
                Ok(())
            }
            "originalUriBaseIds" => {
                self.has_base_uris = true;
                self.base_uris = value.record::<Option<_>>()?.unwrap_or_default();
                Ok(())
            }
            "artifacts" => {
                let mut artifacts = Vec::new();
                value.array("an array of artifacts", |_, artifact: super::model::Artifact| {
                    self.account(artifact.location.uri.as_ref().map_or(0, String::len) + 64)?;
                    artifacts.push(artifact.location);
                    Ok(())
                })?;
                self.artifacts = Some(artifacts);
                Ok(())
            }
            "taxonomies" => {
                value.array("an array of taxonomies", |_, taxonomy: Taxonomy| {
                    let bytes = |taxon: &Taxon| taxon.id.len() + taxon.name.as_ref().map_or(0, String::len) + 56;
                    self.account(taxonomy.taxa.iter().map(bytes).sum())?;
                    self.taxonomies.push(taxonomy);
                    Ok(())
                })?;
                Ok(())
            }
            "automationDetails" => {
                self.automation_id = value.record::<Option<AutomationDetails>>()?.unwrap_or_default().id;
                Ok(())
            }
            "invocations" => {
                self.has_invocations = true;
                value.array("an array of invocations", |_, invocation: Invocation| {
                    if self.invocations.len() < 100 {
                        self.invocations.push(invocation);
                    }
                    Ok(())
                })?;
                Ok(())
            }
            "externalPropertyFileReferences" => {
                self.external_results = value.record::<Option<ExternalFiles>>()?.unwrap_or_default().results.len();
                Ok(())
            }
            _ => value.skip(),
        }
    }

    /// Whether everything that names the scan's root was read.
    pub(super) fn knows_root(&self) -> bool {
        self.has_base_uris && self.has_invocations
    }

    fn account(&mut self, bytes: usize) -> Result<(), ImportError> {
        self.bytes += bytes;
        if self.bytes > MAX_TABLE_BYTES {
            let limit = MAX_TABLE_BYTES >> 20;
            return Err(ImportError::TooLarge(format!(
                "the run's rules, taxonomies and artifacts are larger than {limit} MiB"
            )));
        }
        Ok(())
    }

    fn add_rule(&mut self, component: usize, rule: Descriptor) -> Result<(), ImportError> {
        let texts = |message: &Message| {
            let text = message.markdown.as_deref().or(message.text.as_deref()).unwrap_or_default();
            text::truncate(text, MAX_RULE_TEXT)
        };
        let mut kept = Rule {
            id: text::truncate(rule.id.trim(), 300),
            name: text::truncate(rule.name.as_deref().unwrap_or_default(), 300),
            short: text::one_line(rule.short_description.text.as_deref().unwrap_or_default(), 300),
            full: texts(&rule.full_description),
            help: texts(&rule.help),
            help_uri: text::truncate(rule.help_uri.as_deref().unwrap_or_default(), 1000),
            level: rule.default_configuration.level,
            severity: mapping::property_severity(&rule.properties),
            score: mapping::security_severity(&rule.properties),
            messages: rule.message_strings,
            categories: mapping::rule_categories(&rule.id, &rule.properties),
            ..Rule::default()
        };
        let says = !kept.short.is_empty() && !text::contains(&kept.short, &kept.id);
        kept.title = says.then(|| text::one_line(&text::redact(&kept.short), 300));
        let uri = Some(kept.help_uri.as_str()).filter(|uri| uri.starts_with("http"));
        kept.remediation = result::how_to_mend(Some(kept.help.as_str()).filter(|help| !help.is_empty()), uri);
        let messages: usize =
            kept.messages.iter().map(|(id, m)| id.len() + m.text.as_ref().map_or(0, String::len) + 64).sum();
        self.account(kept.full.len() + kept.help.len() * 2 + kept.short.len() * 2 + messages + 400)?;
        if self.rules.len() <= component {
            self.rules.resize_with(component + 1, Vec::new);
        }
        let index = self.rules[component].len();
        if !rule.relationships.is_empty() {
            let targets = rule.relationships.into_iter().take(50).map(|relationship| relationship.target).collect();
            self.references.push((component, index, targets));
        }
        self.by_id.entry(kept.id.clone()).or_insert((component, index));
        self.rules[component].push(kept);
        Ok(())
    }

    /// Connects rules with taxa and with the levels that the run's user gave them; to be called when all of the context that there will be has been read.
    pub(super) fn connect(&mut self) {
        for (component, index, targets) in std::mem::take(&mut self.references) {
            let mut categories = std::mem::take(&mut self.rules[component][index].categories);
            targets.iter().for_each(|target| self.add_taxon(target, &mut categories));
            self.rules[component][index].categories = categories;
        }
        for said in self.invocations.iter().flat_map(|invocation| &invocation.rule_configuration_overrides) {
            let of = &said.descriptor;
            let place = self.place(of.id.as_deref(), of.index, Some(of));
            if let (Some((component, index)), Some(level)) = (place, &said.configuration.level) {
                self.rules[component][index].level = Some(level.clone());
            }
        }
        for rule in self.rules.iter_mut().flatten() {
            mapping::complete_categories(&self.tool, &rule.id, &mut rule.categories);
        }
    }

    /// Adds the category that a reference to a taxon means.
    pub(super) fn add_taxon(&self, reference: &DescriptorReference, categories: &mut Categories) {
        let component = reference.tool_component.as_ref();
        let taxonomy = component
            .and_then(|c| c.index)
            .and_then(|index| self.taxonomies.get(usize::try_from(index).ok()?))
            .or_else(|| {
                component?.name.as_ref().and_then(|name| self.taxonomies.iter().find(|t| t.name.as_ref() == Some(name)))
            });
        let by_index = taxonomy.and_then(|known| known.taxa.get(usize::try_from(reference.index?).ok()?));
        let by_id = || taxonomy?.taxa.iter().find(|taxon| Some(&taxon.id) == reference.id.as_ref());
        let taxon = if reference.id.is_some() { by_id() } else { by_index };
        let Some(id) = reference.id.as_deref().or_else(|| Some(taxon?.id.as_str())) else { return };
        let framework =
            component.and_then(|c| c.name.as_deref()).or_else(|| taxonomy?.name.as_deref()).unwrap_or_default();
        if framework.eq_ignore_ascii_case("cwe") && id.bytes().all(|b| b.is_ascii_digit()) {
            categories.add_named_in(&format!("CWE-{id}"));
        } else {
            // A number means something only with its edition, or with its name.
            let edition = taxonomy.and_then(|taxonomy| taxonomy.version.as_deref()).unwrap_or_default();
            let name = taxon.and_then(|taxon| taxon.name.as_deref()).unwrap_or_default();
            categories.add_named_in(&format!("{id}{}{edition} {name}", if edition.is_empty() { "" } else { ":" }));
        }
    }

    /// The rule that a result names, see [`Self::place`].
    pub(super) fn rule(
        &self,
        id: Option<&str>,
        index: Option<i64>,
        reference: Option<&DescriptorReference>,
    ) -> Option<&Rule> {
        let (component, index) = self.place(id, index, reference)?;
        self.rules.get(component)?.get(index)
    }

    /// Where a rule stands: by index in its component, else by id, else by the longest prefix `id` of `id/sub`.
    fn place(
        &self,
        id: Option<&str>,
        index: Option<i64>,
        reference: Option<&DescriptorReference>,
    ) -> Option<(usize, usize)> {
        let component = reference
            .and_then(|r| r.tool_component.as_ref()?.index)
            .and_then(|index| usize::try_from(index).ok())
            .map_or(0, |extension| extension + 1);
        let index = index.or_else(|| reference?.index).and_then(|index| usize::try_from(index).ok());
        let by_index = index.and_then(|index| self.rules.get(component)?.get(index).map(|rule| (rule, index)));
        let id = id.or_else(|| reference?.id.as_deref());
        match (by_index, id) {
            // Some tools write wrong indices; the id is what they mean.
            (Some((rule, index)), Some(id)) if id.strip_prefix(rule.id.as_str()).is_some_and(ends_or_goes_on) => {
                Some((component, index))
            }
            (found, Some(id)) => self.place_of_id(id).or(found.map(|(_, index)| (component, index))),
            (found, None) => found.map(|(_, index)| (component, index)),
        }
    }

    fn place_of_id(&self, id: &str) -> Option<(usize, usize)> {
        let mut id = id;
        loop {
            if let Some(place) = self.by_id.get(id) {
                return Some(*place);
            }
            id = id.rsplit_once('/')?.0;
        }
    }
}

/// Whether what stands behind a rule's id is nothing, or the rest of a hierarchical id.
fn ends_or_goes_on(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('/')
}

struct ToolMembers<'a>(&'a mut RunContext);

impl Members for ToolMembers<'_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        match key {
            "driver" => value.object("an object with a “name”", &mut ComponentMembers { run: self.0, component: 0 }),
            "extensions" => {
                let run = std::cell::RefCell::new(&mut *self.0);
                value.objects(
                    "an array of tool components",
                    |index| Ok(ExtensionMembers { run: &run, component: index + 1 }),
                    |_, _| Ok(()),
                )?;
                Ok(())
            }
            _ => value.skip(),
        }
    }
}

struct ComponentMembers<'a> {
    run: &'a mut RunContext,
    component: usize,
}

impl Members for ComponentMembers<'_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        let is_driver = self.component == 0;
        match key {
            "name" if is_driver => {
                self.run.tool = text::one_line(&value.record::<Option<String>>()?.unwrap_or_default(), 100)
            }
            "version" if is_driver => {
                self.run.version = text::one_line(&value.record::<Option<String>>()?.unwrap_or_default(), 100);
            }
            "semanticVersion" if is_driver && self.run.version.is_empty() => {
                self.run.version = text::one_line(&value.record::<Option<String>>()?.unwrap_or_default(), 100);
            }
            "rules" => {
                let (run, component) = (&mut *self.run, self.component);
                value.array("an array of rules", |_, rule: Descriptor| run.add_rule(component, rule))?;
            }
            _ => value.skip()?,
        }
        Ok(())
    }
}

struct ExtensionMembers<'a, 'b> {
    run: &'a std::cell::RefCell<&'b mut RunContext>,
    component: usize,
}

impl Members for ExtensionMembers<'_, '_> {
    fn member(&mut self, key: &str, value: Value<'_, '_>) -> Result<(), ImportError> {
        ComponentMembers { run: &mut self.run.borrow_mut(), component: self.component }.member(key, value)
    }
}
