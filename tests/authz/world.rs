//! Two organizations with one of everything.

use crate::ask::{Asker, Ids, report};
use anyhow::{Context as _, Result, ensure};
use reqwest::{Method, header};
use serde_json::{Value, json};
use stance_tests::{Client, Import, Organization, PASSWORD, Stance};
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
        let mut tenant = Self { word, owner, owner_email, url: stance.url.clone(), ids: Ids::new() };
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
        tenant.incidents(word).await?;
        Ok(tenant)
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
        Ok(())
    }

    /// Two incidents, one of them about the asset.
    async fn incidents(&mut self, word: &str) -> Result<()> {
        let open = "mutation($i: OpenIncidentInput!) { openIncident(input: $i) { id } }";
        for (name, items) in [("incident", json!({ "assets": [self.ids["asset"]] })), ("twinIncident", json!({}))] {
            let input = json!({ "title": word, "severity": "HIGH", "items": items });
            let made = self.graphql(open, json!({ "i": input })).await?;
            self.ids.insert(name, text(&made["openIncident"]["id"])?);
        }
        Ok(())
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
               deadLetters { id redrivenAt } auditLog { totalCount } }",
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
