//! How a request body becomes a reply: in process on the server, by `fetch` in the browser.

use serde_json::json;

fn failed(message: &str) -> String {
    json!({ "errors": [{ "message": message, "extensions": { "code": "NETWORK" } }] }).to_string()
}

/// Sends a request body and gives the reply's text. A failure on the way is a reply with the code `NETWORK`.
#[cfg(not(feature = "hydrate"))]
pub async fn send(body: String) -> String {
    let executor = leptos::prelude::use_context::<crate::context::Executor>();
    match (executor, serde_json::from_str(&body)) {
        (Some(executor), Ok(request)) => (executor.0)(request).await.to_string(),
        _ => failed("This page was rendered without access to the API."),
    }
}

/// Sends a request body and gives the reply's text. A failure on the way is a reply with the code `NETWORK`.
#[cfg(feature = "hydrate")]
pub async fn send(body: String) -> String {
    // The browser has one thread, but resources ask for futures that could move between threads.
    let reply = send_wrapper::SendWrapper::new(crate::browser::post_json("/graphql", body)).await;
    crate::browser::leave_the_servers_clock();
    let Ok(reply) = reply else { return failed("The server did not answer. Check the connection and try again.") };
    // The server writes fields in the order in which they were ready: in one order, the same data is the same text, as what the
    // server rendered from was.
    serde_json::from_str(&reply).map_or(reply, |reply: serde_json::Value| reply.to_string())
}
