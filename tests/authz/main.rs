//! Every operation of the running server, found by introspection and in its OpenAPI document, tried by nobody, by every
//! role, without each single permission, and with another organization's ids. `table.rs` says what each needs; an
//! operation that is not there fails by name.

mod ask;
mod table;
mod world;

use anyhow::{Context as _, Result, ensure};
use ask::{Answer, Asker, Ids, ask};
use reqwest::Method;
use serde_json::{Value, json};
use stance_tests::{Client, Options, Stance};
use std::collections::{BTreeMap, BTreeSet};
use table::{Others, ROWS, Row};
use world::{Tenant, other_session};

/// What the server serves, as the table names it.
async fn served(client: &Client) -> Result<BTreeSet<String>> {
    let kinds = "{ __schema { queryType { name fields { name } } mutationType { name fields { name } }
        subscriptionType { name fields { name } } } }";
    let schema = client.graphql(kinds, json!({})).await?;
    let mut served = BTreeSet::new();
    for kind in ["queryType", "mutationType", "subscriptionType"] {
        let kind = &schema["__schema"][kind];
        for field in kind["fields"].as_array().context("no fields")? {
            served.insert(format!(
                "{}.{}",
                kind["name"].as_str().context("name")?,
                field["name"].as_str().context("name")?
            ));
        }
    }
    let document: Value = client.get("/api/openapi.json").await?.error_for_status()?.json().await?;
    for (path, methods) in document["paths"].as_object().context("no paths")? {
        let methods = methods.as_object().context("no methods")?.keys().map(|method| method.to_uppercase());
        served
            .extend(methods.filter(|method| method.parse::<Method>().is_ok()).map(|method| format!("{method} {path}")));
    }
    Ok(served)
}

/// What is served and not in the table, and the other way round.
fn uncovered(served: &BTreeSet<String>) -> Vec<String> {
    let known: BTreeSet<String> = ROWS.iter().map(|row| row.operation.to_owned()).collect();
    let missing = served.difference(&known).map(|name| format!("{name} is not in tests/authz/table.rs"));
    let gone = known.difference(served).map(|name| format!("{name} is no operation any more"));
    missing.chain(gone).collect()
}

/// The roles that hold each permission.
type Holders = BTreeMap<&'static str, BTreeSet<&'static str>>;

/// All roles, and which of them hold which permission: the matrix that is checked in.
fn matrix() -> Result<(Vec<&'static str>, Holders)> {
    let mut lines = include_str!("../../backend/server/authorization.txt").lines();
    let roles: Vec<_> = lines.next().context("the matrix is empty")?.split_whitespace().skip(1).collect();
    let holders = lines.map(|line| {
        let mut cells = line.split_whitespace();
        let permission = cells.next().unwrap_or_default();
        (permission, roles.iter().zip(cells).filter(|(_, cell)| *cell == "x").map(|(role, _)| *role).collect())
    });
    Ok((roles.clone(), holders.collect()))
}

/// Who has all of the permissions gets what they ask for; others are refused, or see nothing of the organization.
fn judge(row: &Row, has: impl Fn(&str) -> bool, answer: &Answer, word: &str) -> Result<&'static str> {
    let shows = answer.body.to_string().contains(word);
    let holds = row.needs.iter().all(|needed| has(needed));
    let (wanted, met) = match row.others {
        Others::Refused if holds => ("granted", answer.is_granted()),
        Others::SeeLess(_) if holds => ("all", answer.is_granted() && shows),
        Others::SeeLess(needed) if needed.iter().all(|needed| has(needed)) => {
            ("less", !shows && answer.codes().is_empty() && answer.status < 300)
        }
        Others::Refused | Others::SeeLess(_) => ("refused", answer.is_forbidden() && !shows),
    };
    ensure!(met, "expected «{wanted}», got {} {}", answer.status, answer.body);
    Ok(wanted)
}

/// What was tried, a line a row, and what went wrong.
#[derive(Default)]
struct Protocol {
    cells: Vec<Vec<String>>,
    failures: Vec<String>,
}

impl Protocol {
    fn note(&mut self, at: usize, who: &str, outcome: Result<&str>) {
        self.cells.resize(ROWS.len(), Vec::new());
        let word = outcome.unwrap_or_else(|error| {
            self.failures.push(format!("{} [{}] {who}: {error:#}", ROWS[at].operation, ROWS[at].call));
            "WRONG"
        });
        self.cells[at].push(format!("{who}={word}"));
    }
}

