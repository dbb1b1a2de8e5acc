//! GraphQL over HTTP and web sockets.

use super::{Schema, explorer, follow::Standing, limits, prepare, stand};
use crate::{
    app::AppState,
    kernel::{Ctx, Error, Kind, Result, telemetry},
    web::auth::Authenticated,
};
use async_graphql::{
    BatchRequest, Data, Executor, ParseRequestError, Request, Response, ServerError,
    http::{MultipartOptions, receive_batch_body},
};
use async_graphql_axum::{GraphQLProtocol, GraphQLResponse, GraphQLWebSocket};
use axum::{
    Router,
    extract::{FromRequest as _, FromRequestParts as _, State, WebSocketUpgrade},
    http::{HeaderValue, header, request::Parts},
    response::IntoResponse,
    routing::{any, get},
};
use futures::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use tokio_util::{compat::TokioAsyncReadCompatExt as _, io::StreamReader};

/// The largest file that `importReport` takes; larger reports go by REST, which streams.
const FILE: usize = 256 * 1024 * 1024;
/// The largest message on a web socket.
const MESSAGE: usize = 64 * 1024;
/// How many operations a web socket runs at once.
const OPERATIONS: usize = 20;
/// How long a web socket may take to answer a ping, and its asker to come forward.
const SILENCE: Duration = Duration::from_secs(30);

pub fn router() -> Router<AppState> {
    Router::new()
        .route("/graphql", get(explorer::page).post(post))
        .route("/graphql/explorer.js", get(explorer::script))
        .route("/graphql/explorer.css", get(explorer::style))
        .route("/graphql/ws", any(socket))
}

async fn post(
    State(state): State<AppState>,
    Authenticated(asker): Authenticated,
    request: axum::extract::Request,
) -> Result<GraphQLResponse> {
    let request = read(request).await?;
    if let Some(name) = &request.operation_name {
        telemetry::record_operation(name);
    }
    Ok(super::execute(&state.schema, asker, request).await.into())
}

/// One request, as JSON or as a form with files (GraphQL multipart request specification).
async fn read(request: axum::extract::Request) -> Result<Request> {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or_default().to_owned();
    let batch = if content_type.starts_with("multipart/form-data") {
        let body = request.into_body().into_data_stream().map_err(std::io::Error::other);
        let options = MultipartOptions::default().max_num_files(1).max_file_size(FILE);
        receive_batch_body(Some(content_type), StreamReader::new(body).compat(), options).await.map_err(unreadable)?
    } else {
        let body = axum::body::Bytes::from_request(request, &()).await?;
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

fn unreadable(error: ParseRequestError) -> Error {
    match error {
        ParseRequestError::PayloadTooLarge => Error::new(
            Kind::TooLarge,
            format!("A file may have {} MiB here. Send it to POST /api/v1/reports, which takes any size.", FILE >> 20),
        ),
        error => Error::new(Kind::BadInput, format!("The form is not a GraphQL multipart request: {error}.")),
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
    Ok(upgrade.on_upgrade(move |stream| async move {
        let connected = GraphQLWebSocket::new(stream, executor, protocol)
            .keepalive_timeout(SILENCE)
            .on_connection_init(move |payload| introduce(state, parts, payload))
            .serve();
        tokio::select! { () = connected => {} () = stopping.cancelled() => {} }
    }))
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
