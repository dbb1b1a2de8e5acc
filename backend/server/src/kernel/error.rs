//! The one error type above the slices' own: what a caller may know apart from what only the log may.

use super::Permission;
use std::time::Duration;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in the caller's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    BadInput,
    Unauthenticated,
    Forbidden,
    NotFound,
    Conflict,
    TooLarge,
    RateLimited,
    Unavailable,
    Internal,
}

impl Kind {
    /// The stable code: GraphQL `extensions.code`, problem+json `type`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::BadInput => "BAD_INPUT",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Forbidden => "FORBIDDEN",
            Self::NotFound => "NOT_FOUND",
            Self::Conflict => "CONFLICT",
            Self::TooLarge => "TOO_LARGE",
            Self::RateLimited => "RATE_LIMITED",
            Self::Unavailable => "UNAVAILABLE",
            Self::Internal => "INTERNAL",
        }
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::BadInput => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::RateLimited => 429,
            Self::Unavailable => 503,
            Self::Internal => 500,
        }
    }
}

/// What is wrong with one field of the input.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// The path of the field, for example `findings[3].severity`.
    pub field: String,
    /// A sentence with the allowed values.
    pub message: String,
}

/// An error of a use case. There is no `Display` on purpose: `public` may be shown, `internal` only logged.
pub struct Error {
    pub kind: Kind,
    /// A sentence for the caller.
    pub public: String,
    pub fields: Vec<FieldError>,
    /// When to try again.
    pub retry_after: Option<Duration>,
    internal: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl std::fmt::Debug for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.kind)
            .field("public", &self.public)
            .field("fields", &self.fields)
            .field("internal", &self.internal_text())
            .finish()
    }
}

impl Error {
    #[must_use]
    pub fn new(kind: Kind, public: impl Into<String>) -> Self {
        Self { kind, public: public.into(), fields: Vec::new(), retry_after: None, internal: None }
    }

    /// One field is wrong; the message says what is allowed.
    #[must_use]
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        let (field, message) = (field.into(), message.into());
        Self {
            fields: vec![FieldError { field: field.clone(), message: message.clone() }],
            ..Self::new(Kind::BadInput, format!("{field}: {message}"))
        }
    }

    /// Several fields are wrong.
    #[must_use]
    pub fn fields(public: impl Into<String>, fields: Vec<FieldError>) -> Self {
        Self { fields, ..Self::new(Kind::BadInput, public) }
    }

    /// The actor may know of the thing but not do this.
    #[must_use]
    pub fn forbidden(permission: Permission) -> Self {
        Self::new(Kind::Forbidden, format!("This needs the permission {}.", permission.as_str()))
    }

    /// Missing, or of another tenant: the two are told apart nowhere.
    #[must_use]
    pub fn not_found(noun: &str) -> Self {
        Self::new(Kind::NotFound, format!("There is no such {noun}."))
    }

    #[must_use]
    pub fn conflict(public: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, public)
    }

    #[must_use]
    pub fn rate_limited(retry_after: Duration) -> Self {
        let seconds = retry_after.as_secs().max(1);
        Self {
            retry_after: Some(retry_after),
            ..Self::new(Kind::RateLimited, format!("Too many requests. Try again in {seconds} s."))
        }
    }

    /// A failure that the caller can not mend; the cause goes to the log only.
    #[must_use]
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self {
            internal: Some(cause.into()),
            ..Self::new(
                Kind::Internal,
                "Something went wrong on the server. The request id leads to the details in its log.",
            )
        }
    }

    /// Attaches a cause for the log.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.internal = Some(cause.into());
        self
    }

    /// For the operator at the command line, who may read the cause.
    #[must_use]
    pub fn for_operator(self) -> anyhow::Error {
        anyhow::anyhow!(self.internal_text().unwrap_or(self.public))
    }

    /// The chain of causes, for the log only.
    #[must_use]
    pub fn internal_text(&self) -> Option<String> {
        let mut cause: &dyn std::error::Error = self.internal.as_deref()?;
        let mut text = cause.to_string();
        while let Some(next) = cause.source() {
            text = format!("{text}: {next}");
            cause = next;
        }
        Some(text)
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) => {
                Self::new(Kind::Unavailable, "The database does not answer. Try again.").caused_by(error)
            }
            _ => Self::internal(error),
        }
    }
}

impl From<stance_shared::UnknownWord> for Error {
    fn from(error: stance_shared::UnknownWord) -> Self {
        Self::new(Kind::BadInput, error.to_string())
    }
}

/// Names the constraints of a table in the caller's words.
pub trait OnConstraint<T> {
    /// Turns the violation of `constraint` into another error; other errors pass.
    ///
    /// # Errors
    /// The mapped error, or the one that was there.
    fn on_constraint(self, constraint: &str, map: impl FnOnce() -> Error) -> Result<T>;
}

impl<T> OnConstraint<T> for Result<T, sqlx::Error> {
    fn on_constraint(self, constraint: &str, map: impl FnOnce() -> Error) -> Result<T> {
        self.map_err(|error| match error.as_database_error().and_then(|e| e.constraint()) {
            Some(name) if name == constraint => map(),
            _ => error.into(),
        })
    }
}
