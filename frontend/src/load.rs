//! Data for pages, keyed by the request that asks for it.
//!
//! The server renders the page again and again until nothing is wanted any more (one pass for each level of requests that depend on
//! an answer, three at most), and puts all replies beside the page; the browser hydrates from them without asking. So parts may nest
//! at will, which Leptos' resources may not: those are numbered in the order of their making, and a suspended part is made more than once.

#[cfg(any(feature = "ssr", feature = "hydrate"))]
use std::collections::BTreeMap;
#[cfg(feature = "ssr")]
use std::collections::BTreeSet;
use std::{marker::PhantomData, sync::Arc};

use graphql_client::GraphQLQuery;
use leptos::prelude::*;

#[cfg(feature = "hydrate")]
use crate::state;
use crate::{
    components,
    gql::{self, GqlError},
};

/// The element of the document that holds the replies.
pub const DATA: &str = "stance-data";

type Body = Arc<dyn Fn() -> String + Send + Sync>;
type Render = Arc<dyn Fn(&str) -> AnyView + Send + Sync>;

/// Loads a document and renders it: [`ask`] and [`Reply::view`] for the usual case of one place.
pub fn load<Q>(
    what: &'static str,
    skeleton: fn() -> AnyView,
    variables: impl Fn() -> Q::Variables + Send + Sync + 'static,
    render: impl Fn(Q::ResponseData) -> AnyView + Send + Sync + 'static,
) -> AnyView
where
    Q: GraphQLQuery + 'static,
{
    ask::<Q>(what, variables).view(skeleton, render)
}

/// The reply to a document, for several places of a page.
pub struct Reply<Q> {
    what: &'static str,
    text: RwSignal<Option<String>>,
    document: PhantomData<Q>,
}

/// Asks for a document, and anew when the variables or [`refresh`](crate::state::refresh) change. The old content stays until there is
/// another answer; the same answer again changes nothing.
///
/// `what` names the data in an error.
pub fn ask<Q: GraphQLQuery>(
    what: &'static str,
    variables: impl Fn() -> Q::Variables + Send + Sync + 'static,
) -> Reply<Q> {
    Reply { what, text: ask_text(Arc::new(move || gql::body::<Q>(variables()))), document: PhantomData }
}

impl<Q: GraphQLQuery + 'static> Reply<Q> {
    /// The main place: shows `skeleton` until the reply is there. Without permission or after sign-out the reader gets an answer,
    /// not an empty page.
    pub fn view(
        &self,
        skeleton: fn() -> AnyView,
        render: impl Fn(Q::ResponseData) -> AnyView + Send + Sync + 'static,
    ) -> AnyView {
        let what = self.what;
        let render = move |reply: &str| match gql::parse(reply) {
            Ok(data) => render(data),
            Err(error) => refused(what, &error),
        };
        place(self.text, skeleton, Arc::new(render))
    }

    /// A further place, empty unless there is data.
    pub fn part(&self, render: impl Fn(Q::ResponseData) -> AnyView + Send + Sync + 'static) -> AnyView {
        let render = move |reply: &str| gql::parse(reply).map_or_else(|_| components::none(), &render);
        place(self.text, components::none, Arc::new(render))
    }
}

/// Asks for a document once.
pub fn ask_once<Q: GraphQLQuery>(what: &'static str, variables: Q::Variables) -> Reply<Q> {
    let body = gql::body::<Q>(variables);
    let text = RwSignal::new(known(&body));
    #[cfg(feature = "hydrate")]
    if text.with_untracked(Option::is_none) {
        leptos::task::spawn_local(async move { drop(text.try_set(Some(gql::send(body).await))) });
    }
    Reply { what, text, document: PhantomData }
}

fn ask_text(body: Body) -> RwSignal<Option<String>> {
    let reply = RwSignal::new(known(&untrack(|| body())));
    #[cfg(feature = "hydrate")]
    follow(body, reply);
    reply
}

fn place(reply: RwSignal<Option<String>>, skeleton: fn() -> AnyView, render: Render) -> AnyView {
    let content = move || reply.with(|reply| reply.as_deref().map_or_else(skeleton, |reply| render(reply)));
    view! { {content} }.into_any()
}

/// Asks again when the request or the tick changes; an answer to an older question is dropped.
#[cfg(feature = "hydrate")]
fn follow(body: Body, reply: RwSignal<Option<String>>) {
    let tick = state::app().tick;
    let latest = StoredValue::new((0_u64, String::new()));
    Effect::new(move |before: Option<(u64, String)>| {
        let wanted = (tick.get(), body());
        let answered = before.is_none() && reply.with_untracked(Option::is_some);
        if !answered && before.as_ref() != Some(&wanted) {
            let question = wanted.clone();
            latest.set_value(wanted.clone());
            leptos::task::spawn_local(async move {
                let text = gql::send(question.1.clone()).await;
                if latest.try_with_value(|latest| *latest == question) == Some(true) {
                    let same = reply.try_with_untracked(|reply| reply.as_ref() == Some(&text));
                    if same == Some(false) {
                        reply.set(Some(text));
                    }
                }
            });
        }
        wanted
    });
}

