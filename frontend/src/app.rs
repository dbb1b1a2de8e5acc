//! The document and the way from an address to a page.

use leptos::prelude::*;
use leptos_router::{components::Router, hooks::use_location};

use crate::{layout, pages, state, url};

/// A page of the dashboard. One flat table instead of nested routes: it is tested as data and costs the browser next to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    /// `/sign-in`
    SignIn,
    /// `/setup`
    Setup,
    /// `/invitations/:token`
    Invitation(String),
    /// `/`
    Overview,
    /// `/findings`
    Findings,
    /// `/findings/:id`
    Finding(String),
    /// `/inventory`
    Inventory,
    /// `/inventory/:id`
    Asset(String),
    /// `/inventory/:id/runtime`
    AssetRuntime(String),
    /// `/runtime/…`: one page here, since the server knows its parts.
    Runtime,
    /// `/playbooks/…`: one page here, since the server knows its parts.
    Playbooks,
    /// `/incidents/…`: one page here, since the server knows its parts.
    Incidents,
    /// `/imports`
    Imports,
    /// `/imports/:id`
    Report(String),
    /// `/formats`
    Formats,
    /// `/formats/:format`
    Format(String),
    /// `/settings/…`
    Settings(Setting),
    /// `/audit`
    Audit,
    /// Anything else.
    NotFound,
}

/// A part of the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Name of the organization.
    Organization,
    /// Members and invitations.
    Members,
    /// API tokens.
    Tokens,
    /// The viewer's password and sessions.
    Sessions,
    /// Jobs that failed for good.
    Jobs,
    /// What is kept of runtime events.
    Runtime,
    /// Where notices go, and who hears of what.
    Notifications,
}

impl Page {
    /// The page at a path.
    #[must_use]
    pub fn of(path: &str) -> Self {
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        match (parts.next(), parts.next(), parts.next()) {
            (None, ..) => Self::Overview,
            (Some("sign-in"), None, _) => Self::SignIn,
            (Some("setup"), None, _) => Self::Setup,
            (Some("invitations"), Some(token), None) => Self::Invitation(url::decode(token)),
            (Some("findings"), None, _) => Self::Findings,
            (Some("findings"), Some(id), None) => Self::Finding(url::decode(id)),
            (Some("inventory"), None, _) => Self::Inventory,
            (Some("inventory"), Some(id), None) => Self::Asset(url::decode(id)),
            (Some("inventory"), Some(id), Some("runtime")) => Self::AssetRuntime(url::decode(id)),
            (Some("runtime"), ..) => Self::Runtime,
            (Some("playbooks"), ..) => Self::Playbooks,
            (Some("incidents"), ..) => Self::Incidents,
            (Some("imports"), None, _) => Self::Imports,
            (Some("imports"), Some(id), None) => Self::Report(url::decode(id)),
            (Some("formats"), None, _) => Self::Formats,
            (Some("formats"), Some(format), None) => Self::Format(url::decode(format)),
            (Some("settings"), None | Some("organization"), None) => Self::Settings(Setting::Organization),
            (Some("settings"), Some("members"), None) => Self::Settings(Setting::Members),
            (Some("settings"), Some("tokens"), None) => Self::Settings(Setting::Tokens),
            (Some("settings"), Some("sessions"), None) => Self::Settings(Setting::Sessions),
            (Some("settings"), Some("jobs"), None) => Self::Settings(Setting::Jobs),
            (Some("settings"), Some("runtime"), None) => Self::Settings(Setting::Runtime),
            (Some("settings"), Some("notifications"), None) => Self::Settings(Setting::Notifications),
            (Some("audit"), None, _) => Self::Audit,
            _ => Self::NotFound,
        }
    }

    /// Whether the page is for people who are not signed in, and so has no frame.
    #[must_use]
    pub const fn is_public(&self) -> bool {
        matches!(self, Self::SignIn | Self::Setup | Self::Invitation(_))
    }

