//! Figures for Prometheus. They tell how busy the installation is, so they are for its operator: for the machine itself,
//! or for whoever sends the token of `--metrics-token`.

use crate::{
    app::AppState,
    jobs,
    kernel::{Db, Error, Kind, config::ServeArgs},
};
use axum::{
    Router,
    extract::{ConnectInfo, State},
    http::{HeaderMap, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use subtle::ConstantTimeEq as _;

/// The process's figures.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

/// Why figures can not be kept.
#[derive(Debug, thiserror::Error)]
#[error("metrics: {0}")]
pub struct MetricsError(#[from] BuildError);

impl Metrics {
    /// Starts to keep figures; once per process.
    ///
    /// # Errors
    /// When it was started before.
    pub fn start() -> Result<Self, MetricsError> {
        let handle = builder()?.install_recorder()?;
        ::metrics::describe_counter!("stance_http_requests_total", "Requests by method, route and status.");
        ::metrics::describe_histogram!(
            "stance_http_request_duration_seconds",
            "Time until the answer begins, by route."
        );
        ::metrics::describe_gauge!("stance_database_connections", "Connections of this process, by state.");
        ::metrics::describe_gauge!("stance_jobs", "Jobs in the queue, by queue and state.");
        ::metrics::describe_gauge!("stance_job_lag_seconds", "How long the oldest waiting job has been due, by queue.");
        ::metrics::describe_counter!("stance_job_attempts_total", "Attempts at jobs, by kind and outcome.");
        ::metrics::describe_histogram!("stance_job_duration_seconds", "How long attempts at jobs took, by kind.");
        ::metrics::describe_counter!("stance_import_findings_total", "Findings in imported reports, by format.");
        ::metrics::describe_counter!("stance_import_bytes_total", "Bytes of imported reports, by format.");
        Ok(Self(handle))
    }

    /// Figures that nobody adds to (tests, which share a process).
    #[must_use]
    pub fn detached() -> Self {
        Self(PrometheusBuilder::new().build_recorder().handle())
    }

    /// Folds observations into histograms; memory stays bounded if nobody reads.
    pub async fn keep_small(self) {
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            self.0.run_upkeep();
        }
    }
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    // Seconds; pages are to take less than 0.05.
    const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
    PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)
}

pub fn router() -> Router<AppState> {
    Router::new().route("/metrics", get(metrics))
}

async fn metrics(
    State(metrics): State<Metrics>,
    State(settings): State<Arc<ServeArgs>>,
    State(db): State<Db>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    if !may_read(&headers, peer, settings.metrics_token.as_deref()) {
        let hint = "Metrics are for this machine, or for whoever sends the token of --metrics-token.";
        return Error::new(Kind::Forbidden, hint).into_response();
    }
    let (open, idle) = db.connections();
    ::metrics::gauge!("stance_database_connections", "state" => "busy").set(f64::from(open - idle.min(open)));
    ::metrics::gauge!("stance_database_connections", "state" => "idle").set(f64::from(idle));
    // Without a database there is still the rest to tell.
    if let Ok(Ok(backlog)) = tokio::time::timeout(Duration::from_secs(3), jobs::backlog(&db)).await {
        for queue in jobs::QUEUES {
            let known = backlog.iter().find(|backlog| backlog.queue == queue);
            let gauge = |state, value: i64| {
                ::metrics::gauge!("stance_jobs", "queue" => queue, "state" => state)
                    .set(i32::try_from(value).unwrap_or(i32::MAX));
            };
            gauge("waiting", known.map_or(0, |backlog| backlog.waiting));
            gauge("running", known.map_or(0, |backlog| backlog.running));
            let lag = known.map_or(0.0, |backlog| backlog.lag.as_secs_f64());
            ::metrics::gauge!("stance_job_lag_seconds", "queue" => queue).set(lag);
        }
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.0.render()).into_response()
}

fn may_read(headers: &HeaderMap, peer: SocketAddr, token: Option<&str>) -> bool {
    // Behind a proxy on the same machine, everybody comes from it.
    let proxied = ["x-forwarded-for", "forwarded", "x-real-ip"].iter().any(|name| headers.contains_key(*name));
    let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    match (token, sent) {
        (Some(token), Some(sent)) => token.as_bytes().ct_eq(sent.as_bytes()).into(),
        (Some(_), None) => false,
        (None, _) => peer.ip().to_canonical().is_loopback() && !proxied,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    #[test]
    fn metrics_are_for_the_operator() {
        let local = SocketAddr::from(([127, 0, 0, 1], 9));
        let remote = SocketAddr::from(([10, 0, 0, 1], 9));
        let none = HeaderMap::new();
        let with = |name: &'static str, value: &'static str| {
            HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))])
        };
        assert!(may_read(&none, local, None));
        assert!(!may_read(&none, remote, None));
        assert!(!may_read(&with("x-forwarded-for", "10.0.0.1"), local, None));
        assert!(!may_read(&none, local, Some("token")));
        assert!(may_read(&with("authorization", "Bearer token"), remote, Some("token")));
        assert!(!may_read(&with("authorization", "Bearer wrong"), remote, Some("token")));
    }
}
