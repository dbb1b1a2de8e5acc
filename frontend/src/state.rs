//! What outlives a page: who is signed in, toasts, and the tick by which pages load their data anew.

use graphql_client::GraphQLQuery;
use leptos::prelude::*;

use crate::{
    gql::{self, Role},
    uploads::Upload,
};

/// A message that goes by itself, with the way to take back what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toast {
    /// Distinguishes toasts with the same text.
    pub key: u64,
    /// What happened.
    pub text: String,
    /// The body of the request that takes it back.
    pub undo: Option<String>,
}

/// The signals of the whole dashboard.
#[derive(Clone, Copy)]
pub struct App {
    /// Pages load their data anew when it changes.
    pub tick: RwSignal<u64>,
    /// The toasts on screen, oldest first.
    pub toasts: RwSignal<Vec<Toast>>,
    /// Whether the command palette is open.
    pub palette: RwSignal<bool>,
    /// Whether the sheet of keys is open.
    pub keys: RwSignal<bool>,
    /// Live events since the page loaded its data, by topic.
    pub news: RwSignal<News>,
    /// Files that were sent from this window, newest first.
    pub uploads: RwSignal<Vec<Upload>>,
}

/// Counts of live events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Findings that changed.
    pub findings: u32,
    /// Reports whose status or counts changed.
    pub reports: u32,
    /// Changes of risk or of assets.
    pub posture: u32,
    /// Runtime events, and changes of policies and sensors; the server tells of events at most once a second.
    pub runtime: u32,
}

/// Who is signed in.
#[derive(Clone, Debug, PartialEq)]
pub struct Viewer {
    /// The user's id; absent for API tokens.
    pub user: Option<String>,
    /// The name of the person or token.
    pub name: String,
    /// The role in the organization.
    pub role: Role,
    /// `noun:verb`.
    pub permissions: Vec<String>,
    /// The name of the organization.
    pub organization: String,
}

impl Viewer {
    /// Whether the viewer has a permission. The API decides; this only hides what would be refused.
    #[must_use]
    pub fn can(&self, permission: &str) -> bool {
        self.permissions.iter().any(|p| p == permission)
    }
}

/// The viewer of the page that is rendered.
#[must_use]
pub fn viewer() -> Viewer {
    use_context::<Viewer>().unwrap_or_else(|| Viewer {
        user: None,
        name: String::new(),
        role: Role::Viewer,
        permissions: Vec::new(),
        organization: String::new(),
    })
}

#[cfg(feature = "hydrate")]
thread_local! {
    // Listeners run outside of any reactive owner, where there is no context.
    static APP: std::cell::Cell<Option<App>> = const { std::cell::Cell::new(None) };
}

/// Makes the signals and provides them to everything below.
pub fn provide_app() -> App {
    let app = App {
        tick: RwSignal::new(0),
        toasts: RwSignal::new(Vec::new()),
        palette: RwSignal::new(false),
        keys: RwSignal::new(false),
        news: RwSignal::new(News::default()),
        uploads: RwSignal::new(Vec::new()),
    };
    provide_context(app);
    #[cfg(feature = "hydrate")]
    APP.set(Some(app));
    app
}

/// The signals of the dashboard.
#[must_use]
pub fn app() -> App {
    #[cfg(feature = "hydrate")]
    if let Some(app) = APP.get() {
        return app;
    }
    use_context::<App>().unwrap_or_else(provide_app)
}

/// All pages load their data anew.
pub fn refresh() {
    let app = app();
    app.news.set(News::default());
    app.tick.update(|tick| *tick += 1);
}

/// Takes back what a toast says, by its request.
pub fn undo(body: String) {
    app().toasts.update(|toasts| toasts.retain(|toast| toast.undo.as_deref() != Some(&body)));
    let done = |reply: &str| {
        gql::data(reply).map_err(|refusal| refusal.message)?;
        toast("Taken back", None);
        refresh();
        Ok(())
    };
    run(body, None, Box::new(done));
}

/// Shows a toast for eight seconds.
pub fn toast(text: impl Into<String>, undo: Option<String>) {
    let app = app();
    let key = app.toasts.with_untracked(|toasts| toasts.last().map_or(0, |toast| toast.key + 1));
    app.toasts.update(|toasts| toasts.push(Toast { key, text: text.into(), undo }));
    crate::browser::later(8000, move || app.toasts.update(|toasts| toasts.retain(|toast| toast.key != key)));
}

/// Runs a mutation and then `done` with what it gave. A refusal is shown at `error`, or as a toast.
pub fn act<Q: GraphQLQuery>(
    variables: Q::Variables,
    error: Option<RwSignal<String>>,
    done: impl FnOnce(Q::ResponseData) + 'static,
) where
    Q::ResponseData: 'static,
{
    let done = move |reply: &str| match gql::parse(reply) {
        Ok(data) => {
            done(data);
            Ok(())
        }
        Err(refusal) => Err(refusal.message),
    };
    run(gql::body::<Q>(variables), error, Box::new(done));
}

/// What is done with a reply; a refusal is the server's sentence.
pub type Done = Box<dyn FnOnce(&str) -> Result<(), String>>;

/// Sends a mutation's body; see [`act`].
pub fn run(body: String, error: Option<RwSignal<String>>, done: Done) {
    if let Some(error) = error {
        error.set(String::new());
    }
    leptos::task::spawn_local(async move {
        if let Err(message) = done(&gql::send(body).await) {
            match error {
                Some(error) => error.set(message),
                None => toast(message, None),
            }
        }
    });
}
