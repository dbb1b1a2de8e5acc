//! A page of 100 findings over GraphQL among 1,000,000 findings in 100 organizations, against the same SQL through the driver.

use crate::quantile;
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use sqlx::{Connection as _, Executor as _, PgConnection, Row as _, postgres::PgRow};
use stance_tests::{Client, Options, Stance};
use std::{collections::BTreeSet, time::Instant};
use uuid::Uuid;

const PAGE: i64 = 100;
/// The far page, counted from 1. The large organization has 5,100.
const FAR: i64 = 5_000;
const ROUNDS: usize = 1_000;

const DOCUMENT: &str = "query Page($after: String) { findings(first: 100, after: $after) {
    pageInfo { hasNextPage endCursor }
    nodes { id title severity status layer risk firstSeen categories { key name url } asset { id kind name } } } }";
const WALK: &str = "query Walk($after: String) { findings(first: 100, after: $after) { pageInfo { endCursor } } }";

/// What the server asks its database for such a page: `findings::repo::list` and `inventory::repo::by_ids`.
const FIRST: &str = "select id, fingerprint, asset_id, layer, severity, score, attack_success_rate, rule, title, description, \
    remediation, string_to_array(categories, ' ') as categories, risk, status, first_seen, resolved_at, decision_id, assignee_id \
    from finding join (select id from finding where true order by risk desc, id desc limit $1) page using (id) order by risk desc, id desc";
const AFTER: &str = "select id, fingerprint, asset_id, layer, severity, score, attack_success_rate, rule, title, description, \
    remediation, string_to_array(categories, ' ') as categories, risk, status, first_seen, resolved_at, decision_id, assignee_id \
    from finding join (select id from finding where true and (risk, id) < ($2, $3) order by risk desc, id desc limit $1) page using (id) \
    order by risk desc, id desc";
const ASSETS: &str = "select named.id as asked, a.id, a.kind, a.external_key, a.name, a.owner, a.environment, a.exposure, a.criticality, \
    a.lifecycle, a.tags, a.attributes, a.first_seen, a.last_seen, a.risk from asset named join asset a on a.id = named.root_id \
    where named.id = any($1)";

/// A row in the list's order.
type Key = (f64, Uuid);

#[expect(clippy::print_stdout, reason = "a benchmark prints")]
pub async fn run() -> Result<()> {
    let stance = Stance::start(Options { embedded: true, ..Options::default() }).await?;
    let organization = stance.bootstrap("Bench", "bench@stance.test").await?;
    let mut driver = Driver::connect(&stance, organization.id.rsplit(':').next().unwrap_or_default()).await?;
    let begin = Instant::now();
    driver.seed().await?;
    println!("1,000,000 findings in 100 organizations, made in {:.0} s", begin.elapsed().as_secs_f64());

    let client = &organization.client;
    let begin = Instant::now();
    let mut cursor = None;
    for _ in 1..FAR {
        let answer = client.graphql(WALK, json!({ "after": cursor })).await?;
        cursor = answer["findings"]["pageInfo"]["endCursor"].as_str().map(str::to_owned);
        ensure!(cursor.is_some(), "the list ended early: {answer}");
    }
    println!("walked to page {FAR}, one after the other, in {:.0} s", begin.elapsed().as_secs_f64());
    let key = driver.key_before(FAR).await?;

    let pages = [("first page", json!({ "after": null }), None), ("page 5,000", json!({ "after": cursor }), Some(key))];
    let mut samples: [[Vec<f64>; 2]; 2] = Default::default();
    for (_, variables, key) in &pages {
        let (api, sql) = (ids(&client.graphql(DOCUMENT, variables.clone()).await?)?, driver.page(*key).await?);
        ensure!(api.iter().map(String::as_str).eq(sql.iter().map(String::as_str)), "API and SQL give different pages");
        driver.check_plan(*key).await?;
    }
    // One after the other, so that whatever else the machine does slows all of them.
    for _ in 0..ROUNDS {
        for (at, (_, variables, key)) in pages.iter().enumerate() {
            let begin = Instant::now();
            post(client, variables).await?;
            samples[at][0].push(begin.elapsed().as_secs_f64() * 1000.0);
            let begin = Instant::now();
            driver.page(*key).await?;
            samples[at][1].push(begin.elapsed().as_secs_f64() * 1000.0);
        }
    }
    println!("{ROUNDS} pages of {PAGE} findings with asset and categories each, in ms   p50    p99");
    let mut p99 = [[0.0; 2]; 2];
    for (at, (page, ..)) in pages.iter().enumerate() {
        for (who, name) in ["GraphQL over HTTP", "the same SQL, sqlx"].iter().enumerate() {
            let times = &mut samples[at][who];
            p99[at][who] = quantile(times, 0.99);
            println!("{page:<12} {name:<44} {:>6.2} {:>6.2}", quantile(times, 0.5), p99[at][who]);
        }
    }
    for (at, (page, ..)) in pages.iter().enumerate() {
        println!("p99 GraphQL / SQL, {page:<12} {:>6.2}   (goal: at most 3)", p99[at][0] / p99[at][1]);
    }
    println!("p99 page 5,000 / first page     {:>6.2}   (goal: about 1)", p99[1][0] / p99[0][0]);
    Ok(())
}

