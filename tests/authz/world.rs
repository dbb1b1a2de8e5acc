//! Two organizations with one of everything.

use crate::ask::{Asker, Ids, report};
use anyhow::{Context as _, Result, ensure};
use reqwest::{Method, header};
use serde_json::{Value, json};
use stance_tests::{Client, Import, Organization, PASSWORD, Stance, wait_for};
use uuid::Uuid;

/// The password that `changePassword` changes to.
const NEW_PASSWORD: &str = "another long enough passphrase";

/// An organization, its people and things.
pub struct Tenant {
    /// A word that is in the names of all its things, and in nothing of the other organization.
    pub word: &'static str,
    pub owner: Client,
    owner_email: String,
    pub url: String,
    database: String,
    /// What stands for `$name`, of this organization.
    pub ids: Ids,
}

fn text(value: &Value) -> Result<String> {
    value.as_str().map(str::to_owned).with_context(|| format!("no text: {value}"))
}

impl Tenant {
    /// # Errors
    /// When something can not be made.
    pub async fn make(stance: &Stance, word: &'static str) -> Result<Self> {
        let Organization { id, owner_email, client: owner } =
            stance.bootstrap(word, &format!("owner@{word}.test")).await?;
        let id = id.rsplit(':').next().unwrap_or_default();
        let (url, database) = (stance.url.clone(), stance.database_url());
        let mut tenant = Self { word, owner, owner_email, url, database, ids: Ids::new() };
        let key = format!("{word}-agent");
        let made = tenant
            .graphql(
                "mutation($a: String!, $b: String!, $c: String!, $d: String!) { upsertAssets(
                    assets: [{ kind: AGENT, externalKey: $a }, { kind: MODEL, externalKey: $b },
                        { kind: AGENT, externalKey: $c }, { kind: AGENT, externalKey: $d }],
                    relations: [{ from: { kind: AGENT, externalKey: $a }, kind: USES_MODEL, to: { kind: MODEL, externalKey: $b } }]
                ) { assets { id relations { id } } } }",
                json!({ "a": key, "b": format!("{word}-model"), "c": format!("{word}-twin"), "d": format!("{word}-part") }),
            )
            .await?;
        for (at, name) in [(0, "asset"), (2, "twin"), (3, "part")] {
            tenant.ids.insert(name, text(&made["upsertAssets"]["assets"][at]["id"])?);
        }
        tenant.ids.insert("relation", text(&made["upsertAssets"]["assets"][0]["relations"][0]["id"])?);
        let import = Import { asset: Some(&key), filename: Some(&key), ..Import::default() };
        let report = tenant.owner.upload(report(word), import).await?;
        let finished = tenant.owner.finished(&report).await?;
        ensure!(finished["status"] == "DONE", "{finished}");
        tenant.ids.insert("report", format!("report:{report}"));
        tenant.ids.insert("reportUuid", report);
        let found = tenant.graphql("{ findings { nodes { id } } }", json!({})).await?;
        for (at, name) in ["finding", "decided", "started"].into_iter().enumerate() {
            tenant.ids.insert(name, text(&found["findings"]["nodes"][at]["id"])?);
        }
        let triage =
            "mutation($input: TriageInput!) { triageFindings(input: $input) { batch findings { decision { id } } } }";
        let input = json!({ "ids": [tenant.ids["decided"]], "action": "FALSE_POSITIVE", "reason": word });
        let decided = tenant.graphql(triage, json!({ "input": input })).await?;
        tenant.ids.insert("decision", text(&decided["triageFindings"]["findings"][0]["decision"]["id"])?);
        let input = json!({ "ids": [tenant.ids["started"]], "action": "START" });
        let started = tenant.graphql(triage, json!({ "input": input })).await?;
        tenant.ids.insert("batch", text(&started["triageFindings"]["batch"])?);
        let (user, person) = tenant.member("ANALYST").await?;
        tenant.ids.insert("user", user.clone());
        tenant.ids.insert("leaver", user);
        tenant.ids.insert("owner", tenant.user(&tenant.owner_email).await?);
        let (invitation, _) = tenant.invite(&format!("guest@{word}.test"), "VIEWER").await?;
        tenant.ids.insert("invitation", invitation.clone());
        tenant.ids.insert("guest", invitation);
        let (token, _) = tenant.token(&format!("{word}-token"), "VIEWER", &[]).await?;
        tenant.ids.insert("token", token);
        tenant.ids.insert("organization", format!("organization:{id}"));
        tenant.ids.insert("session", other_session(&person).await?.context("no session")?);
        tenant.ids.insert("deadLetter", dead_letter(stance, id).await?);
        tenant.runtime(word).await?;
        tenant.notifications(stance, word).await?;
        tenant.playbooks().await?;
        tenant.incidents().await?;
        Ok(tenant)
    }

    /// Waits until what its event shows is reported, so that nothing changes by itself any more.
    pub async fn settled(&self) -> Result<()> {
        wait_for("the report of the event", 60, || async {
            let found = self.graphql("{ reports { totalCount nodes { status } } }", json!({})).await.ok()?;
            let done = found["reports"]["nodes"].as_array()?.iter().all(|report| report["status"] == "DONE");
            (found["reports"]["totalCount"] == 2 && done).then_some(())
        })
        .await
    }

    /// What stands for `$name` when `self` asks with the ids of `things`.
    pub fn with(&self, things: &Ids) -> Ids {
        let mut ids = things.clone();
        ids.extend([
            ("ownFinding", self.ids["finding"].clone()),
            ("ownAsset", self.ids["asset"].clone()),
            ("name", self.word.to_owned()),
            ("soon", "2027-01-01T00:00:00Z".to_owned()),
            ("password", PASSWORD.to_owned()),
            ("newPassword", NEW_PASSWORD.to_owned()),
        ]);
        ids
    }

    /// Ids of the same nouns, of nothing.
    pub fn random_ids(&self) -> Ids {
        let random = |id: &String| match id.split_once(':') {
            _ if *id == self.ids["now"] => id.clone(),
            Some((noun, _)) => format!("{noun}:{}", Uuid::new_v4()),
            None => Uuid::new_v4().to_string(),
        };
        self.ids.iter().map(|(name, id)| (*name, random(id))).collect()
    }

    async fn graphql(&self, query: &str, variables: Value) -> Result<Value> {
        self.owner.graphql(query, variables).await
    }

    /// An event with its session, a sensor and two policies.
    async fn runtime(&mut self, word: &str) -> Result<()> {
        let now = text(&self.graphql("{ viewer { now } }", json!({})).await?["viewer"]["now"])?;
        let event = json!({ "id": word, "at": now, "kind": "PROMPT", "agent": format!("{word}-agent"),
            "session": word, "model": word, "text": word });
        self.graphql("mutation($e: [EventInput!]!) { ingestEvents(events: $e) { accepted } }", json!({ "e": [event] }))
            .await?;
        self.ids.insert("now", now);
        let found = self.graphql("{ events { nodes { id session { id } } } }", json!({})).await?;
        let event = &found["events"]["nodes"][0];
        self.ids.insert("event", text(&event["id"])?);
        self.ids.insert("agentSession", text(&event["session"]["id"])?);
        let register = "mutation($n: String!, $a: ID!) { registerSensor(name: $n, asset: $a) { sensor { id } } }";
        let made = self.graphql(register, json!({ "n": word, "a": self.ids["asset"] })).await?;
        self.ids.insert("sensor", text(&made["registerSensor"]["sensor"]["id"])?);
        let save = "mutation($n: String!, $d: JSON!) { savePolicy(name: $n, document: $d) { id } }";
        for (name, called) in [("policy", word.to_owned()), ("oldPolicy", format!("old {word}"))] {
            let made = self.graphql(save, json!({ "n": called, "d": { "preset": "balanced" } })).await?;
            self.ids.insert(name, text(&made["savePolicy"]["id"])?);
        }
        self.ids.insert("containment", self.contain("HUMAN_APPROVAL").await?);
        self.ids.insert("held", self.contain("TOOLS_ONLY").await?);
        let register = "mutation($n: String!) { registerEnforcementPoint(name: $n, url: \"https://gateway.example\") { point { id } } }";
        let made = self.graphql(register, json!({ "n": word })).await?;
        self.ids.insert("enforcementPoint", text(&made["registerEnforcementPoint"]["point"]["id"])?);
        Ok(())
    }

    /// Two channels with a rule each, and a message that was given up.
    async fn notifications(&mut self, stance: &Stance, word: &str) -> Result<()> {
        let channel = "mutation($n: String!, $u: String!) { saveNotificationChannel(input: { kind: WEBHOOK, name: $n, url: $u }) { channel { id } } }";
        let rule = "mutation($n: String!, $c: ID!) { saveNotificationRule(input: { name: $n, channel: $c, topics: [SENSOR_SILENT], minSeverity: LOW }) { id } }";
        for (name, called, rule_name) in [
            ("notificationChannel", word.to_owned(), "notificationRule"),
            ("oldChannel", format!("old {word}"), "oldRule"),
        ] {
            let url = format!("https://{word}.invalid/");
            let made = self.graphql(channel, json!({ "n": called, "u": url })).await?;
            let id = text(&made["saveNotificationChannel"]["channel"]["id"])?;
            let made = self.graphql(rule, json!({ "n": called, "c": id })).await?;
            self.ids.insert(rule_name, text(&made["saveNotificationRule"]["id"])?);
            self.ids.insert(name, id);
        }
        let id = failed_message(stance, &self.ids["notificationRule"]).await?;
        self.ids.insert("notificationDelivery", id);
        Ok(())
    }

    /// The containment of `asset` with this grade; a new one when there is none in force.
    pub async fn contain(&self, grade: &str) -> Result<String> {
        let made = self
            .graphql(
                "mutation($a: ID!, $g: ContainmentGrade!, $r: String!, $k: String!) { quarantineAgent(agent: $a, grade: $g, reason: $r, key: $k) { id } }",
                json!({ "a": self.ids["asset"], "g": grade, "r": self.word, "k": Uuid::new_v4() }),
            )
            .await?;
        text(&made["quarantineAgent"]["id"])
    }

    /// Two playbooks, and runs of one of them.
    async fn playbooks(&mut self) -> Result<()> {
        let save = "mutation($s: String!) { savePlaybook(source: $s) { id } }";
        for (name, source) in [("playbook", PLAYBOOK), ("oldPlaybook", OLD_PLAYBOOK)] {
            let made = self.graphql(save, json!({ "s": source })).await?;
            self.ids.insert(name, text(&made["savePlaybook"]["id"])?);
        }
        for (name, status) in [("playbookRun", "RUNNING"), ("pausedRun", "PAUSED")] {
            self.ids.insert(name, self.playbook_run(status).await?);
        }
        Ok(())
    }

    /// An incident of all kinds of things, and one of nothing.
    async fn incidents(&mut self) -> Result<()> {
        let [asset, finding, event, session] =
            ["asset", "finding", "event", "agentSession"].map(|name| &self.ids[name]);
        let items = json!({ "assets": [asset], "findings": [finding], "events": [event], "sessions": [session] });
        let incident = self.incident(items).await?;
        self.ids.insert("incident", incident);
        let twin = self.incident(json!({})).await?;
        self.ids.insert("twinIncident", twin);
        Ok(())
    }

    /// An incident of these things.
    pub async fn incident(&self, items: Value) -> Result<String> {
        let open = "mutation($i: OpenIncidentInput!) { openIncident(input: $i) { id } }";
        let input = json!({ "title": self.word, "severity": "HIGH", "items": items });
        text(&self.graphql(open, json!({ "i": input })).await?["openIncident"]["id"])
    }

    /// A run whose steps stand in every way that somebody can do something about. No run stands so by itself, so it is written into the
    /// database.
    pub async fn playbook_run(&self, status: &str) -> Result<String> {
        use sqlx::Connection as _;
        let uuid = |id: &str| Ok::<_, anyhow::Error>(id.split(':').next_back().context("no id")?.parse::<Uuid>()?);
        let (tenant, playbook, run) = (uuid(&self.ids["organization"])?, uuid(&self.ids["playbook"])?, Uuid::new_v4());
        let mut connection = sqlx::PgConnection::connect(&self.database).await?;
        sqlx::query(
            "insert into playbook_run (tenant_id, id, playbook_id, version, status, started_by, started_at)
             values ($1, $2, $3, 1, $4, 'test', now())",
        )
        .bind(tenant)
        .bind(run)
        .bind(playbook)
        .bind(status)
        .execute(&mut connection)
        .await?;
        sqlx::query(
            "insert into playbook_step (tenant_id, run_id, step, state, attempt, started_at, at, by)
             select $1, $2, step, state, 1, now(), now(), 'test'
             from (values ('gate', 'STARTED'), ('task', 'STARTED'), ('post', 'FAILED'), ('stop', 'DONE')) as s(step, state)",
        )
        .bind(tenant)
        .bind(run)
        .execute(&mut connection)
        .await?;
        connection.close().await?;
        Ok(format!("playbook_run:{run}"))
    }

    async fn user(&self, email: &str) -> Result<String> {
        let found = self.graphql("{ members { user { id email } } }", json!({})).await?;
        let members = found["members"].as_array().context("no members")?;
        let member = members.iter().find(|member| member["user"]["email"] == email).context("no such member")?;
        text(&member["user"]["id"])
    }

    /// Gives the invitation's id and secret.
    pub async fn invite(&self, email: &str, role: &str) -> Result<(String, String)> {
        let made = self
            .graphql(
                "mutation($e: String!, $r: Role!) { inviteMember(email: $e, role: $r) { url invitation { id } } }",
                json!({ "e": email, "r": role }),
            )
            .await?;
        let url = text(&made["inviteMember"]["url"])?;
        let secret = url.rsplit('/').next().context("no secret")?.to_owned();
        Ok((text(&made["inviteMember"]["invitation"]["id"])?, secret))
    }

    /// Makes `part` an alias of `asset`, if it is none.
    pub async fn join(&self) -> Result<()> {
        let ids = json!({ "keep": self.ids["asset"], "other": self.ids["part"] });
        self.graphql("mutation($keep: ID!, $other: ID!) { mergeAssets(keep: $keep, others: [$other]) { id } }", ids)
            .await?;
        Ok(())
    }

    /// A new member, signed in twice.
    pub async fn member(&self, role: &str) -> Result<(String, Asker)> {
        let email = format!("{}@{}.test", Uuid::new_v4().simple(), self.word);
        let (_, secret) = self.invite(&email, role).await?;
        let client = Client::anonymous(&self.url)?;
        let form = [("token", secret.as_str()), ("name", self.word), ("password", PASSWORD)];
        let accept = client.request(Method::POST, "/auth/accept-invitation").header(header::ORIGIN, &self.url);
        let answer = accept.form(&form).send().await?;
        ensure!(answer.headers().contains_key(header::SET_COOKIE), "not accepted: {answer:?}");
        let cookie = client.sign_in(&email, PASSWORD).await?;
        Ok((self.user(&email).await?, Asker { client, cookie: Some(cookie) }))
    }

    /// The owner, signed in once more.
    pub async fn owner_person(&self) -> Result<Asker> {
        let client = Client::anonymous(&self.url)?;
        let cookie = client.sign_in(&self.owner_email, PASSWORD).await?;
        Ok(Asker { client, cookie: Some(cookie) })
    }

    /// A new token: its id, and who comes by it.
    pub async fn token(&self, name: &str, role: &str, scopes: &[&str]) -> Result<(String, Asker)> {
        let made = self
            .graphql(
                "mutation($n: String!, $r: Role!, $s: [String!]) { createApiToken(name: $n, role: $r, scopes: $s) { secret token { id } } }",
                json!({ "n": name, "r": role, "s": scopes }),
            )
            .await?;
        let client = Client::with_token(&self.url, &text(&made["createApiToken"]["secret"])?)?;
        Ok((text(&made["createApiToken"]["token"]["id"])?, Asker { client, cookie: None }))
    }

    /// Everything that somebody else could have changed.
    pub async fn snapshot(&self) -> Result<Value> {
        self.graphql(
            "{ viewer { organization { name } }
               assets(first: 50) { totalCount nodes { id name owner lifecycle tags lastSeen relations { id } } }
               findings(first: 50) { totalCount nodes { id status assignee { id } decision { id kind reason } history { at kind } } }
               reports { totalCount nodes { id status } }
               members { user { id name } role } invitations { id role } apiTokens { id role revokedAt }
               incidents { totalCount nodes { id status title severity watchers { id } links { url } timeline { totalCount } } }
               deadLetters { id redrivenAt } notificationChannels { id name } notificationRules { id name } auditLog { totalCount } }",
            json!({}),
        )
        .await
    }
}