#[test]
fn the_table_asks_for_permissions_that_there_are() -> Result<()> {
    let (_, holders) = matrix()?;
    for row in ROWS {
        assert!(row.needs.iter().all(|needed| holders.contains_key(needed)), "{}: {:?}", row.operation, row.needs);
    }
    let asked: BTreeSet<_> = ROWS.iter().flat_map(|row| row.needs).copied().collect();
    println!(
        "no operation of the table needs {:?}",
        holders.keys().filter(|p| !asked.contains(**p)).collect::<Vec<_>>()
    );
    Ok(())
}

#[test]
fn an_operation_that_is_not_covered_fails_by_name() {
    let mut served: BTreeSet<String> = ROWS.iter().map(|row| row.operation.to_owned()).collect();
    assert!(uncovered(&served).is_empty());
    served.insert("Mutation.dropEverything".to_owned());
    served.remove("GET /api/v1/reports/{id}");
    assert_eq!(
        uncovered(&served),
        ["Mutation.dropEverything is not in tests/authz/table.rs", "GET /api/v1/reports/{id} is no operation any more"]
    );
}

#[tokio::test]
async fn every_operation_is_for_those_who_may_and_for_their_organization_only() -> Result<()> {
    let stance = Stance::start(Options::default()).await?;
    let zircon = Tenant::make(&stance, "zircon").await?;
    let basalt = Tenant::make(&stance, "basalt").await?;
    zircon.settled().await?;

    let served = served(&zircon.owner).await?;
    let mut protocol = Protocol { failures: uncovered(&served), ..Protocol::default() };
    without_credentials(&zircon, &served, &mut protocol).await?;
    with_foreign_ids(&zircon, &basalt, &served, &mut protocol).await?;
    as_every_role(&zircon, &served, &mut protocol).await?;
    for (row, cells) in ROWS.iter().zip(&protocol.cells) {
        println!("{} [{}] needs {:?}\n    {}", row.operation, row.call, row.needs, cells.join(" "));
    }
    assert!(protocol.failures.is_empty(), "{} failures:\n{}", protocol.failures.len(), protocol.failures.join("\n"));
    Ok(())
}