    /// Whether an address of the dashboard is for people who are not signed in.
    #[must_use]
    pub fn path_is_public(path: &str) -> bool {
        Self::of(path).is_public()
    }
}

/// The whole document, as the server sends it.
#[cfg(feature = "ssr")]
pub fn shell() -> impl IntoView {
    use leptos::tachys::html::InertElement;

    let owner = Owner::current().unwrap_or_default();
    Suspend::new(async move {
        let data = crate::load::gather(|| view! { <App/> }.into_any()).await;
        // Rendered here and with the request's owner: a view that is handed on may be rendered on another thread, where its
        // nested parts would not find the replies.
        InertElement::new(owner.with(|| document(data).to_html()))
    })
}

#[cfg(feature = "ssr")]
fn document(data: String) -> AnyView {
    use crate::context::{Assets, Theme};

    let assets = use_context::<Assets>().unwrap_or_default();
    let theme = use_context::<Theme>().unwrap_or_default();
    let nonce = leptos::nonce::use_nonce();
    // As text of the element: a child could bring a marker with it, and a title shows every character.
    let title = crate::components::escape(&crate::load::title());
    let start = format!(
        "import init,{{hydrate}} from '{}';await init({{module_or_path:'{}'}});hydrate();",
        assets.script, assets.wasm
    );
    let styles = assets.stylesheets.into_iter().map(|href| view! { <link rel="stylesheet" href=href/> }).collect_view();
    view! {
        <!DOCTYPE html>
        <html lang="en" data-theme=theme.attribute()>
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1"/>
                <meta name="color-scheme" content="light dark"/>
                <title inner_html=title></title>
                <link rel="preload" href=assets.font r#as="font" r#type="font/woff2" crossorigin=""/>
                <link rel="icon" href=assets.icon r#type="image/svg+xml"/>
                {styles}
                <link rel="modulepreload" href=assets.script/>
                <link rel="preload" href=assets.wasm r#as="fetch" crossorigin="" r#type="application/wasm"/>
                <script type="module" nonce=nonce.clone() inner_html=start></script>
            </head>
            <body><App/><script type="application/json" id=crate::load::DATA nonce=nonce inner_html=data></script></body>
        </html>
    }
    .into_any()
}

/// Everything in the body.
#[component]
pub fn App() -> impl IntoView {
    state::provide_app();
    view! { <Router>{root()}</Router> }
}

fn root() -> AnyView {
    let location = use_location();
    let path = location.pathname;
    let page = Memo::new(move |_| path.with(|path| Page::of(path)));
    #[cfg(feature = "hydrate")]
    {
        use leptos_router::location::{BrowserUrl, LocationProvider};
        crate::browser::set_navigate(leptos_router::hooks::use_navigate());
        // The router waits for its own route table to say that the new page stands before it changes the address bar.
        let browser = use_context::<BrowserUrl>();
        Effect::new(move || {
            path.track();
            if let Some(browser) = &browser {
                browser.ready_to_complete();
            }
        });
    }
    let framed = Memo::new(move |_| page.with(|page| !page.is_public()));
    let content = move || if framed.get() { layout::frame(page) } else { pages::public(&page.get()) };
    view! { {content} }.into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_has_its_page() {
        assert_eq!(Page::of("/"), Page::Overview);
        assert_eq!(Page::of("/findings/RmluZGluZzox%3D"), Page::Finding("RmluZGluZzox=".into()));
        assert_eq!(Page::of("/formats/pip-audit"), Page::Format("pip-audit".into()));
        assert_eq!(Page::of("/inventory/a1/runtime"), Page::AssetRuntime("a1".into()));
        assert_eq!(Page::of("/runtime/events/e1"), Page::Runtime);
        assert_eq!(Page::of("/settings"), Page::Settings(Setting::Organization));
        assert_eq!(Page::of("/settings/nothing"), Page::NotFound);
        assert_eq!(Page::of("/findings/a/b"), Page::NotFound);
        assert!(
            Page::path_is_public("/sign-in") && Page::path_is_public("/invitations/t") && !Page::path_is_public("/")
        );
    }
}