/// A session of the person that is not the one that they ask by, if there is one.
pub async fn other_session(person: &Asker) -> Result<Option<String>> {
    let query = json!({ "query": "{ viewer { sessions { id current } } }" });
    let cookie = person.cookie.clone().context("no person")?;
    let request = person.client.request(Method::POST, "/graphql").header(header::COOKIE, cookie).json(&query);
    let answer: Value = request.send().await?.json().await?;
    let sessions = answer["data"]["viewer"]["sessions"].as_array().with_context(|| format!("no sessions: {answer}"))?;
    sessions.iter().find(|session| session["current"] == false).map(|session| text(&session["id"])).transpose()
}

/// A message that was given up after hours of attempts, which a test has not: it is written into the database.
async fn failed_message(stance: &Stance, rule: &str) -> Result<String> {
    use sqlx::Connection as _;
    let id = Uuid::new_v4();
    let rule: Uuid = rule.rsplit(':').next().unwrap_or_default().parse()?;
    let mut connection = sqlx::PgConnection::connect(&stance.database_url()).await?;
    sqlx::query(
        "with told as (
             insert into notice (tenant_id, id, topic, severity, title, text, link, permission, subject, key, at, routed_at)
             select tenant_id, $1, 'SENSOR_SILENT', 2, name, '', '/', 'sensor:read', $1, 'k', now(), now() from notification_rule where id = $2
         ), message as (
             insert into notification_delivery (tenant_id, id, channel_id, rule_id, status, due_at, created_at, finished_at)
             select tenant_id, $1, channel_id, id, 'DEAD', now(), now(), now() from notification_rule where id = $2
         )
         insert into notification_content (tenant_id, delivery_id, notice_id) select tenant_id, $1, $1 from notification_rule where id = $2",
    )
    .bind(id)
    .bind(rule)
    .execute(&mut connection)
    .await?;
    connection.close().await?;
    Ok(format!("notification_delivery:{id}"))
}