fn rows<'a>(served: &'a BTreeSet<String>) -> impl Iterator<Item = (usize, &'static Row)> + 'a {
    ROWS.iter().enumerate().filter(|(_, row)| served.contains(row.operation))
}

async fn without_credentials(tenant: &Tenant, served: &BTreeSet<String>, protocol: &mut Protocol) -> Result<()> {
    let nobody = Asker { client: Client::anonymous(&tenant.url)?, cookie: None };
    let invalid = Asker { client: Client::with_token(&tenant.url, "stance_nobody-has-this-one")?, cookie: None };
    for (at, row) in rows(served) {
        for (who, asker) in [("nobody", &nobody), ("bad-token", &invalid)] {
            let answer = ask(asker, row, &tenant.with(&tenant.ids), &[]).await?;
            let refused = answer.status == 401 && !answer.body.to_string().contains(tenant.word);
            let outcome = if refused { Ok("401") } else { Err(anyhow::anyhow!("{} {}", answer.status, answer.body)) };
            protocol.note(at, who, outcome);
        }
    }
    Ok(())
}

/// Another organization's owner asks with this one's ids, and with ids of nothing: the answers are the same.
async fn with_foreign_ids(
    victim: &Tenant,
    stranger: &Tenant,
    served: &BTreeSet<String>,
    protocol: &mut Protocol,
) -> Result<()> {
    let before = victim.snapshot().await?;
    let token = Asker { client: stranger.owner.clone(), cookie: None };
    let person = stranger.owner_person().await?;
    let nothing = stranger.random_ids();
    for (at, row) in rows(served) {
        let asker = if row.people_only { &person } else { &token };
        let foreign = ask(asker, row, &stranger.with(&victim.ids), &[&stranger.owner]).await?.comparable(&victim.ids);
        let takes_ids = victim.ids.keys().any(|name| row.call.contains(&format!("${name}")));
        let outcome = if foreign.contains(victim.word) {
            Err(anyhow::anyhow!("tells of the other organization: {foreign}"))
        } else if takes_ids {
            let missing = ask(asker, row, &stranger.with(&nothing), &[&stranger.owner]).await?.comparable(&nothing);
            if missing == foreign {
                Ok("same")
            } else {
                Err(anyhow::anyhow!("a foreign id answers {foreign}, a missing one {missing}"))
            }
        } else {
            Ok("own")
        };
        protocol.note(at, "foreign", outcome);
    }
    let after = victim.snapshot().await?;
    if before != after {
        protocol.failures.push(format!("the other organization was changed: before {before}, after {after}"));
    }
    // Now that it may change: what happens there is not heard of here.
    for (at, row) in rows(served).filter(|(_, row)| row.operation.starts_with("Subscription")) {
        let heard = ask(&token, row, &Ids::new(), &[&victim.owner, &stranger.owner]).await?.body;
        let own = stranger.owner.graphql("{ reports { nodes { id } } findings { nodes { id } } }", json!({})).await?;
        let own = own.to_string();
        let heard = heard.to_string();
        let strange = heard.split('"').filter(|text| text.contains(':') && text.len() > 36 && !own.contains(text));
        let strange: Vec<_> = strange.collect();
        let outcome =
            if strange.is_empty() && heard.contains(':') { Ok("own") } else { Err(anyhow::anyhow!("{heard}")) };
        protocol.note(at, "hears", outcome);
    }
    Ok(())
}

async fn as_every_role(tenant: &Tenant, served: &BTreeSet<String>, protocol: &mut Protocol) -> Result<()> {
    let (roles, holders) = matrix()?;
    for role in &roles {
        let has = |permission: &str| holders[permission].contains(role);
        let (_, token) = tenant.token("role", role, &[]).await?;
        // Machines are no people, so nobody signs in as one.
        let person = if *role == "SENSOR" { None } else { Some(tenant.member(role).await?.1) };
        for (at, row) in rows(served) {
            if !row.people_only {
                let may = row.needs.iter().all(|needed| has(needed));
                let answer = ask(&token, row, &ids(tenant, row, may).await?, &[&tenant.owner]).await?;
                protocol.note(at, role, judge(row, has, &answer, tenant.word));
                continue;
            }
            let answer = ask(&token, row, &tenant.with(&tenant.ids), &[]).await?;
            protocol.note(at, &format!("{role}-token"), judge(row, |_| false, &answer, tenant.word));
            if let Some(person) = &person {
                let mut ids = tenant.with(&tenant.ids);
                ids.extend(other_session(person).await?.map(|session| ("session", session)));
                let answer = ask(person, row, &ids, &[]).await?;
                protocol.note(at, role, judge(row, has, &answer, tenant.word));
            }
        }
    }
    // An owner's token for everything but one permission: whatever needs it is refused, which roles alone would not show.
    for without in rows(served).flat_map(|(_, row)| row.needs).collect::<BTreeSet<_>>() {
        let scopes: Vec<_> = holders.keys().filter(|other| *other != without).copied().collect();
        let (_, token) = tenant.token("scoped", "OWNER", &scopes).await?;
        for (at, row) in rows(served).filter(|(_, row)| !row.people_only && row.needs.contains(without)) {
            let answer = ask(&token, row, &ids(tenant, row, false).await?, &[&tenant.owner]).await?;
            protocol.note(
                at,
                &format!("without-{without}"),
                judge(row, |permission| permission != *without, &answer, tenant.word),
            );
        }
    }
    Ok(())
}

/// Ids for one call: what holders use up is made for each of them.
async fn ids(tenant: &Tenant, row: &Row, may: bool) -> Result<Ids> {
    let mut ids = tenant.with(&tenant.ids);
    if may && row.call.contains("$leaver") {
        ids.insert("leaver", tenant.member("VIEWER").await?.0);
    }
    if may && row.call.contains("$guest") {
        ids.insert("guest", tenant.invite("another@example.test", "VIEWER").await?.0);
    }
    if may && row.call.contains("$held") {
        ids.insert("held", tenant.contain("TOOLS_ONLY").await?);
    }
    for (name, status) in [("playbookRun", "RUNNING"), ("pausedRun", "PAUSED")] {
        if may && row.operation.starts_with("Mutation") && row.call.contains(&format!("${name}")) {
            ids.insert(name, tenant.playbook_run(status).await?);
        }
    }
    if may && row.operation == "Mutation.mergeIncidents" {
        ids.insert("twinIncident", tenant.incident(json!({})).await?);
    }
    if may && row.operation == "Mutation.splitIncident" {
        ids.insert("incident", tenant.incident(json!({ "findings": [tenant.ids["finding"]] })).await?);
    }
    if may && row.call.contains("$part") {
        tenant.join().await?;
    }
    Ok(ids)
}
