//! GraphQL over HTTP and web sockets.

use super::{Schema, explorer, follow::Standing, form, limits, prepare, stand};
use crate::{
    app::AppState,
    imports::Limits,
    kernel::{Ctx, Error, Kind, Result, telemetry},
    web::{auth::Authenticated, limits::BODY},
};
use async_graphql::{BatchRequest, Data, Executor, Request, Response, ServerError};
use async_graphql_axum::{GraphQLProtocol, GraphQLResponse, GraphQLWebSocket};
use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRequestParts as _, State, WebSocketUpgrade, ws::Message},
    http::{HeaderValue, header, request::Parts},
    response::IntoResponse,
    routing::{any, get},
};
use futures::{Stream, StreamExt as _, stream::BoxStream};
use std::{sync::Arc, time::Duration};
use tokio::{sync::Semaphore, time::Instant};
use tokio_stream::wrappers::IntervalStream;
use tokio_util::sync::CancellationToken;

/// The largest message on a web socket.
const MESSAGE: usize = 64 * 1024;
/// How many operations a web socket runs at once.
const OPERATIONS: usize = 20;
/// How long a web socket may be silent: its asker comes forward within this time, and later answers pings.
const SILENCE: Duration = Duration::from_secs(30);
/// How often listeners are asked whether they are still there. Many clients never ask by themselves.
const PING: Duration = Duration::from_secs(10);

pub fn router() -> Router<AppState> {
    Router::new()
        // Forms with a file are bounded part by part.
        .route("/graphql", get(explorer::page).post(post).layer(DefaultBodyLimit::disable()))
        .route("/graphql/explorer.js", get(explorer::script))
        .route("/graphql/explorer.css", get(explorer::style))
        .route("/graphql/ws", any(socket))
}

async fn post(
    State(state): State<AppState>,
    Authenticated(asker): Authenticated,
    request: axum::extract::Request,
) -> Result<GraphQLResponse> {
    let request = read(request, state.limits).await?;
    if let Some(name) = &request.operation_name {
        telemetry::record_operation(name);
    }
    Ok(super::execute(&state.schema, asker, request).await.into())
}

/// One request, as JSON or as a form with a file.
async fn read(request: axum::extract::Request, limits: Limits) -> Result<Request> {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let batch = if content_type.is_some_and(|kind| kind.starts_with("multipart/form-data")) {
        form::read(request, limits).await?
    } else {
        let body = axum::body::to_bytes(request.into_body(), BODY).await.map_err(|error| {
            Error::new(Kind::TooLarge, format!("The body broke off, or has more than {BODY} bytes.")).caused_by(error)
        })?;
        serde_json::from_slice(&body).map_err(|error| {
            Error::new(Kind::BadInput, format!("The body must be a JSON object with `query`: {error}."))
        })?
    };
    match batch {
        BatchRequest::Single(request) => Ok(request),
        BatchRequest::Batch(_) => {
            Err(Error::new(Kind::BadInput, "Send one operation at a time; an operation may ask for several things."))
        }
    }
}

/// Subscriptions by the protocol `graphql-transport-ws`. Who asks is known by the session, or by
/// `{"Authorization": "Bearer stance_…"}` in the payload of `connection_init`.
async fn socket(
    State(state): State<AppState>,
    protocol: std::result::Result<GraphQLProtocol, axum::http::StatusCode>,
    upgrade: WebSocketUpgrade,
    parts: Parts,
) -> Result<impl IntoResponse> {
    let Ok(protocol) = protocol else {
        return Err(Error::new(Kind::BadInput, "Speak the web socket protocol graphql-transport-ws."));
    };
    let stopping = state.tasks.stopping();
    let executor = Connected { schema: state.schema.clone(), operations: Arc::new(Semaphore::new(OPERATIONS)) };
    let upgrade = upgrade.max_message_size(MESSAGE).protocols(["graphql-transport-ws"]);
    Ok(upgrade.on_upgrade(move |socket| async move {
        let (socket, incoming) = socket.split();
        let (outgoing, answers) = futures::channel::mpsc::channel(1);
        let (known, ended) = (CancellationToken::new(), CancellationToken::new());
        let introduced = known.clone();
        let connected = GraphQLWebSocket::new_with_pair(outgoing, incoming, executor, protocol)
            .keepalive_timeout(SILENCE)
            .on_connection_init(move |payload| async move {
                introduce(state, parts, payload).await.inspect(|_| introduced.cancel())
            })
            .serve();
        let pings = pings(known).take_until(ended.clone().cancelled_owned());
        let sent = futures::stream::select(answers, pings).map(Ok).forward(socket);
        let talk = async {
            tokio::join!(
                async {
                    connected.await;
                    ended.cancel()
                },
                sent
            )
        };
        tokio::select! { _ = talk => {} () = stopping.cancelled() => {} }
    }))
}

