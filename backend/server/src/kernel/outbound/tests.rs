use super::*;
use crate::kernel::testing;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

/// Answers one request with `answer`, as it is; gives what was asked.
async fn receiver(answer: String) -> (u16, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    #[expect(clippy::disallowed_methods, reason = "a receiver that ends with its test")]
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        let mut piece = [0; 4096];
        // The body's end: it is a JSON object in these tests.
        while !asked.ends_with(b"}") {
            let read = stream.read(&mut piece).await.unwrap();
            assert!(read > 0, "the request broke off");
            asked.extend_from_slice(&piece[..read]);
        }
        // The reader may leave before the end of a long answer.
        let _ = stream.write_all(answer.as_bytes()).await;
        String::from_utf8(asked).unwrap()
    });
    (port, asked)
}

fn of(url: &str) -> Delivery<'_> {
    static BODY: std::sync::LazyLock<serde_json::Value> = std::sync::LazyLock::new(|| json!({ "a": 1 }));
    Delivery { url, secret: None, key: "k-1", body: &BODY }
}

#[tokio::test]
async fn a_message_is_signed_and_its_answer_bounded() {
    let clock = testing::clock();
    let outbound = Outbound::for_tests(&clock, true);
    let (port, asked) = receiver(format!("HTTP/1.1 500 Oh\r\n\r\n{}", "x".repeat(MAX_ANSWER + 5_000))).await;
    let secret = Secret::new("whsec".into());
    let url = format!("http://127.0.0.1:{port}/hook");
    let answer = outbound.post(Delivery { secret: Some(&secret), ..of(&url) }).await.unwrap();
    assert_eq!((answer.status, answer.body.len(), answer.is_success()), (500, MAX_ANSWER, false));
    let asked = asked.await.unwrap();
    let (head, body) = asked.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, r#"{"a":1}"#);
    let signed = crypto::hmac_sha256(&secret, format!("{}.{body}", clock.now().timestamp()).as_bytes());
    let header = format!("stance-signature: t={},v1={signed}", clock.now().timestamp());
    assert!(head.lines().any(|line| line == header), "{head}");
    assert!(head.lines().any(|line| line == "idempotency-key: k-1"), "{head}");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let (second, never) = receiver("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".into()).await;
    let (first, _) = receiver(format!(
        "HTTP/1.1 307 Elsewhere\r\nlocation: http://127.0.0.1:{second}/\r\ncontent-length: 0\r\n\r\n"
    ))
    .await;
    let outbound = Outbound::for_tests(&testing::clock(), true);
    let answer = outbound.post(of(&format!("http://127.0.0.1:{first}/"))).await.unwrap();
    assert_eq!(answer.status, 307);
    assert!(!never.is_finished(), "nobody came there");
    never.abort();
}

#[tokio::test]
async fn a_name_is_looked_at_after_dns() {
    let outbound = Outbound::for_tests(&testing::clock(), false);
    // `check` knows this name; the resolver must not need it.
    assert!(matches!(outbound.resolver.lookup("localhost", 80).await, Err(Unresolved::Refused)));
    let client = &outbound.client;
    let error = client.get("http://localhost:1/").send().await.unwrap_err();
    let told = outbound.told(&error);
    assert_eq!((told.kind, told.fields[0].field.as_str()), (Kind::BadInput, "url"), "{told:?}");
    let refused = outbound.resolve("host", "localhost", 25).await.unwrap_err();
    assert_eq!(refused.fields[0].field, "host");
    assert!(Outbound::for_tests(&testing::clock(), true).resolve("host", "localhost", 25).await.is_ok());
    let unknown = outbound.post(of("https://there-is-no-such-host.invalid/")).await.unwrap_err();
    assert_eq!(unknown.public, "The name of the host is not known.");
}

#[tokio::test]
async fn addresses_are_refused_at_entry_however_they_are_written() {
    let outbound = Outbound::for_tests(&testing::clock(), false);
    for url in [
        "http://127.0.0.1/",
        "http://127.1/",
        "http://0x7f.1/",
        "http://2130706433/",
        "http://0177.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://0.0.0.0:8080/",
        "http://localhost/",
        "http://LOCALHOST./",
        "http://a.localhost/",
        "http://１２７.０.０.１/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "https://user:pass@example.com/",
        "https://user@example.com/",
        "https://",
        "nonsense",
    ] {
        let refused = outbound.check(url).expect_err(url);
        assert_eq!((refused.kind, refused.fields[0].field.as_str()), (Kind::BadInput, "url"), "{url}");
        assert!(outbound.post(of(url)).await.is_err(), "{url}");
    }
    assert!(outbound.check(&format!("https://example.com/{}", "x".repeat(MAX_URL))).is_err());
    for url in ["https://hooks.example.com/services/T0/B0?x=1", "http://1.1.1.1:8080/", "https://[2606:4700::1]/"] {
        outbound.check(url).unwrap();
    }
    let open = Outbound::for_tests(&testing::clock(), true);
    open.check("http://127.0.0.1:9/").unwrap();
    assert!(open.check("http://169.254.169.254/").is_err(), "metadata is refused in any case");
}