/// A request whose answer is read but not taken apart.
async fn post(client: &Client, variables: &Value) -> Result<()> {
    let request = client.request(reqwest::Method::POST, "/graphql");
    let answer = request.json(&json!({ "query": DOCUMENT, "variables": variables })).send().await?;
    answer.error_for_status()?.bytes().await?;
    Ok(())
}

fn ids(answer: &Value) -> Result<Vec<String>> {
    let nodes = answer["findings"]["nodes"].as_array().context("no nodes")?;
    Ok(nodes.iter().map(|node| node["id"].as_str().unwrap_or_default().replace("finding:", "")).collect())
}

/// A connection to the server's own database, which does what the server does for a page: two transactions of one organization.
struct Driver {
    connection: PgConnection,
    tenant: String,
}

impl Driver {
    async fn connect(stance: &Stance, tenant: &str) -> Result<Self> {
        let mut connection = PgConnection::connect(&stance.database_url()).await?;
        connection.execute("set timezone to 'UTC'").await?;
        Ok(Self { connection, tenant: tenant.to_owned() })
    }

    async fn seed(&mut self) -> Result<()> {
        self.connection.execute("create temporary table bench_tenant (no int primary key, id uuid not null)").await?;
        let first = sqlx::query("insert into bench_tenant values (0, $1::uuid)").bind(self.tenant.parse::<Uuid>()?);
        first.execute(&mut self.connection).await?;
        self.connection.execute(sqlx::raw_sql(include_str!("seed.sql"))).await?;
        // What autovacuum does within a minute.
        self.connection.execute("vacuum analyze").await?;
        Ok(())
    }

    async fn begin(&mut self) -> Result<()> {
        self.connection.execute("begin read only").await?;
        sqlx::query("select set_config('role', 'stance_app', true), set_config('app.tenant_id', $1, true)")
            .bind(&self.tenant)
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    async fn rollback(&mut self) -> Result<()> {
        self.connection.execute("rollback").await?;
        Ok(())
    }

    /// The ids of a page's findings, in order.
    async fn page(&mut self, after: Option<Key>) -> Result<Vec<String>> {
        self.begin().await?;
        let list = match after {
            None => sqlx::query(FIRST).bind(PAGE + 1),
            Some((risk, id)) => sqlx::query(AFTER).bind(PAGE + 1).bind(risk).bind(id),
        };
        let mut rows = list.fetch_all(&mut self.connection).await?;
        self.rollback().await?;
        rows.truncate(usize::try_from(PAGE)?);
        let assets: BTreeSet<Uuid> = rows.iter().map(|row| row.get("asset_id")).collect();
        let assets: Vec<Uuid> = assets.into_iter().collect();
        self.begin().await?;
        let found: Vec<PgRow> = sqlx::query(ASSETS).bind(&assets).fetch_all(&mut self.connection).await?;
        self.rollback().await?;
        ensure!(found.len() == assets.len(), "assets are missing");
        Ok(rows.iter().map(|row| row.get::<Uuid, _>("id").to_string()).collect())
    }

    /// The last row of the page before this one.
    async fn key_before(&mut self, page: i64) -> Result<Key> {
        self.begin().await?;
        let key = sqlx::query_as("select risk, id from finding order by risk desc, id desc offset $1 limit 1")
            .bind((page - 1) * PAGE - 1)
            .fetch_one(&mut self.connection)
            .await?;
        self.rollback().await?;
        Ok(key)
    }

    /// The page's ids are read from an index alone, from its key on, and only the page's rows are fetched and sorted.
    async fn check_plan(&mut self, after: Option<Key>) -> Result<()> {
        self.begin().await?;
        let plan: Vec<String> = match after {
            None => sqlx::query_scalar(sqlx::AssertSqlSafe(format!("explain (costs off) {FIRST}"))).bind(PAGE + 1),
            Some((risk, id)) => {
                let explain = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("explain (costs off) {AFTER}")));
                explain.bind(PAGE + 1).bind(risk).bind(id)
            }
        }
        .fetch_all(&mut self.connection)
        .await?;
        let assets: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("explain (costs off) {ASSETS}")))
            .bind(vec![Uuid::nil()])
            .fetch_all(&mut self.connection)
            .await?;
        self.rollback().await?;
        let assets = assets.join("\n");
        ensure!(assets.matches("Index Scan using asset_pkey").count() == 2, "the plan of the assets is\n{assets}");
        let plan = plan.join("\n");
        let (outer, found) = plan.split_once("Limit").with_context(|| format!("the plan is\n{plan}"))?;
        let by_index =
            found.contains("Index Only Scan using finding_risk_order") && found.contains("using finding_pkey");
        ensure!(by_index && !found.contains("Sort") && !outer.contains("Scan"), "the plan is\n{plan}");
        Ok(())
    }
}