/// Pings from the moment that the asker is known: who never comes forward is not kept.
fn pings(known: CancellationToken) -> impl Stream<Item = Message> {
    let begin = async move {
        known.cancelled().await;
        tokio::time::interval_at(Instant::now() + PING, PING)
    };
    futures::stream::once(begin).flat_map(IntervalStream::new).map(|_| Message::text(r#"{"type":"ping"}"#))
}

async fn introduce(state: AppState, mut parts: Parts, payload: serde_json::Value) -> async_graphql::Result<Data> {
    if let Some(authorization) = payload.get("Authorization").and_then(|value| value.as_str()) {
        let value =
            HeaderValue::from_str(authorization).map_err(|_| Error::new(Kind::Unauthenticated, "Not a token."))?;
        parts.headers.insert(header::AUTHORIZATION, value);
    }
    let standing = Standing::new(move || {
        let (mut parts, state) = (parts.clone(), state.clone());
        async move { Authenticated::from_request_parts(&mut parts, &state).await.map(|Authenticated(asker)| asker) }
    });
    // Refuses here, before anything is asked, whoever is nobody.
    standing.asker().await?;
    let mut data = Data::default();
    data.insert(standing);
    Ok(data)
}

/// The schema at one end of a web socket.
#[derive(Clone)]
struct Connected {
    schema: Schema,
    operations: Arc<Semaphore>,
}

impl Executor for Connected {
    async fn execute(&self, request: Request) -> Response {
        self.schema.execute(request).await
    }

    fn execute_stream(&self, request: Request, session: Option<Arc<Data>>) -> BoxStream<'static, Response> {
        let Self { schema, operations } = self.clone();
        let standing = session.as_ref().and_then(|data| {
            data.get(&std::any::TypeId::of::<Standing>()).and_then(|found| found.downcast_ref::<Standing>().cloned())
        });
        let operation = async move {
            let Ok(place) = operations.try_acquire_owned() else {
                return Err(limits::coded(
                    "LIMIT",
                    format!("A connection runs at most {OPERATIONS} operations at once."),
                ));
            };
            let asker = match standing {
                Some(standing) => standing.asker().await.map(|asker| (asker, standing)),
                None => Err(Error::new(Kind::Unauthenticated, "Sign in, or send a token with connection_init.")),
            };
            let (asker, standing) = asker
                .map_err(|error| async_graphql::Error::from(error).into_server_error(async_graphql::Pos::default()))?;
            Ok((place, follow_on(&schema, asker, standing, request)))
        };
        futures::stream::once(operation)
            .flat_map(|started: std::result::Result<_, ServerError>| match started {
                Ok((place, answers)) => answers
                    .map(move |answer| {
                        let _held = &place;
                        answer
                    })
                    .boxed(),
                Err(error) => futures::stream::iter([Response::from_errors(vec![error])]).boxed(),
            })
            .boxed()
    }
}

fn follow_on(schema: &Schema, asker: Ctx, standing: Standing, request: Request) -> BoxStream<'static, Response> {
    schema.execute_stream(stand(prepare(schema, asker, request), standing))
}
