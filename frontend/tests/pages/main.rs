//! Renders every page as the server does, with an API that answers from a fixture, and reads the HTML.
//!
//! With `STANCE_PAGES=folder` the pages are also written there, to be looked at in a browser.
#![cfg(feature = "ssr")]
#![expect(clippy::unwrap_used, reason = "a test")]

mod fixture;
mod incidents;
mod runtime;

use std::sync::{
    Arc,
    atomic::{AtomicU16, Ordering},
};

use futures::StreamExt;
use leptos::prelude::*;
use leptos_router::location::RequestUrl;
use serde_json::Value;
use stance_frontend::{
    context::{Assets, Executor, Given, StatusSetter, Theme},
    shell,
};

/// The document and its status.
struct Rendered {
    status: u16,
    html: String,
}

async fn render_as(path: &str, answer: fn(&str, &Value) -> Value) -> Rendered {
    let _ = any_spawner::Executor::init_tokio();
    let status = Arc::new(AtomicU16::new(200));
    let url = RequestUrl::new(path);
    let set = Arc::clone(&status);
    let invited = path.starts_with("/invitations/secret");
    let contexts = move || {
        provide_context(url);
        leptos::nonce::provide_nonce();
        provide_context(StatusSetter(Arc::new(move |status| set.store(status, Ordering::SeqCst))));
        provide_context(Theme::Light);
        let given = invited.then(|| (Given::INVITATION, fixture::invitation()));
        provide_context(Given(given.into_iter().collect()));
        provide_context(Assets::default());
        provide_context(Executor(Arc::new(move |request: Value| {
            let reply = answer(request["operationName"].as_str().unwrap_or_default(), &request["variables"]);
            Box::pin(async move { reply })
        })));
    };
    let (owner, stream) = leptos_integration_utils::build_response(
        shell,
        contexts,
        |app, chunks, _| {
            Box::pin(async move {
                let app = app.to_html_stream_in_order().collect::<String>().await;
                Box::pin(futures::stream::once(async move { app }).chain(chunks()))
                    as leptos_integration_utils::PinnedStream<String>
            })
        },
        false,
    );
    let html = stream.await.collect::<String>().await;
    owner.unset_with_forced_cleanup();
    Rendered { status: status.load(Ordering::SeqCst), html }
}

async fn render(path: &str) -> Rendered {
    let rendered = render_as(path, fixture::answer).await;
    if let Ok(folder) = std::env::var("STANCE_PAGES") {
        let name: String =
            path.trim_start_matches('/').chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).collect();
        let name = if name.is_empty() { "overview".to_owned() } else { name };
        std::fs::write(format!("{folder}/{name}.html"), &rendered.html).unwrap();
    }
    rendered
}

