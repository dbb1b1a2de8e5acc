//! Talks HTTP to a server, as an integration would.

use anyhow::{Context as _, Result, ensure};
use reqwest::{Method, RequestBuilder, Response, header};
use serde_json::{Value, json};
use std::{path::Path, sync::Once};

/// A client, signed in by token or not at all.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    /// The API token, if any.
    pub token: Option<String>,
}

/// A report on its way.
#[derive(Default)]
pub struct Import<'a> {
    pub asset: Option<&'a str>,
    pub filename: Option<&'a str>,
    pub format: Option<&'a str>,
    pub idempotency_key: Option<&'a str>,
}

impl Client {
    /// # Errors
    /// When the HTTP client can not be built.
    pub fn anonymous(url: &str) -> Result<Self> {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(std::time::Duration::from_secs(300))
            .build()?;
        Ok(Self { http, url: url.to_owned(), token: None })
    }

    /// # Errors
    /// When the HTTP client can not be built.
    pub fn with_token(url: &str, token: &str) -> Result<Self> {
        Ok(Self { token: Some(token.to_owned()), ..Self::anonymous(url)? })
    }

    /// A request to `path` with the token.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        match &self.token {
            Some(token) => request.header(header::AUTHORIZATION, format!("Bearer {token}")),
            None => request,
        }
    }

    /// Signs in by the form, as a browser does; gives the session's cookie.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn sign_in(&self, email: &str, password: &str) -> Result<String> {
        let form = [("email", email), ("password", password)];
        let answer =
            self.request(Method::POST, "/auth/sign-in").header(header::ORIGIN, &self.url).form(&form).send().await?;
        ensure!(answer.status().is_redirection(), "sign-in: {}", answer.status());
        let cookie = answer.headers().get(header::SET_COOKIE).context("no cookie was set")?.to_str()?;
        Ok(cookie.split(';').next().unwrap_or_default().to_owned())
    }

    /// # Errors
    /// When the server does not answer.
    pub async fn get(&self, path: &str) -> Result<Response> {
        Ok(self.request(Method::GET, path).send().await?)
    }

    /// A GraphQL request's whole answer, with `errors` if there are any.
    ///
    /// # Errors
    /// When the answer is not JSON.
    pub async fn graphql_raw(&self, query: &str, variables: Value) -> Result<Value> {
        let answer = self
            .request(Method::POST, "/graphql")
            .json(&json!({ "query": query, "variables": variables }))
            .send()
            .await?;
        let status = answer.status();
        let text = answer.text().await?;
        serde_json::from_str(&text).with_context(|| format!("{status}: {text}"))
    }

    /// A GraphQL request's `data`.
    ///
    /// # Errors
    /// When there are errors in the answer.
    pub async fn graphql(&self, query: &str, variables: Value) -> Result<Value> {
        let mut answer = self.graphql_raw(query, variables).await?;
        ensure!(answer.get("errors").is_none(), "GraphQL errors: {answer}");
        Ok(answer["data"].take())
    }

    /// A GraphQL request's whole answer, with a file for the variable `file`.
    ///
    /// # Errors
    /// When the answer is not JSON.
    pub async fn graphql_upload(&self, query: &str, mut variables: Value, filename: &str, file: &str) -> Result<Value> {
        variables["file"] = Value::Null;
        let operations = json!({ "query": query, "variables": variables });
        let answer = with_file(self.request(Method::POST, "/graphql"), &operations, filename, file).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        serde_json::from_str(&text).with_context(|| format!("{status}: {text}"))
    }

    /// Uploads bytes as a report; gives its id.
    ///
    /// # Errors
    /// When the server does not answer 202.
    pub async fn upload(&self, body: impl Into<reqwest::Body>, import: Import<'_>) -> Result<String> {
        let mut request =
            self.request(Method::POST, "/api/v1/reports").query(&[("format", import.format.unwrap_or("auto"))]);
        if let Some(asset) = import.asset {
            request = request.query(&[("asset", asset)]);
        }
        if let Some(filename) = import.filename {
            request = request.query(&[("filename", filename)]);
        }
        if let Some(key) = import.idempotency_key {
            request = request.header("Idempotency-Key", key);
        }
        let answer = request.body(body).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.as_u16() == 202, "{status}: {text}");
        let answer: Value = serde_json::from_str(&text)?;
        answer["reportId"].as_str().map(str::to_owned).with_context(|| format!("no reportId in {answer}"))
    }

    /// The report as `GET /api/v1/reports/{id}` gives it.
    ///
    /// # Errors
    /// When the answer is no success.
    pub async fn report(&self, id: &str) -> Result<Value> {
        Ok(self.get(&format!("/api/v1/reports/{id}")).await?.error_for_status()?.json().await?)
    }

    /// Waits until the report is done or failed.
    ///
    /// # Errors
    /// When that takes longer than 300 s.
    pub async fn finished(&self, id: &str) -> Result<Value> {
        crate::wait_for("the report to finish", 300, || async {
            let report = self.report(id).await.ok()?;
            matches!(report["status"].as_str(), Some("DONE" | "FAILED")).then_some(report)
        })
        .await
    }

    /// Uploads a file and waits for its end.
    ///
    /// # Errors
    /// When it is refused or takes too long.
    pub async fn import_file(&self, path: &Path, asset: Option<&str>) -> Result<Value> {
        let filename = path.file_name().and_then(|n| n.to_str()).context("no file name")?;
        let id =
            self.upload(std::fs::read(path)?, Import { asset, filename: Some(filename), ..Import::default() }).await?;
        self.finished(&id).await
    }
}

/// A request by the GraphQL multipart request specification: `operations` with a file for the variable `file`.
pub fn with_file(request: RequestBuilder, operations: &Value, filename: &str, file: &str) -> RequestBuilder {
    let parts = [
        ("name=\"operations\"".to_owned(), operations.to_string()),
        ("name=\"map\"".to_owned(), json!({ "0": ["variables.file"] }).to_string()),
        (format!("name=\"0\"; filename=\"{filename}\""), file.to_owned()),
    ];
    let part = |(head, body)| format!("--parts\r\nContent-Disposition: form-data; {head}\r\n\r\n{body}\r\n");
    let body: String = parts.into_iter().map(part).collect();
    request.header(header::CONTENT_TYPE, "multipart/form-data; boundary=parts").body(body + "--parts--\r\n")
}