/// Replies by request, and the requests that have none yet.
#[cfg(feature = "ssr")]
#[derive(Clone, Default)]
struct Replies {
    state: Arc<std::sync::Mutex<Gathered>>,
}

/// What the passes over a page have brought together.
#[cfg(feature = "ssr")]
#[derive(Default)]
struct Gathered {
    known: BTreeMap<String, String>,
    wanted: Vec<String>,
    /// What the browser needs as well.
    shared: BTreeSet<String>,
    title: String,
}

/// In the context of what only the server renders: the replies for it are not sent to the browser.
#[cfg(not(feature = "hydrate"))]
#[derive(Clone, Copy)]
pub struct Served;

/// What the server gives without being asked, see [`Given`](crate::context::Given); null when it gave nothing of that name.
pub fn given(name: &str) -> serde_json::Value {
    #[cfg(feature = "hydrate")]
    return known(name).and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    #[cfg(not(feature = "hydrate"))]
    return use_context::<crate::context::Given>().and_then(|given| given.0.get(name).cloned()).unwrap_or_default();
}

/// The reply to a request, if it came with the page.
#[cfg(feature = "hydrate")]
fn known(body: &str) -> Option<String> {
    thread_local! {
        static REPLIES: std::cell::RefCell<Option<BTreeMap<String, String>>> = const { std::cell::RefCell::new(None) };
    }
    REPLIES.with_borrow_mut(|replies| {
        replies
            .get_or_insert_with(|| {
                let text = document().get_element_by_id(DATA).and_then(|element| element.text_content());
                text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
            })
            .remove(body)
    })
}

/// The reply to a request, if an earlier pass has wanted it; otherwise it is wanted now.
#[cfg(not(feature = "hydrate"))]
fn known(body: &str) -> Option<String> {
    #[cfg(feature = "ssr")]
    if let Some(replies) = use_context::<Replies>() {
        let mut state = replies.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let reply = state.known.get(body).cloned();
        if use_context::<Served>().is_none() {
            state.shared.insert(body.to_owned());
        }
        if reply.is_none() && !state.wanted.iter().any(|wanted| wanted == body) {
            state.wanted.push(body.to_owned());
        }
        return reply;
    }
    let _ = body;
    None
}

/// Gets all the data that `page` wants, as the text for the browser; later renderings find it.
#[cfg(feature = "ssr")]
pub async fn gather(page: fn() -> AnyView) -> String {
    let replies = Replies::default();
    provide_context(replies.clone());
    let state = || replies.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let given = use_context::<crate::context::Given>().unwrap_or_default();
    state().known.extend(given.0.iter().map(|(name, value)| ((*name).to_owned(), value.to_string())));
    state().shared.extend(given.0.keys().map(|name| (*name).to_owned()));
    loop {
        let pass = Owner::new();
        let _ = pass.with(|| page().to_html());
        pass.cleanup();
        let wanted = std::mem::take(&mut state().wanted);
        if wanted.is_empty() {
            break;
        }
        let answers = futures::future::join_all(wanted.iter().cloned().map(gql::send)).await;
        state().known.extend(wanted.into_iter().zip(answers));
    }
    let state = state();
    let shared: BTreeMap<_, _> = state.known.iter().filter(|(body, _)| state.shared.contains(*body)).collect();
    // In a script element only `<` could end the data early.
    serde_json::to_string(&shared).unwrap_or_default().replace('<', "\\u003c")
}

/// The title that the page has set while it was gathered.
#[cfg(feature = "ssr")]
pub fn title() -> String {
    let replies = use_context::<Replies>();
    replies.map(|r| r.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner).title.clone()).unwrap_or_default()
}

/// Names the document.
pub fn set_title(page: &str) {
    let title = format!("{} · Stance", components::clean(page));
    #[cfg(feature = "ssr")]
    if let Some(replies) = use_context::<Replies>() {
        replies.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner).title.clone_from(&title);
    }
    #[cfg(feature = "hydrate")]
    document().set_title(&title);
    drop(title);
}

fn refused(what: &str, error: &GqlError) -> AnyView {
    match error.code.as_str() {
        "UNAUTHENTICATED" => {
            crate::browser::leave("/sign-in");
            set_status(401);
            view! { <div class="page"><div class="gone"><h2>"You are signed out"</h2><a class="btn primary" href="/sign-in" rel="external">"Sign in"</a></div></div> }.into_any()
        }
        "NOT_FOUND" => crate::pages::not_found(),
        code => {
            set_status(if code == "FORBIDDEN" { 403 } else { 500 });
            view! { <div class="page">{components::failure(what, error)}</div> }.into_any()
        }
    }
}

/// Sets the HTTP status of the page, where a server renders it.
pub fn set_status(status: u16) {
    if let Some(setter) = use_context::<crate::context::StatusSetter>() {
        (setter.0)(status);
    }
}