/// The text between the tags, as a reader would see it without styles and scripts.
fn words(html: &str) -> String {
    let body = html.split("<body>").nth(1).unwrap_or_default();
    let mut out = String::new();
    for (i, part) in body.split('<').enumerate() {
        let text = if i == 0 { part } else { part.split_once('>').map_or("", |(_, text)| text) };
        out.push_str(text);
        out.push(' ');
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn every_page_comes_whole_from_the_server() {
    for (path, expected) in [
        ("/", "Riskiest assets"),
        ("/findings", "Posix system call"),
        ("/findings?finding=f1&severity=CRITICAL", "Reported by"),
        ("/findings/f1", "Remediation"),
        ("/inventory", "support-agent"),
        ("/inventory/a1", "Residual risk"),
        ("/inventory/a1", "said by garak 0.14"),
        ("/inventory/a1", "set by lead@acme.test"),
        ("/inventory/a1", "May be the same"),
        ("/inventory/a1/runtime", "It used 1 tool that nothing declares."),
        ("/runtime", "events were blocked in the last 24 h"),
        ("/runtime?hours=168", "Not let through per 30 min"),
        ("/runtime/events", "3 of the 6 newest events were not let through unchanged"),
        ("/runtime/events?event=e0&verdict=BLOCK", "It was harmless"),
        ("/runtime/events/e0", "Was it right?"),
        ("/runtime/events/e3", "Redacted or cut"),
        ("/runtime/sessions", "s-7f31a90c"),
        ("/runtime/sessions/n1", "to finance-copilot"),
        ("/runtime/sensors", "goes unseen"),
        ("/runtime/sensors?retire=s2", "This can not be taken back."),
        ("/runtime/containment", "It let the canary call in the name of a1 pass."),
        ("/runtime/containment?release=c1", "Why it may act again"),
        ("/runtime/containment?contain=a1", "what it would hold and stop"),
        ("/incidents", "Attack on &lt;b&gt;support-agent"),
        ("/incidents/board", "Attack on &lt;b&gt;support-agent"),
        ("/incidents/new", "Open incident"),
        ("/incidents/i1", "Triaged: it is &lt;i&gt;real"),
        ("/incidents/i1", "Did the agent follow?"),
        ("/incidents/i1", "corrective action"),
        ("/incidents/i1/report", "Correlated: 10000 events"),
        ("/incidents/rules", "Attack after attack."),
        ("/runtime/policies", "1 of 2 policies is in force"),
        ("/runtime/policies/new?preset=strict", "What strict does."),
        ("/runtime/policies/p1", "Put version 2 in force"),
        ("/runtime/policies/p1?version=1&view=document", "You look at version 1."),
        ("/runtime/policies/p1?view=dry-run", "Version 2 would have changed 12 of"),
        ("/runtime/policies/p1?view=edit", "Save new version"),
        ("/runtime/quality", "4 were wrong and 3 attacks passed"),
        ("/runtime/quality?flag=0.4&block=0.9", "With this"),
        ("/runtime/playground", "Try a text:"),
        ("/runtime/playground?channel=DOCUMENT&policy=preset%3Astrict&text=say+ignore+SWdub3Jl", "Base64"),
        ("/settings/runtime", "Days that events are kept"),
        ("/imports", "Drop reports here"),
        ("/imports/r1", "What it changed"),
        ("/formats", "3 formats are read."),
        ("/formats/garak", "What is taken over"),
        ("/settings/organization", "Your role"),
        ("/settings/members", "Security lead"),
        ("/settings/tokens", "New token"),
        ("/settings/sessions", "Change password"),
        ("/settings/jobs", "Run again"),
        ("/audit", "finding.triaged"),
        ("/audit?verify=true", "Every hash fits."),
        ("/sign-in", "Password"),
        ("/setup", "Create organization"),
        ("/invitations/secret", "You are invited to"),
    ] {
        let page = render(path).await;
        let text = words(&page.html);
        assert_eq!(page.status, 200, "{path}: {text}");
        assert!(text.contains(expected), "{path} lacks {expected:?}: {text}");
        assert!(page.html.contains(" · Stance</title>"), "{path} has no title");
        assert!(!text.contains("could not be loaded"), "{path}: {text}");
        assert!(page.html.contains("<h1"), "{path} has no heading");
    }
}

#[tokio::test]
async fn text_from_reports_never_becomes_markup() {
    for path in [
        "/",
        "/findings?status=ALL",
        "/findings/f3",
        "/inventory/a1",
        "/imports/r1",
        "/audit",
        "/runtime",
        "/runtime/events?event=e0",
        "/runtime/events/e5",
        "/runtime/sessions/n1",
        "/runtime/sensors",
    ] {
        let page = render(path).await;
        let body = page.html.split("id=\"stance-data\"").next().unwrap();
        assert!(!body.contains("<script>alert"), "{path}");
        assert!(!body.contains('\u{202e}'), "{path} shows a bidirectional override raw");
        assert!(!page.html.contains("</script><script>alert"), "{path} ends the data's script");
    }
    let page = render("/findings?status=ALL").await;
    assert!(page.html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(words(&page.html).contains("U+202E"));
    assert!(page.html.contains("تسريب") && page.html.contains("客服助手"));
}

#[tokio::test]
async fn what_is_not_there_is_404() {
    for path in [
        "/nothing",
        "/findings/unknown",
        "/inventory/unknown",
        "/imports/unknown",
        "/formats/unknown",
        "/settings/nothing",
        "/runtime/nothing",
        "/runtime/events/unknown",
        "/runtime/sessions/unknown",
        "/runtime/policies/unknown",
        "/inventory/a2/runtime",
    ] {
        let page = render(path).await;
        assert_eq!(page.status, 404, "{path}");
        assert!(words(&page.html).contains("Nothing is here."), "{path}");
    }
    let page = render("/invitations/unknown").await;
    assert!(page.status == 404 && words(&page.html).contains("Ask for a new one."));
}

#[tokio::test]
async fn a_failure_says_what_failed_and_names_the_request() {
    let failing = |operation: &str, variables: &Value| match operation {
        "Overview" => fixture::error("INTERNAL", "The database did not answer within 5 s."),
        "FindingList" => fixture::error("FORBIDDEN", "Your role does not allow this: finding:read."),
        _ => fixture::answer(operation, variables),
    };
    let page = render_as("/", failing).await;
    assert_eq!(page.status, 500);
    let text = words(&page.html);
    assert!(
        text.contains("The overview could not be loaded. The database did not answer within 5 s. request 0193f2c8"),
        "{text}"
    );
    assert_eq!(render_as("/findings", failing).await.status, 403);
    let signed_out = render_as("/", |_, _| fixture::error("UNAUTHENTICATED", "Sign in.")).await;
    assert_eq!(signed_out.status, 401);
}

#[tokio::test]
async fn an_empty_organization_is_told_what_to_do_next() {
    for (path, expected) in [
        ("/", "No posture yet"),
        ("/findings", "No findings yet"),
        ("/findings?severity=HIGH", "No finding matches"),
        ("/inventory", "No assets yet"),
        ("/imports", "No reports yet"),
        ("/runtime", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
        ("/runtime/events", "No events yet"),
        ("/runtime/events?kind=PROMPT", "No event matches"),
        ("/runtime/sessions", "No sessions yet"),
        ("/runtime/sensors", "No sensor yet"),
        ("/runtime/containment", "is kept from acting here or on its own page"),
        ("/runtime/containment", "are listed with the first containment"),
        ("/runtime/policies", "Write the first policy"),
        ("/runtime/quality", "Nothing was detected in this time"),
        ("/inventory/a1/runtime", "Nothing was seen of it in 24 h"),
        ("/settings/jobs", "No job has failed for good"),
    ] {
        let page = render_as(path, fixture::nothing).await;
        assert!(words(&page.html).contains(expected), "{path}: {}", words(&page.html));
    }
}

#[tokio::test]
async fn unknown_risk_is_never_zero() {
    let page = render("/inventory").await;
    assert!(page.html.contains("Unknown: never assessed"));
    let page = render("/inventory/a9").await;
    assert!(words(&page.html).contains("No score: nothing has assessed it yet."));
    assert!(page.html.contains("data-grade=\"?\""));
}

#[tokio::test]
async fn readers_are_not_offered_what_they_may_not_do() {
    let viewer = |operation: &str, variables: &Value| {
        let mut reply = fixture::answer(operation, variables);
        if operation == "Frame" {
            reply["data"]["viewer"]["permissions"] =
                serde_json::json!(["posture:read", "asset:read", "finding:read", "member:read"]);
        }
        reply
    };
    let page = render_as("/findings?finding=f1", viewer).await;
    assert!(!page.html.contains("name=\"action\"") && !page.html.contains("/api/v1/findings/export"));
    let page = render_as("/runtime/events?event=e0", viewer).await;
    assert!(page.html.contains("class=\"drawer\"") && !page.html.contains("data-act"));
    for path in ["/runtime/sensors", "/runtime/policies", "/runtime/policies/p1?view=edit", "/settings/runtime"] {
        assert!(!render_as(path, viewer).await.html.contains("data-act"), "{path}");
        assert!(render(path).await.html.contains("data-act") || path == "/runtime/policies", "{path}");
    }
    let page = render_as("/imports", viewer).await;
    assert!(!page.html.contains("type=\"file\""));
    let page = render_as("/inventory/a1", viewer).await;
    assert!(page.html.contains("merged by") && !page.html.contains("Split") && !page.html.contains(">Merge"));
    assert!(render("/inventory/a1").await.html.contains("Split off"));
    let page = render("/findings?finding=f1").await;
    assert!(page.html.contains("value=\"ACCEPT_RISK\"") && page.html.contains("Approved by"));
}

#[tokio::test]
async fn refused_forms_say_why_in_words_of_ours() {
    let page = render("/sign-in?error=invalid_credentials&next=%2Ffindings").await;
    assert!(words(&page.html).contains("E-mail or password is not right."));
    assert!(page.html.contains("name=\"next\" value=\"/findings\""));
    let page = render("/sign-in?error=%3Cscript%3E&next=//evil.example").await;
    assert!(!page.html.contains("evil.example") && words(&page.html).contains("That did not work."));
}

#[tokio::test]
async fn scripts_carry_the_nonce_and_styles_only_custom_properties() {
    for path in [
        "/",
        "/findings?finding=f1",
        "/inventory/a1",
        "/imports",
        "/runtime",
        "/runtime/sessions/n1",
        "/runtime/quality",
    ] {
        let html = render(path).await.html;
        for script in html.split("<script").skip(1) {
            assert!(
                script.split('>').next().unwrap().contains("nonce=\""),
                "{path}: {}",
                &script[..80.min(script.len())]
            );
        }
        for style in html.split(" style=\"").skip(1) {
            let style = style.split('"').next().unwrap();
            assert!(
                style.split(';').all(|property| property.trim_start().starts_with("--") || property.is_empty()),
                "{path}: {style}"
            );
        }
    }
}

#[tokio::test]
async fn the_address_reaches_the_api() {
    let page =
        render_as("/findings?severity=HIGH&status=RESOLVED&sort=FIRST_SEEN&after=abc", |operation, variables| {
            if operation == "FindingList" {
                assert_eq!(variables["filter"]["severity"], serde_json::json!(["HIGH"]));
                assert_eq!(variables["filter"]["status"], serde_json::json!(["RESOLVED"]));
                assert_eq!(variables["sort"], serde_json::json!({"key": "FIRST_SEEN", "direction": "DESC"}));
                assert_eq!(variables["after"], "abc");
                assert!(variables["filter"].get("tool").is_none(), "empty filters are left out");
            }
            fixture::answer(operation, variables)
        })
        .await;
    assert_eq!(page.status, 200);
    assert!(
        page.html.contains("href=\"/findings?status=RESOLVED&amp;sort=FIRST_SEEN\""),
        "a chip's cross takes its filter away"
    );
    assert!(page.html.contains("aria-sort=\"descending\""));
}

#[tokio::test]
async fn what_only_the_server_renders_brings_no_data_for_the_browser() {
    let page = render("/runtime/events?event=e0").await;
    let (body, data) = page.html.split_once("id=\"stance-data\"").unwrap();
    assert!(body.contains("<mark title=\"tells the model to ignore its instructions\">"), "the span is marked");
    assert!(data.contains("Navigation") && !data.contains("EventList") && !data.contains("EventDetail"), "{data}");
    // What a button does is the whole request, and so is what takes it back.
    let label =
        body.split("data-act=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap().replace("&quot;", "\"");
    let label: Value = serde_json::from_str(&label).unwrap();
    assert_eq!(label["variables"], serde_json::json!({ "id": "e0", "label": "ATTACK" }));
    assert!(body.contains("data-undo=") && body.contains("href=\"/runtime/sessions/n1#step-e0\""));
}
