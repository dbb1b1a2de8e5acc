//! Messages to webhooks and mail servers, against receivers of the test.

use anyhow::{Context as _, Result, ensure};
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use ring::hmac;
use serde_json::{Value, json};
use stance_tests::{Client, Options, Organization, Stance, wait_for};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

/// A message as it came.
#[derive(Clone)]
struct Came {
    path: String,
    headers: HeaderMap,
    body: String,
}

impl Came {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// As `docs/notifications.md` says.
    fn is_signed(&self, secret: &str) -> bool {
        let header = self.header("stance-signature");
        let part = |name: &str| header.split(',').find_map(|part| part.strip_prefix(name)).unwrap_or_default();
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let wanted = hmac::sign(&key, format!("{}.{}", part("t="), self.body).as_bytes());
        let wanted: String = wanted.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        !header.is_empty() && part("v1=") == wanted
    }
}

/// A webhook's receiver.
#[derive(Clone, Default)]
struct Receiver {
    came: Arc<Mutex<Vec<Came>>>,
    /// Statuses of the next answers; 200 when there are none.
    next: Arc<Mutex<Vec<u16>>>,
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Receiver {
    async fn start() -> Result<(Self, String)> {
        let receiver = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let router = Router::new().fallback(post(receive)).with_state(receiver.clone());
        #[expect(clippy::disallowed_methods, reason = "ends with its test")]
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok((receiver, url))
    }

    fn answers(&self, statuses: &[u16]) {
        *lock(&self.next) = statuses.to_vec();
    }

    fn all(&self) -> Vec<Came> {
        lock(&self.came).clone()
    }

    async fn wait(&self, count: usize) -> Result<Vec<Came>> {
        wait_for("messages", 60, || async { Some(self.all()).filter(|came| came.len() >= count) }).await
    }
}

async fn receive(State(receiver): State<Receiver>, uri: axum::http::Uri, headers: HeaderMap, body: String) -> Response {
    lock(&receiver.came).push(Came { path: uri.path().to_owned(), headers, body });
    let mut next = lock(&receiver.next);
    let status = if next.is_empty() { 200 } else { next.remove(0) };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::IM_A_TEAPOT);
    (status, [(header::LOCATION, "/elsewhere")], "<b>the receiver's answer</b>").into_response()
}

async fn start(arguments: &[&str]) -> Result<(Stance, Organization)> {
    let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let stance = Stance::start(Options { arguments, ..Options::default() }).await?;
    let acme = stance.bootstrap("Acme", "owner@acme.test").await?;
    Ok((stance, acme))
}

const SAVE: &str = "mutation($i: NotificationChannelInput!) { saveNotificationChannel(input: $i) { signingSecret channel { id state target } } }";

async fn save(client: &Client, input: Value) -> Result<Value> {
    Ok(client.graphql(SAVE, json!({ "i": input })).await?["saveNotificationChannel"].clone())
}

async fn rule(client: &Client, channel: &Value, more: Value) -> Result<()> {
    let mut input = json!({ "name": "critical findings", "channel": channel, "topics": ["FINDING_CRITICAL"], "minSeverity": "HIGH" });
    for (key, value) in more.as_object().context("no object")? {
        input[key] = value.clone();
    }
    client
        .graphql(
            "mutation($i: NotificationRuleInput!) { saveNotificationRule(input: $i) { id } }",
            json!({ "i": input }),
        )
        .await?;
    Ok(())
}

/// Reports a critical finding.
async fn report(client: &Client, title: &str) -> Result<()> {
    let finding = json!({ "asset": { "kind": "AGENT", "externalKey": "bot" }, "rule": title, "layer": "MODEL", "severity": "CRITICAL", "title": title });
    client
        .graphql(
            "mutation($f: [FindingInput!]!) { ingestFindings(input: { tool: \"probe\", findings: $f }) { report { id } } }",
            json!({ "f": [finding] }),
        )
        .await?;
    Ok(())
}

/// The newest message, once it has this status.
async fn message(client: &Client, status: &str) -> Result<Value> {
    const LOG: &str = "{ notificationDeliveries(first: 1) { nodes { id status reason user { email } notices { title } attempts { delivered status answer error } } } }";
    wait_for(&format!("a message that is {status}"), 60, || async {
        let found = client.graphql(LOG, json!({})).await.ok()?;
        let node = &found["notificationDeliveries"]["nodes"][0];
        (node["status"] == status).then(|| node.clone())
    })
    .await
}