/// A job that failed for good. Jobs do not fail for good on demand, so it is written into the database.
async fn dead_letter(stance: &Stance, tenant: &str) -> Result<String> {
    use sqlx::Connection as _;
    let id = Uuid::new_v4();
    let tenant: Uuid = tenant.parse()?;
    let payload = json!({ "tenant": tenant, "actor": { "kind": "system", "label": "test" }, "request_id": "test",
        "attempt": 5, "job": "recompute_risk" });
    let mut connection = sqlx::PgConnection::connect(&stance.database_url()).await?;
    sqlx::query(
        "insert into dead_letter (tenant_id, id, job, payload, error, attempts, created_at)
         values ($1, $2, 'recompute_risk', $3, 'It failed.', 5, now())",
    )
    .bind(tenant)
    .bind(id)
    .bind(payload)
    .execute(&mut connection)
    .await?;
    connection.close().await?;
    Ok(format!("dead_letter:{id}"))
}

const PLAYBOOK: &str = "{ id: probe, title: probe, summary: s, version: 1, trigger: { on: incident, when: serious }, steps: [{ id: gate, title: Gate, approval: { role: RESPONDER, question: q } }, { id: task, title: Task, task: { role: ANALYST, instructions: i } }, { id: post, title: Post, action: webhook, with: { channel: none } }, { id: stop, title: Stop, action: quarantine, with: { grade: tools-only, reason: r } }] }";
const OLD_PLAYBOOK: &str = "{ id: old-probe, title: old, summary: s, version: 1, trigger: { on: manual }, steps: [{ id: a, title: A, wait: 1s }] }";
