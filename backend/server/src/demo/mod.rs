//! The demo organization: a month of reports and decisions, imported and scored as any others, at their times.
//!
//! The data and their making are described in `demo/README.md`. The clock is set to each step's time; nothing else
//! differs from what a server does. What the agents did in its last week: [`runs`].

mod runs;

use crate::{
    findings::{self, Action},
    identity::{self, domain::Client, entry, members, tokens},
    imports, inventory,
    kernel::{Actor, Clock, Ctx, Db, Error, Result, Role, crypto},
    scoring,
};
use anyhow::Context as _;
use chrono::{DateTime, Duration, NaiveTime, Utc};
use serde::Deserialize;
use stance_importers::{AssetRef, RelationRecord};
use stance_shared::{AssetKind, Criticality, Environment, Exposure, FindingStatus, Lifecycle, RelationKind, UserId};
use std::collections::BTreeMap;

const TIMELINE: &str = include_str!("../../../../demo/timeline.json");

/// `demo/reports` in the repository, inside the binary.
#[derive(rust_embed::Embed)]
#[folder = "../../demo/reports"]
struct Reports;

const ORGANIZATION: &str = "Meridian";
const DOMAIN: &str = "meridian.example";
/// The first is the owner. These are functions, not persons.
const PEOPLE: [(&str, &str, Role); 5] = [
    ("security-lead", "Security lead", Role::Owner),
    ("security-analyst", "Security analyst", Role::Analyst),
    ("ml-platform", "ML platform", Role::Analyst),
    ("red-team", "Red team", Role::Analyst),
    ("privacy-office", "Privacy office", Role::Analyst),
];

