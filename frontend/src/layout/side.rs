//! Navigation, switch of organization, account.

use leptos::prelude::*;

use crate::{
    app::Page,
    browser,
    components::{none, text},
    format,
    gql::{Navigation, frame as data, navigation},
    icons::{self, icon, mark},
    load::load,
    state,
};

/// The sidebar; a sheet on the phone, which opens without JavaScript since it is a popover.
pub fn side(page: Memo<Page>, viewer: data::FrameViewer) -> AnyView {
    let app = state::app();
    let name =
        viewer.user.as_ref().map_or_else(|| viewer.token_name.clone().unwrap_or_default(), |user| user.name.clone());
    let email = viewer.user.as_ref().map(|user| user.email.clone()).unwrap_or_default();
    view! {
        <nav class="side" id="side" popover="" aria-label="Main">
            {organizations(viewer)}
            <button class="find" type="button" aria-keyshortcuts="Control+K Meta+K" on:click=move |_| app.palette.set(true)>
                {icon(icons::SEARCH)}<span class="label">"Search"</span><kbd>"⌘K"</kbd>
            </button>
            {load::<Navigation>("The counts", none, || navigation::Variables {}, move |counts| links(page, &counts))}
            <div class="foot">
                <details class="menu up who">
                    <summary class="btn quiet sm"><span class="avatar" aria-hidden="true">{format::initials(&name)}</span><span class="label cut">{text(&name)}</span></summary>
                    <div class="pop">
                        <h3 class="cut">{text(&email)}</h3>
                        <a class="item" href="/settings/sessions">{icon(icons::MONITOR)}"Password and sessions"</a>
                        <hr/>
                        <form method="post" action="/auth/sign-out"><button class="item">{icon(icons::LOG_OUT)}"Sign out"</button></form>
                    </div>
                </details>
                <button class="btn quiet icon sm" type="button" aria-label="Switch between light and dark" on:click=move |_| browser::toggle_theme()>{icon(icons::MOON)}</button>
                <a class="btn quiet icon sm" href="/settings/organization" aria-label="Settings" aria-current=move || page.with(|p| matches!(p, Page::Settings(_))).then_some("page")>{icon(icons::SETTINGS)}</a>
            </div>
        </nav>
    }
    .into_any()
}

fn organizations(viewer: data::FrameViewer) -> AnyView {
    let label = view! { {mark()}<span class="label cut">{text(&viewer.organization.name)}</span> };
    if viewer.memberships.len() < 2 {
        return view! { <a class="org" href="/">{label}</a> }.into_any();
    }
    let items = viewer.memberships.into_iter().map(|membership| {
        let check = if membership.current { icons::CHECK } else { icons::BUILDING_2 };
        view! {
            <button class="item" name="organization" value=membership.organization.id aria-current=membership.current.then_some("true")>
                {icon(check)}<span class="cut">{text(&membership.organization.name)}</span><span class="end">{membership.role.label()}</span>
            </button>
        }
    });
    view! {
        <details class="menu">
            <summary class="org">{label}<span class="vh">", switch organization"</span>{icon(icons::CHEVRONS_UP_DOWN)}</summary>
            <form class="pop" method="post" action="/auth/switch-organization"><h3>"Organizations"</h3>{items.collect_view()}</form>
        </details>
    }
    .into_any()
}

fn links(page: Memo<Page>, counts: &navigation::ResponseData) -> AnyView {
    let link = move |href: &'static str,
                     label: &'static str,
                     markup: &'static str,
                     count: Option<i64>,
                     here: fn(&Page) -> bool| {
        let count = count.map(|count| view! { <span class="count">{format::count(count)}</span> });
        view! {
            <li><a href=href title=label aria-current=move || page.with(here).then_some("page")>{icon(markup)}<span class="label">{label}</span>{count}</a></li>
        }
        .into_any()
    };
    let runtime = state::viewer()
        .can("event:read")
        .then(|| link("/runtime", "Runtime", icons::ACTIVITY, None, |p| *p == Page::Runtime));
    let playbooks = state::viewer()
        .can("playbook:read")
        .then(|| link("/playbooks", "Playbooks", icons::BOOK_OPEN, None, |p| *p == Page::Playbooks));
    let incidents = state::viewer().can("incident:read").then(|| {
        link("/incidents", "Incidents", icons::SIREN, Some(counts.incident_metrics.open), |p| *p == Page::Incidents)
    });
    let (findings, assets) = (Some(counts.posture.open_findings), Some(counts.posture.assets));
    view! {
        <ul class="nav">
            {link("/", "Overview", icons::LAYOUT_DASHBOARD, None, |p| *p == Page::Overview)}
            {link("/findings", "Findings", icons::BUG, findings, |p| matches!(p, Page::Findings | Page::Finding(_)))}
            {link("/inventory", "Inventory", icons::BOXES, assets, |p| matches!(p, Page::Inventory | Page::Asset(_) | Page::AssetRuntime(_)))}
            {runtime}
            {incidents}
            {playbooks}
        </ul>
        <h2 class="label">"Evidence"</h2>
        <ul class="nav">
            {link("/imports", "Imports", icons::FILE_UP, None, |p| matches!(p, Page::Imports | Page::Report(_) | Page::Formats | Page::Format(_)))}
            {link("/audit", "Audit log", icons::SCROLL_TEXT, None, |p| *p == Page::Audit)}
        </ul>
    }
    .into_any()
}
