//! Decision, assignment and comment: one form, for one finding or many.

use leptos::{ev, prelude::*};

use crate::{
    browser, components as c, format,
    gql::{self, People, Role, Triage, TriageAction, UndoTriage, people, triage as data, undo_triage},
    load::load,
    state,
    url::Params,
};

/// A triage of these findings with nothing filled in.
pub fn input(ids: Vec<String>, action: TriageAction) -> data::TriageInput {
    data::TriageInput { ids, action, reason: None, expires_at: None, approver: None, assignee: None }
}

/// Runs a triage, tells what it did, and offers to take it back.
pub fn triage(input: data::TriageInput, error: Option<RwSignal<String>>) {
    let words = match input.action {
        TriageAction::Start => "In progress",
        TriageAction::AcceptRisk => "Risk accepted",
        TriageAction::FalsePositive => "False positive",
        TriageAction::Reopen => "Reopened",
        TriageAction::Assign => "Assigned",
        TriageAction::Comment => "Commented",
    };
    state::act::<Triage>(data::Variables { input }, error, move |done| {
        let done = done.triage_findings;
        let undo = done.batch.map(|batch| gql::body::<UndoTriage>(undo_triage::Variables { batch }));
        state::toast(format!("{words}: {}", format::counted(done.changed, "finding", "findings")), undo);
        state::refresh();
    });
}

/// The form. `assignee` is the present one, where there is one finding.
pub fn form(ids: Signal<Vec<String>>, assignee: Option<String>) -> AnyView {
    load::<People>(
        "The members",
        c::none,
        || people::Variables {},
        move |data| form_with(ids, assignee.clone(), data.members),
    )
}

fn form_with(ids: Signal<Vec<String>>, assignee: Option<String>, members: Vec<people::PeopleMembers>) -> AnyView {
    let error = RwSignal::new(String::new());
    let viewer = state::viewer();
    let approvers = members
        .iter()
        .filter(|m| matches!(m.role, Role::Owner | Role::Admin))
        .map(|m| (m.user.id.clone(), c::clean(&m.user.name)))
        .collect();
    let nobody = std::iter::once((String::new(), "Nobody".to_owned()));
    let people = nobody.chain(members.iter().map(|m| (m.user.id.clone(), c::clean(&m.user.name)))).collect();
    let assign = move |event: ev::Event| {
        let mut input = input(ids.get_untracked(), TriageAction::Assign);
        input.assignee = Some(event_target_value(&event)).filter(|id| !id.is_empty());
        triage(input, None);
    };
    let decide = move |event: ev::SubmitEvent| {
        event.prevent_default();
        let values = browser::form(&event);
        match read(ids.get_untracked(), &values) {
            Ok(input) => triage(input, Some(error)),
            Err(message) => error.set(message.to_owned()),
        }
    };
    let tomorrow = format::iso_day(c::now() + 86_400);
    let in_90_days = format::iso_day(c::now() + 90 * 86_400);
    let accept = viewer
        .can("finding:accept-risk")
        .then(|| view! { <label><input type="radio" name="action" value="ACCEPT_RISK"/>"Accept risk"</label> });
    view! {
        <form class="decide" method="post" aria-label="Decision" on:submit=decide>
            <div class="seg" role="radiogroup" aria-label="Decision">
                <label><input type="radio" name="action" value="START" checked/>"Fix"</label>
                {accept}
                <label><input type="radio" name="action" value="FALSE_POSITIVE"/>"False positive"</label>
                <label><input type="radio" name="action" value="REOPEN"/>"Reopen"</label>
                <label><input type="radio" name="action" value="COMMENT"/>"Comment"</label>
            </div>
            <div class="line only-accept">
                {c::choice("approver", "Approved by", approvers, "")}
                <div class="field"><label for="f-until">"Accepted until"</label><input class="input" id="f-until" name="until" type="date" min=tomorrow value=in_90_days/></div>
            </div>
            <div class="line"><input class="input" name="reason" aria-label="Reason or comment" placeholder="Reason, or who does what" maxlength="2000"/><button class="btn primary">"Decide "<kbd>"e"</kbd></button></div>
            <p class="err" role="alert">{error}</p>
        </form>
        <div class="assign" on:change=assign>{c::choice("assignee", "Assignee", people, assignee.as_deref().unwrap_or_default())}</div>
    }
    .into_any()
}

/// Reads the form; says what is missing in the words of its fields.
fn read(ids: Vec<String>, values: &Params) -> Result<data::TriageInput, &'static str> {
    let action: TriageAction =
        values.get("action").and_then(|action| action.parse().ok()).ok_or("Choose a decision.")?;
    let reason = values.get("reason").map(str::to_owned);
    let needs_reason = matches!(action, TriageAction::AcceptRisk | TriageAction::FalsePositive | TriageAction::Comment);
    if needs_reason && reason.is_none() {
        return Err(if action == TriageAction::Comment {
            "Write the comment."
        } else {
            "Give a reason: it is what others read later."
        });
    }
    let mut input = input(ids, action);
    input.reason = reason;
    if action == TriageAction::AcceptRisk {
        input.approver = Some(values.get("approver").ok_or("Choose who approved it.")?.to_owned());
        input.expires_at = Some(format!(
            "{}T23:59:59Z",
            values.get("until").ok_or("Choose the day until which the risk is accepted.")?
        ));
    }
    Ok(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepting_a_risk_needs_reason_approver_and_end() {
        let read = |text: &str| super::read(vec!["f".into()], &Params::parse(text));
        assert!(read("action=START").is_ok());
        assert!(read("action=FALSE_POSITIVE").is_err());
        assert!(read("action=ACCEPT_RISK&reason=x&until=2027-01-31").unwrap_err().contains("approved"));
        let input = read("action=ACCEPT_RISK&reason=x&approver=u&until=2027-01-31").unwrap();
        assert_eq!(input.expires_at.as_deref(), Some("2027-01-31T23:59:59Z"));
        assert!(read("action=DELETE").is_err());
    }
}