/// How to sign in to the demo.
#[derive(Debug, serde::Serialize)]
pub struct SignIn {
    pub organization: &'static str,
    pub email: String,
    pub password: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Step {
    days_ago: i64,
    hour: u32,
    by: String,
    #[serde(flatten)]
    act: Act,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Act {
    Import { import: String, filename: String, asset: Option<String> },
    Triage { triage: Triage },
    Declare { assets: Vec<Asset>, relations: Vec<Relation> },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Triage {
    findings: Selection,
    action: String,
    #[serde(default)]
    reason: String,
    expires_in_days: Option<i64>,
    approver: Option<String>,
    assignee: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Selection {
    asset: String,
    rule: Option<String>,
    title_contains: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asset {
    kind: AssetKind,
    external_key: String,
    name: String,
    owner: Option<String>,
    environment: Environment,
    exposure: Exposure,
    criticality: Criticality,
    lifecycle: Lifecycle,
    tags: Vec<String>,
    attributes: serde_json::Map<String, serde_json::Value>,
}

#[derive(Deserialize)]
struct Relation {
    from: String,
    kind: RelationKind,
    to: String,
}

/// Makes the demo organization in a database that has none yet. `progress` is told of each step: done, of how many.
///
/// # Errors
/// A sentence for the operator: when there is an organization already, or the demo's data do not fit the program.
pub async fn make(db: &Db, progress: impl Fn(usize, usize)) -> anyhow::Result<SignIn> {
    anyhow::ensure!(
        !identity::is_set_up(db).await.map_err(Error::for_operator)?,
        "There is an organization already; the demo needs an empty database."
    );
    let steps: Vec<Step> = serde_json::from_str(TIMELINE).context("demo/timeline.json")?;
    let today = Clock::System.now();
    let start = steps.first().context("demo/timeline.json is empty")?.at(today);
    let clock = Clock::fixed(start - Duration::hours(1));
    let mut demo = Demo::new(db, clock).await.map_err(Error::for_operator)?;
    for (done, step) in steps.iter().enumerate() {
        progress(done, steps.len());
        let at = step.at(today);
        demo.pass_days_until(at).await.map_err(Error::for_operator)?;
        let result = demo.act(step).await.map_err(Error::for_operator);
        result.with_context(|| format!("step {done} of demo/timeline.json, {} days ago", step.days_ago))?;
    }
    demo.pass_days_until(today).await.map_err(Error::for_operator)?;
    demo.work(today).await.map_err(Error::for_operator).context("demo/runs.json")?;
    demo.pass_days_until(today).await.map_err(Error::for_operator)?;
    Ok(demo.sign_in)
}

impl Step {
    fn at(&self, today: DateTime<Utc>) -> DateTime<Utc> {
        let time = NaiveTime::from_hms_opt(self.hour, 0, 0).unwrap_or_default();
        (today - Duration::days(self.days_ago)).date_naive().and_time(time).and_utc()
    }
}

struct Demo<'a> {
    db: &'a Db,
    clock: Clock,
    sign_in: SignIn,
    /// By the name that the timeline uses.
    actors: BTreeMap<String, Ctx>,
}

impl<'a> Demo<'a> {
    async fn new(db: &'a Db, clock: Clock) -> Result<Self> {
        let password = crypto::random_secret("demo-");
        let mut actors = BTreeMap::new();
        let mut owner: Option<Ctx> = None;
        for (name, title, role) in PEOPLE {
            let email = format!("{name}@{DOMAIN}");
            let ctx = match &owner {
                None => {
                    let input = entry::NewOrganization {
                        organization: ORGANIZATION.into(),
                        email: email.clone(),
                        name: title.into(),
                        password: password.clone(),
                    };
                    let made = entry::bootstrap(db, &clock, input).await?;
                    let mut ctx = Ctx::system(made.organization, "demo", clock.clone());
                    ctx.actor = Actor::User { id: made.user, label: email };
                    ctx
                }
                Some(owner) => {
                    let (_, token) = members::invite(db, owner, &email, role).await?;
                    let client = Client { address: String::new(), user_agent: String::new() };
                    let request = clock.new_id().to_string();
                    let entered =
                        entry::accept_invitation(db, &clock, &client, &request, &token, title, password.clone())
                            .await?;
                    Ctx { actor: Actor::User { id: entered.user, label: email }, role, ..owner.clone() }
                }
            };
            owner.get_or_insert_with(|| ctx.clone());
            actors.insert(name.to_owned(), ctx);
        }
        let owner = owner.ok_or_else(|| Error::not_found("owner"))?;
        let token = tokens::NewToken {
            name: "ci".into(),
            role: Role::Sensor,
            scopes: Vec::new(),
            expires_at: None,
            agent: None,
        };
        let (token, _) = tokens::create(db, &owner, token).await?;
        let actor = Actor::Token { id: token.id, label: token.name };
        actors.insert("ci".to_owned(), Ctx { actor, role: Role::Sensor, ..owner });
        let sign_in = SignIn { organization: ORGANIZATION, email: format!("{}@{DOMAIN}", PEOPLE[0].0), password };
        Ok(Self { db, clock, sign_in, actors })
    }

    fn actor(&self, name: &str) -> Result<&Ctx> {
        self.actors.get(name).ok_or_else(|| Error::field("by", format!("{name} is nobody in the demo")))
    }

    fn person(&self, name: Option<&String>) -> Result<UserId> {
        let name = name.ok_or_else(|| Error::field("triage", "names no person"))?;
        self.actor(name)?.user().ok_or_else(|| Error::field("triage", format!("{name} is no person")))
    }

    fn system(&self) -> Result<Ctx> {
        Ok(Ctx::system(self.actor(PEOPLE[0].0)?.tenant, "demo", self.clock.clone()))
    }

    /// Goes forward to a time; scores at the end of each day that passes, as the daily job does.
    async fn pass_days_until(&mut self, at: DateTime<Utc>) -> Result<()> {
        let system = self.system()?;
        while self.clock.now().date_naive() < at.date_naive() {
            scoring::jobs::recompute(self.db, &system).await?;
            scoring::jobs::daily_snapshot(self.db, &system).await?;
            let next = self.clock.now().date_naive().succ_opt().map(|day| day.and_time(NaiveTime::MIN).and_utc());
            self.clock.advance(next.unwrap_or(at) - self.clock.now());
        }
        // Steps of the same hour come one after the other.
        self.clock.advance((at - self.clock.now()).max(Duration::minutes(1)));
        scoring::jobs::recompute(self.db, &system).await?;
        Ok(())
    }

    async fn act(&self, step: &Step) -> Result<()> {
        let ctx = self.actor(&step.by)?;
        match &step.act {
            Act::Import { import, filename, asset } => self.import(ctx, import, filename, asset.as_deref()).await,
            Act::Triage { triage } => self.triage(ctx, triage).await,
            Act::Declare { assets, relations } => {
                let assets = assets.iter().map(Asset::declared).collect();
                let relations: Vec<_> = relations.iter().map(Relation::declared).collect::<Result<_>>()?;
                inventory::service::upsert(self.db, ctx, assets, &relations).await?;
                Ok(())
            }
        }
    }

    async fn import(&self, ctx: &Ctx, path: &str, filename: &str, asset: Option<&str>) -> Result<()> {
        let file = path.strip_prefix("reports/").and_then(Reports::get);
        let file = file.ok_or_else(|| Error::field("import", format!("demo/{path} is not in the program")))?;
        let upload = imports::Upload {
            format: "auto".into(),
            asset: asset.map(str::to_owned),
            filename: Some(filename.to_owned()),
            idempotency_key: None,
        };
        let body = futures::stream::iter([Ok::<_, std::io::Error>(bytes::Bytes::from(file.data.into_owned()))]);
        let report = imports::accept(self.db, ctx, imports::Limits::default(), upload, body).await?;
        imports::jobs::import(self.db, &self.system()?, report).await?;
        Ok(())
    }

    async fn triage(&self, ctx: &Ctx, triage: &Triage) -> Result<()> {
        let selection = &triage.findings;
        let asset = reference(&selection.asset)?;
        let known = inventory::service::ids_by_keys(self.db, ctx, std::slice::from_ref(&asset)).await?;
        let asset = known.get(&asset).copied().ok_or_else(|| Error::not_found("asset"))?;
        let filter = findings::Filter {
            asset: Some(asset),
            status: vec![FindingStatus::Open, FindingStatus::InProgress],
            ..findings::Filter::default()
        };
        let page = crate::kernel::page::Page { first: 100, after: None };
        let listed = findings::service::list(self.db, ctx, &filter, findings::Sort::default(), true, &page).await?;
        let wanted = selection.title_contains.as_ref().map(|text| text.to_lowercase());
        let ids: Vec<_> = listed
            .items
            .into_iter()
            .filter(|finding| selection.rule.as_ref().is_none_or(|rule| finding.rule == *rule))
            .filter(|finding| wanted.as_ref().is_none_or(|text| finding.title.to_lowercase().contains(text)))
            .map(|finding| finding.id)
            .collect();
        let reason = triage.reason.clone();
        let action = match triage.action.as_str() {
            "START" => Action::Start,
            "FALSE_POSITIVE" => Action::FalsePositive { reason },
            "COMMENT" => Action::Comment { text: reason },
            "ASSIGN" => Action::Assign { assignee: Some(self.person(triage.assignee.as_ref())?) },
            "ACCEPT_RISK" => Action::AcceptRisk {
                reason,
                expires_at: ctx.now() + Duration::days(triage.expires_in_days.unwrap_or(30)),
                approver: self.person(triage.approver.as_ref())?,
            },
            other => return Err(Error::field("action", format!("{other} is no action"))),
        };
        findings::triage(self.db, ctx, findings::Triage { ids, action }).await?;
        Ok(())
    }
}

impl Asset {
    fn declared(&self) -> inventory::NewAsset {
        inventory::NewAsset {
            asset: AssetRef { kind: self.kind, key: self.external_key.clone() },
            patch: inventory::Patch {
                name: Some(self.name.clone()),
                owner: self.owner.clone().map(Some),
                environment: Some(self.environment),
                exposure: Some(self.exposure),
                criticality: Some(self.criticality),
                lifecycle: Some(self.lifecycle),
                tags: Some(self.tags.clone()),
                attributes: Some(self.attributes.clone()),
            },
        }
    }
}

impl Relation {
    fn declared(&self) -> Result<RelationRecord> {
        Ok(RelationRecord { from: reference(&self.from)?, kind: self.kind, to: reference(&self.to)? })
    }
}

/// `KIND:key`.
fn reference(text: &str) -> Result<AssetRef> {
    let (kind, key) = text.split_once(':').ok_or_else(|| Error::field("asset", format!("{text} is not KIND:key")))?;
    Ok(AssetRef { kind: kind.parse()?, key: key.to_owned() })
}