#[tokio::test]
async fn a_webhook_is_signed_tried_again_and_sent_again_with_one_key() -> Result<()> {
    let (stance, acme) = start(&["--allow-private-webhooks"]).await?;
    let client = &acme.client;
    let (receiver, url) = Receiver::start().await?;
    let saved = save(
        client,
        json!({ "kind": "WEBHOOK", "name": "hook", "url": format!("{url}/hidden-path?token=hidden-token") }),
    )
    .await?;
    let secret = saved["signingSecret"].as_str().context("no signing secret")?;
    rule(client, &saved["channel"]["id"], json!({})).await?;

    receiver.answers(&[500]);
    report(client, "first <b>problem</b>").await?;
    let came = receiver.wait(2).await?;
    let key = came[0].header("idempotency-key");
    ensure!(!key.is_empty() && came.iter().all(|came| came.header("idempotency-key") == key));
    ensure!(came.iter().all(|came| came.is_signed(secret)), "{:?}", came[0].headers);
    ensure!(!came[0].is_signed("another"));
    let body: Value = serde_json::from_str(&came[1].body)?;
    ensure!(body["format"] == "stance.notification/1" && body["id"] == key && body["test"] == false, "{body}");
    let notice = &body["notices"][0];
    ensure!(notice["title"] == "first <b>problem</b>" && notice["severity"] == "CRITICAL", "{body}");
    ensure!(
        notice["link"].as_str().is_some_and(|link| link.starts_with(&format!("{}/findings/", stance.url))),
        "{body}"
    );
    let told = message(client, "DELIVERED").await?;
    let attempts = &told["attempts"];
    ensure!(attempts[0]["status"] == 500 && attempts[0]["answer"] == "<b>the receiver's answer</b>", "{told}");
    ensure!(attempts[1]["delivered"] == true && attempts[2].is_null(), "{told}");

    // What will not change is given up at once; a person can send it again.
    receiver.answers(&[410]);
    report(client, "second problem").await?;
    let dead = message(client, "DEAD").await?;
    client
        .graphql("mutation($id: ID!) { replayNotification(id: $id) { status } }", json!({ "id": dead["id"] }))
        .await?;
    let again = message(client, "DELIVERED").await?;
    ensure!(again["id"] == dead["id"]);
    let came = receiver.wait(4).await?;
    ensure!(came[2].header("idempotency-key") == came[3].header("idempotency-key"));
    ensure!(came[2].header("idempotency-key") != key);

    // A redirect is an answer.
    receiver.answers(&[307]);
    report(client, "third problem").await?;
    let redirected = message(client, "DEAD").await?;
    ensure!(redirected["attempts"][0]["status"] == 307, "{redirected}");
    ensure!(receiver.all().iter().all(|came| came.path == "/hidden-path"), "nobody followed it");

    // The same report again brings nothing new.
    let before = receiver.all().len();
    report(client, "third problem").await?;
    let test = "mutation($id: ID!) { testNotificationChannel(id: $id) { attempts { delivered status } } }";
    let tested = client.graphql(test, json!({ "id": saved["channel"]["id"] })).await?;
    ensure!(tested["testNotificationChannel"]["attempts"][0]["delivered"] == true, "{tested}");
    let came = receiver.wait(before + 1).await?;
    ensure!(serde_json::from_str::<Value>(&came[before].body)?["test"] == true);

    let shown = client
        .graphql_raw(
            "{ notificationChannels { name target state lastError mail { host } } notificationRules { name channel { target } }
               notificationDeliveries { nodes { reason attempts { error answer } } } auditLog(first: 100) { nodes { action detail } } }",
            json!({}),
        )
        .await?
        .to_string();
    ensure!(shown.contains("notification_channel.created") && shown.contains("127.0.0.1"), "{shown}");
    for place in [shown, stance.log()] {
        ensure!(!place.contains("hidden") && !place.contains(secret), "{place}");
    }
    Ok(())
}

