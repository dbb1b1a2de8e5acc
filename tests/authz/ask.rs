//! Calls an operation of the table over HTTP or a web socket, and reads its answer.

use crate::table::Row;
use anyhow::{Context as _, Result};
use reqwest::{Method, header};
use serde_json::{Value, json};
use stance_tests::{Client, Import, Subscription};
use std::{collections::BTreeMap, time::Duration};

/// What stands for `$name` in a call.
pub type Ids = BTreeMap<&'static str, String>;

/// Somebody who asks.
#[derive(Clone)]
pub struct Asker {
    /// With a token, or with none for people and strangers.
    pub client: Client,
    /// The session, of people.
    pub cookie: Option<String>,
}

impl Asker {
    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.client.request(method, path);
        match &self.cookie {
            Some(cookie) => request.header(header::COOKIE, cookie),
            None => request,
        }
    }
}

/// What came back.
pub struct Answer {
    pub status: u16,
    /// GraphQL's `data` and `errors`, a problem, or text.
    pub body: Value,
    graphql: bool,
}

impl Answer {
    async fn read(response: reqwest::Response, graphql: bool) -> Result<Self> {
        let status = response.status().as_u16();
        let text = response.text().await?;
        Ok(Self { status, body: serde_json::from_str(&text).unwrap_or(Value::String(text)), graphql })
    }

    /// The codes of its errors.
    pub fn codes(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array().map_or(&[][..], Vec::as_slice);
        let coded = errors.iter().map(|error| error["extensions"]["code"].as_str().unwrap_or("NO CODE"));
        let problem = (self.status >= 400).then(|| self.body["code"].as_str().unwrap_or("NO CODE"));
        coded.chain(problem).collect()
    }

    /// Whether the asker got what they asked for.
    pub fn is_granted(&self) -> bool {
        let data = self.body["data"].as_object().and_then(|data| data.values().next());
        self.status < 300 && self.codes().is_empty() && (!self.graphql || data.is_some_and(|value| !value.is_null()))
    }

    /// Whether it says `FORBIDDEN`, as GraphQL or with HTTP's status.
    pub fn is_forbidden(&self) -> bool {
        self.codes().contains(&"FORBIDDEN") && self.status == if self.graphql { 200 } else { 403 }
    }

    /// As text, without what is another in each answer: the request's id, and the ids that it was asked for.
    pub fn comparable(&self, ids: &Ids) -> String {
        let mut body = self.body.clone();
        if let Some(problem) = body.as_object_mut() {
            problem.remove("requestId");
        }
        for error in body.get_mut("errors").and_then(Value::as_array_mut).into_iter().flatten() {
            error["extensions"]["requestId"].take();
        }
        let text = format!("{} {body}", self.status);
        ids.values().fold(text, |text, id| text.replace(id.rsplit(':').next().unwrap_or(id), "ID"))
    }
}

/// A report of three findings, of which no two are the same.
pub fn report(word: &str) -> String {
    let rule = format!("{word}-{}", uuid::Uuid::new_v4().simple());
    let result = |line: u32| {
        json!({ "ruleId": format!("{rule}-{line}"), "level": "error", "message": { "text": format!("{word} in line {line}") },
            "locations": [{ "physicalLocation": { "artifactLocation": { "uri": "a.py" }, "region": { "startLine": line } } }] })
    };
    let run = json!({ "tool": { "driver": { "name": "probe" } }, "results": [result(1), result(2), result(3)] });
    json!({ "version": "2.1.0", "runs": [run] }).to_string()
}

/// Asks. A subscription is followed to its first message, while `witnesses` cause some, one after the other.
pub async fn ask(asker: &Asker, row: &Row, ids: &Ids, witnesses: &[&Client]) -> Result<Answer> {
    let (kind, name) = row.operation.split_once(['.', ' ']).context("not an operation")?;
    if name.starts_with('/') {
        let path = ids.iter().rev().fold(row.call.to_owned(), |path, (key, id)| path.replace(&format!("${key}"), id));
        let mut request = asker.request(kind.parse()?, &path);
        if kind == "POST" {
            let json = |body: Value| (Some("application/json"), body.to_string());
            let (kind, body) = match name {
                "/api/v1/inspect" => json(json!({ "channel": "MEMORY", "text": "x" })),
                "/api/v1/containment/acknowledgements" => json(json!({ "hash": "0".repeat(64) })),
                "/api/v1/heartbeat" => json(json!({ "version": "1" })),
                "/api/v1/events" => {
                    (None, json!([{ "id": "made-by-roles", "at": ids["now"], "kind": "PROMPT" }]).to_string())
                }
                _ => (None, report("made-by-roles")),
            };
            request = kind
                .map_or(request.try_clone().context("a body")?, |kind| request.header(header::CONTENT_TYPE, kind))
                .body(body);
        }
        return Answer::read(request.send().await?, false).await;
    }
    let (document, variables) = document(kind, row.call, ids)?;
    if kind == "Subscription" {
        return follow(asker, &document, variables, witnesses).await;
    }
    let request = asker.request(Method::POST, "/graphql");
    let operations = json!({ "query": document, "variables": variables });
    let request = if row.call.contains("$file") {
        stance_tests::with_file(request, &operations, "probe.sarif", &report("made-by-roles"))
    } else {
        request.json(&operations)
    };
    Answer::read(request.send().await?, true).await
}

/// A document that declares the variables which the call has.
fn document(kind: &str, call: &str, ids: &Ids) -> Result<(String, Value)> {
    let (mut declared, mut variables) = (Vec::new(), json!({}));
    for part in call.split('$').skip(1) {
        let name = part.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        let of = match name {
            "file" => "Upload!",
            "name" | "password" | "newPassword" | "fresh" => "String!",
            "soon" | "now" => "DateTime!",
            _ => "ID!",
        };
        declared.push(format!("${name}: {of}"));
        variables[name] = match name {
            "file" => Value::Null,
            "fresh" => uuid::Uuid::new_v4().to_string().into(),
            _ => ids.get(name).with_context(|| format!("nothing stands for ${name}"))?.as_str().into(),
        };
    }
    let declared = if declared.is_empty() { String::new() } else { format!("({})", declared.join(", ")) };
    Ok((format!("{} {declared} {{ {call} }}", kind.to_lowercase()), variables))
}

async fn follow(asker: &Asker, document: &str, variables: Value, witnesses: &[&Client]) -> Result<Answer> {
    let Some(mut subscription) = Subscription::open(&asker.client, document, variables).await? else {
        return Ok(Answer { status: 401, body: Value::Null, graphql: true });
    };
    // Something has to happen until it is heard of.
    for _ in 0..20 {
        for witness in witnesses {
            let import = Import { asset: Some("made-by-roles"), filename: Some("probe.sarif"), ..Import::default() };
            witness.upload(report("made-by-roles"), import).await?;
        }
        if let Some(body) = subscription.next(Duration::from_secs(1)).await? {
            return Ok(Answer { status: 200, body, graphql: true });
        }
    }
    anyhow::bail!("the subscription gave nothing")
}
