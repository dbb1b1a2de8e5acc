//! GraphQL over a web socket, by the protocol `graphql-transport-ws`.

use crate::Client;
use anyhow::{Context as _, Result, bail};
use futures::{SinkExt as _, StreamExt as _};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest as _, http::HeaderValue},
};

/// One operation that is followed.
pub struct Subscription {
    socket: WebSocketStream<TcpStream>,
}

impl Subscription {
    /// Comes forward with the client's token, and subscribes. `None` when the server lets nobody in by it.
    ///
    /// There is no answer to a subscription itself: until something was heard of, it may not have begun.
    ///
    /// # Errors
    /// When the server speaks another protocol.
    pub async fn open(client: &Client, query: &str, variables: Value) -> Result<Option<Self>> {
        let url = client.request(Method::GET, "/graphql/ws").build()?.url().to_string();
        let address = url.trim_start_matches("http://");
        let mut request = format!("ws://{address}").into_client_request()?;
        request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static("graphql-transport-ws"));
        let host = address.split('/').next().context("no host")?;
        let (socket, _) = client_async(request, TcpStream::connect(host).await?).await?;
        let mut subscription = Self { socket };
        let hello = client.token.as_ref().map(|token| json!({ "Authorization": format!("Bearer {token}") }));
        subscription.send(json!({ "type": "connection_init", "payload": hello.unwrap_or(json!({})) })).await?;
        match timeout(Duration::from_secs(20), subscription.message())
            .await
            .context("no answer to connection_init")??
        {
            Some(message) if message["type"] == "connection_ack" => {}
            _ => return Ok(None),
        }
        let payload = json!({ "query": query, "variables": variables });
        subscription.send(json!({ "id": "1", "type": "subscribe", "payload": payload })).await?;
        Ok(Some(subscription))
    }

    /// The next event's `data` and `errors`; `None` when there is none within the time.
    ///
    /// # Errors
    /// When the connection or the subscription has ended.
    pub async fn next(&mut self, within: Duration) -> Result<Option<Value>> {
        let heard = async {
            loop {
                let mut message = self.message().await?.context("the connection ended")?;
                match message["type"].as_str() {
                    Some("next") => return Ok(message["payload"].take()),
                    Some("error") => return Ok(json!({ "errors": message["payload"] })),
                    Some("complete") => bail!("the subscription ended"),
                    Some("ping") => self.send(json!({ "type": "pong" })).await?,
                    _ => {}
                }
            }
        };
        timeout(within, heard).await.ok().transpose()
    }

    async fn send(&mut self, message: Value) -> Result<()> {
        Ok(self.socket.send(Message::text(message.to_string())).await?)
    }

    async fn message(&mut self) -> Result<Option<Value>> {
        while let Some(message) = self.socket.next().await {
            match message? {
                Message::Text(text) => return Ok(Some(serde_json::from_str(&text)?)),
                Message::Close(_) => return Ok(None),
                _ => {}
            }
        }
        Ok(None)
    }
}