#[tokio::test]
async fn private_targets_are_refused_when_they_are_entered_and_after_dns() -> Result<()> {
    let (_stance, acme) = start(&[]).await?;
    let client = &acme.client;
    for url in [
        "http://127.0.0.1:1/",
        "http://169.254.169.254/latest",
        "http://[::ffff:10.0.0.1]/",
        "http://localhost/",
        "gopher://x/",
    ] {
        let answer = client.graphql_raw(SAVE, json!({ "i": { "kind": "SLACK", "name": "hook", "url": url } })).await?;
        let error = &answer["errors"][0];
        ensure!(error["extensions"]["code"] == "BAD_INPUT", "{url}: {answer}");
        ensure!(error["message"].as_str().is_some_and(|message| message.starts_with("url: ")), "{url}: {answer}");
    }
    // Names of this machine that only the resolver knows.
    let (receiver, address) = Receiver::start().await?;
    let port = address.rsplit(':').next().context("no port")?;
    let mut tried = 0;
    let own = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    for name in ["ip6-localhost", "localhost.localdomain", own.trim()] {
        let Ok(mut found) = tokio::net::lookup_host((name, 1)).await else { continue };
        if !found.all(|address| address.ip().is_loopback()) {
            continue;
        }
        let saved =
            save(client, json!({ "kind": "WEBHOOK", "name": name, "url": format!("http://{name}:{port}/") })).await?;
        let test = "mutation($id: ID!) { testNotificationChannel(id: $id) { status attempts { status error } } }";
        let tested = client.graphql(test, json!({ "id": saved["channel"]["id"] })).await?;
        let tested = &tested["testNotificationChannel"];
        ensure!(tested["status"] == "DEAD" && tested["attempts"][0]["status"].is_null(), "{tested}");
        let told = tested["attempts"][0]["error"].as_str().unwrap_or_default();
        ensure!(told.contains("must lead to a public address"), "{tested}");
        tried += 1;
    }
    if tried == 0 {
        println!("SKIPPED after DNS: no name but localhost leads to this machine");
    }
    ensure!(receiver.all().is_empty());
    Ok(())
}

/// A mail server that takes everything: gives each letter with its recipients.
async fn mail_server() -> Result<(u16, tokio::sync::mpsc::UnboundedReceiver<(Vec<String>, String)>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let (sender, letters) = tokio::sync::mpsc::unbounded_channel();
    #[expect(clippy::disallowed_methods, reason = "ends with its test")]
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(Some(letter)) = take_letter(stream).await {
                drop(sender.send(letter));
            }
        }
    });
    Ok((port, letters))
}

/// RFC 5321, as far as one letter needs it.
async fn take_letter(stream: TcpStream) -> Result<Option<(Vec<String>, String)>> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 sink\r\n").await?;
    let (mut to, mut letter) = (Vec::new(), None);
    while let Some(line) = lines.next_line().await? {
        let word = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        let answer = match word.as_str() {
            "RCPT" => {
                to.push(line);
                "250 fine\r\n"
            }
            "DATA" => {
                write.write_all(b"354 go on\r\n").await?;
                let mut text = String::new();
                while let Some(line) = lines.next_line().await?.filter(|line| line != ".") {
                    text.push_str(&line);
                    text.push('\n');
                }
                letter = Some((std::mem::take(&mut to), text));
                "250 taken\r\n"
            }
            "QUIT" => break,
            _ => "250 fine\r\n",
        };
        write.write_all(answer.as_bytes()).await?;
    }
    Ok(letter)
}

#[tokio::test]
async fn a_member_gets_mail_and_a_mailbox_of_the_channel_too() -> Result<()> {
    let (_stance, acme) = start(&["--allow-private-webhooks"]).await?;
    let client = &acme.client;
    let (port, mut letters) = mail_server().await?;
    let mail = json!({ "host": "127.0.0.1", "port": port, "encryption": "NONE", "from": "stance@acme.test", "to": "team@acme.test" });
    let saved = save(client, json!({ "kind": "EMAIL", "name": "mail", "mail": mail })).await?;
    ensure!(saved["signingSecret"].is_null());
    let members = client.graphql("{ members { user { id } } }", json!({})).await?;
    rule(client, &saved["channel"]["id"], json!({ "members": [members["members"][0]["user"]["id"]] })).await?;
    report(client, "Ünsafe pickle\u{202e}").await?;
    let (to, letter) = letters.recv().await.context("no letter")?;
    ensure!(to.len() == 1 && to[0].contains("<owner@acme.test>"), "{to:?}");
    let told = message(client, "DELIVERED").await?;
    ensure!(told["attempts"][0]["status"] == 250 && told["user"]["email"] == "owner@acme.test", "{told}");
    let id = told["id"].as_str().and_then(|id| id.split(':').nth(1)).context("no id")?;
    ensure!(letter.contains(&format!("Message-ID: <{id}@acme.test>")), "{letter}");
    ensure!(letter.contains("From: stance@acme.test") && letter.contains("Subject: "), "{letter}");

    let test = "mutation($id: ID!) { testNotificationChannel(id: $id) { status attempts { status error } } }";
    let tested = client.graphql(test, json!({ "id": saved["channel"]["id"] })).await?;
    ensure!(tested["testNotificationChannel"]["status"] == "DELIVERED", "{tested}");
    let (to, letter) = letters.recv().await.context("no letter")?;
    ensure!(to[0].contains("<team@acme.test>") && letter.contains("This is a test"), "{to:?} {letter}");
    Ok(())
}
