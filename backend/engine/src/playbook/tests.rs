use super::parse::{APPROVAL, ARM, BRANCH, DOCUMENT, RETRY, STEP, TASK, TRIGGER, WITH};
use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

fn problems(source: &str) -> Vec<(u64, u64, String)> {
    read(source).unwrap_err().into_iter().map(|p| (p.line, p.column, p.message)).collect()
}

const SMALL: &str = "id: small\ntitle: Small\nsummary: S\nversion: 1\ntrigger: { on: manual }\nsteps:\n";

#[test]
fn the_library_reads_and_its_sources_are_known() {
    let known: BTreeSet<&str> = stance_shared::taxonomy::frameworks().iter().map(|f| f.framework.as_str()).collect();
    for (name, source) in super::library::DOCUMENTS {
        let playbook = read(source).unwrap_or_else(|problems| panic!("{name}: {problems:#?}"));
        assert_eq!(playbook.id, *name);
        assert!(playbook.sources.len() >= 5, "{name} names its sources");
        for source in &playbook.sources {
            let framework = source.split('@').next().unwrap();
            // Mitigations of ATLAS and the frameworks without data have only their form checked.
            if known.contains(framework) && !source.contains("AML.M") {
                assert!(stance_shared::taxonomy::is_known(source), "{name}: {source} is in no taxonomy");
            }
        }
        for prefix in ["owasp-", "atlas@5.6.0:AML.T", "atlas@5.6.0:AML.M", "nist-"] {
            assert!(playbook.sources.iter().any(|s| s.starts_with(prefix)), "{name} has no source {prefix}…");
        }
        let people = playbook.all_steps().filter(|step| matches!(step.kind, Kind::Task { .. })).count();
        assert!(people >= 2 && matches!(playbook.trigger, Trigger::Incident(_)), "{name}");
    }
    assert_eq!(library().len(), super::library::DOCUMENTS.len());
}

#[test]
fn all_mistakes_are_told_at_their_place() {
    let source = "id: Wrong Id
title: T
summary: S
version: none
trigger:
  on: incident
  when: severity >= WORST
steps:
  - id: a
    title: A
    action: quarantine
    with: { grade: everything, reason: R }
    retry: { times: 99 }
  - id: a
    title: B
    next: a
    wait: 3 minutes
  - id: c
    titel: C
    approval: { role: VIEWER, question: Q }
";
    assert_eq!(
        problems(source),
        [
            (1, 5, "id: must be 1 to 60 letters a-z, digits and hyphens, begin with a letter, and not be `end`".into()),
            (4, 10, "version: must be a whole number of 1 to 1000000".into()),
            (7, 21, "trigger.when: `severity` is compared with one of CRITICAL, HIGH, MEDIUM, LOW, INFO".into()),
            (12, 20, "steps[0].with.grade: must be one of block-all, tools-only, egress-only, human-approval".into()),
            (13, 21, "steps[0].retry.times: must be a whole number of 1 to 10".into()),
            (14, 9, "steps[1].id: `a` is another step's id already".into()),
            (16, 11, "steps[1].next: must be the id of a later step, or end; here: c, end".into()),
            (17, 11, "steps[1].wait: must be a time of 1s to 90d: a whole number and one of s, m, h, d".into()),
            (18, 5, "steps[2].title: is missing: one line of 1 to 120 characters".into()),
            (19, 5, format!("steps[2].titel: is no field; allowed are {}", STEP.join(", "))),
            (20, 23, "steps[2].approval.role: must be one of OWNER, ADMIN, RESPONDER".into()),
        ]
    );
}

#[test]
fn what_is_no_yaml_or_too_much_is_refused_with_its_place() {
    assert_eq!(problems("id: [1\ntitle: x\n").len(), 1);
    let twice = problems(&format!("{SMALL}  - {{ id: a, title: A, wait: 1s }}\nid: other\n"));
    assert!(twice[0].0 == 8 && twice[0].2.contains("not YAML"), "{twice:?}");
    assert!(problems(&" ".repeat(MAX_SOURCE + 1))[0].2.contains("64 KiB"));
    let deep = format!("{}1{}", "[".repeat(60), "]".repeat(60));
    assert_eq!(problems(&deep).len(), 1);
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let before = format!("*a{}, ", level - 1).repeat(9);
        bomb += &format!("a{level}: &a{level} [{before}]\n");
    }
    let started = std::time::Instant::now();
    assert_eq!(problems(&bomb).len(), 1);
    assert!(started.elapsed().as_secs() < 2, "an alias bomb costs nothing");
    assert!(problems("").iter().any(|p| p.2.contains("mapping")), "{:?}", problems(""));
}

#[test]
fn steps_that_nothing_leads_to_and_fields_that_do_not_fit_are_mistakes() {
    let source = format!(
        "{SMALL}  - {{ id: a, title: A, wait: 1s, next: end, retry: {{ times: 1 }} }}\n  - {{ id: b, title: B, wait: 1s }}\n"
    );
    let found = problems(&source);
    assert_eq!(found[0].2, "steps[0].retry: is only for an `action`");
    assert_eq!((found[1].0, found[1].2.as_str()), (8, "steps[1]: is never reached: no step goes on to `b`"));
    let group = format!(
        "{SMALL}  - id: g\n    title: G\n    parallel:\n      - {{ id: a, title: A, wait: 1s, next: end }}\n      - {{ id: b, title: B, wait: 1s }}\n"
    );
    assert!(problems(&group)[0].2.contains("can not stand in a parallel group"));
}

#[test]
fn yes_and_no_are_words() {
    let source = format!(
        "{SMALL}  - {{ id: a, title: No, task: {{ role: ADMIN, instructions: on, choices: [yes, no], red-team: true }} }}\n"
    );
    let playbook = read(&source).unwrap();
    let Kind::Task { choices, red_team, .. } = &playbook.steps[0].kind else { panic!("no task") };
    assert_eq!((choices.as_slice(), *red_team), (&["yes".to_owned(), "no".to_owned()][..], true));
}

#[test]
fn conditions_are_typed() {
    let answers = BTreeMap::from([("judge".to_owned(), vec!["yes".to_owned(), "no".to_owned()])]);
    let ask = |text: &str, facts: Value, answer: &str| {
        let incident = facts.as_object().unwrap().clone();
        let answers_given = BTreeMap::from([("judge".to_owned(), answer.to_owned())]);
        Condition::read(text, &answers).unwrap().holds(&Facts { incident, answers: answers_given })
    };
    let facts = json!({ "severity": "HIGH", "status": "TRIAGED", "categories": ["owasp-llm@2025:LLM01"], "events": 12, "serious": true });
    for (text, holds) in [
        ("severity >= HIGH", true),
        ("severity > HIGH", false),
        ("severity in [LOW, HIGH]", true),
        ("status < CONTAINED and not contained", true),
        ("events >= 12.0 and events != 13", true),
        ("categories contains \"owasp-llm@2025:LLM01\"", true),
        ("categories contains \"LLM01\"", false),
        ("severity == LOW or (serious and findings == 0)", true),
        ("not (serious or contained)", false),
        ("answer.judge == \"yes\"", true),
        ("answer.judge in [\"no\"]", false),
        ("rule == \"\"", true),
    ] {
        assert_eq!(ask(text, facts.clone(), "yes"), holds, "{text}");
    }
    for (text, at, says) in [
        ("", 0, "expected a fact"),
        ("severity >= 3", 12, "one of CRITICAL"),
        ("mood == \"x\"", 0, "is no fact; allowed are severity, status"),
        ("events == \"3\"", 10, "a number"),
        ("rule < \"a\"", 5, "compare it with =="),
        ("categories == \"a\"", 11, "contains"),
        ("answer.judge == \"maybe\"", 16, "\"yes\", \"no\""),
        ("answer.other == \"yes\"", 0, "answer.judge"),
        ("severity >= HIGH severity", 17, "expected `and`"),
        ("(serious", 8, "expected `)`"),
        ("rule == \"open", 8, "closing quotation mark"),
        ("serious & contained", 8, "has no meaning"),
    ] {
        let (place, message) = Condition::read(text, &answers).unwrap_err();
        assert!(place == at && message.contains(says), "{text}: {place} {message}");
    }
    assert!(Condition::read(&"not ".repeat(40), &answers).unwrap_err().1.contains("16 levels"));
}

#[test]
fn the_published_schema_names_the_fields_that_are_read() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let names = |at: &str| -> BTreeSet<String> {
        schema.pointer(&format!("{at}/properties")).unwrap().as_object().unwrap().keys().cloned().collect()
    };
    let set = |names: &[&str]| -> BTreeSet<String> { names.iter().map(ToString::to_string).collect() };
    for (at, fields) in [
        ("", &DOCUMENT[..]),
        ("/$defs/trigger", &TRIGGER),
        ("/$defs/step", &STEP),
        ("/$defs/task", &TASK),
        ("/$defs/approval", &APPROVAL),
        ("/$defs/branch", &BRANCH),
        ("/$defs/arm", &ARM),
        ("/$defs/retry", &RETRY),
    ] {
        assert_eq!(names(at), set(fields), "{at}");
    }
    for (action, fields) in WITH {
        assert_eq!(names(&format!("/$defs/with:{action}")), set(fields), "{action}");
    }
    let actions = schema.pointer("/$defs/step/properties/action/enum").unwrap();
    assert_eq!(actions, &json!(Action::WORDS));
    assert_eq!(WITH.map(|(action, _)| action), Action::WORDS);
}

#[test]
fn the_documentation_names_every_field_fact_and_action() {
    let text = include_str!("../../../../docs/playbooks.md");
    let with: Vec<&str> =
        WITH.iter().flat_map(|(action, fields)| std::iter::once(*action).chain(fields.iter().copied())).collect();
    let facts = FACTS.map(|(name, ..)| name);
    for name in DOCUMENT.iter().chain(&TRIGGER).chain(&STEP).chain(&TASK).chain(&RETRY).chain(&with).chain(&facts) {
        assert!(text.contains(&format!("`{name}`")), "docs/playbooks.md does not name `{name}`");
    }
    // Its example is a playbook.
    let example = text.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    read(example).unwrap();
}

// ------------------------------------------------------------------------------------------- the state machine

/// What the world answers: by step and attempt, a number that decides.
type Oracle = BTreeMap<String, Vec<u8>>;

/// Drives a run as the server does, storing after each thing that is done. Returns everything that was stored, in order.
fn drive(playbook: &Playbook, states: &mut States, oracle: &Oracle, mut now: i64, log: &mut Vec<String>) -> End {
    for _ in 0..10_000 {
        let plan = plan(playbook, states, now);
        if let Some(end) = plan.end {
            assert!(plan.todo.is_empty());
            return end;
        }
        if let Some(todo) = plan.todo.first() {
            apply(playbook, states, todo, now, log);
        } else if let Some((step, since, attempt)) = open(playbook, states) {
            // A person or an attempt answers, or lets the time pass.
            match oracle[&step][usize::from(attempt) % oracle[&step].len()] % 5 {
                0 if plan.wake_at.is_some() => now = plan.wake_at.unwrap(),
                1 => {
                    log.push(format!("fail {step} {attempt}"));
                    states.insert(step, State::Failed { since, at: now, attempt, why: Why::Error });
                }
                2 => {
                    log.push(format!("decline {step}"));
                    states.insert(step, State::Failed { since, at: now, attempt, why: Why::Declined });
                }
                _ => {
                    log.push(format!("done {step}"));
                    states.insert(step, State::Done { chosen: None });
                }
            }
        } else {
            now = plan.wake_at.expect("a run that waits for nobody waits for the time");
        }
    }
    panic!("the run does not end");
}

/// The first step that somebody outside has to answer.
fn open(playbook: &Playbook, states: &States) -> Option<(String, i64, u16)> {
    playbook.all_steps().find_map(|step| match (&step.kind, states.get(&step.id)) {
        (Kind::Parallel(_) | Kind::Wait(_) | Kind::Branch { .. }, _) => None,
        (_, Some(State::Started { since, attempt })) if current(playbook, states, step) => {
            Some((step.id.clone(), *since, *attempt))
        }
        _ => None,
    })
}

/// Whether the step's group is still open, if it has one.
fn current(playbook: &Playbook, states: &States, step: &Step) -> bool {
    playbook.steps.iter().all(|group| match &group.kind {
        Kind::Parallel(parts) if parts.iter().any(|part| part.id == step.id) => {
            matches!(states.get(&group.id), Some(State::Started { .. }))
        }
        _ => true,
    })
}

fn apply(playbook: &Playbook, states: &mut States, todo: &Do, now: i64, log: &mut Vec<String>) {
    log.push(format!("{todo:?}"));
    match todo {
        Do::Start { step, attempt } => {
            let since = match states.get(step) {
                None => now,
                Some(State::Failed { since, attempt: before, why: Why::Error, .. }) if *attempt == before + 1 => *since,
                other => panic!("{step} is begun again after {other:?}"),
            };
            states.insert(step.clone(), State::Started { since, attempt: *attempt });
        }
        Do::Choose { step } => {
            let Kind::Branch { arms, otherwise } = &playbook.step(step).unwrap().kind else { panic!("no branch") };
            let facts = Facts::default();
            let chosen = arms.iter().find(|(condition, _)| condition.holds(&facts)).map_or(otherwise, |(_, to)| to);
            assert!(states.insert(step.clone(), State::Done { chosen: Some(chosen.clone()) }).is_none());
        }
        Do::Finish { step } => {
            if let Kind::Parallel(parts) = &playbook.step(step).unwrap().kind {
                for part in parts {
                    assert!(
                        !matches!(states.get(&part.id), None | Some(State::Started { .. })),
                        "{step} joins too early"
                    );
                }
            }
            states.insert(step.clone(), State::Done { chosen: None });
        }
        Do::Expire { step } | Do::Fail { step } => {
            let why = if matches!(todo, Do::Expire { .. }) { Why::TimedOut } else { Why::Final };
            let Some(State::Started { since, attempt }) = states.get(step).cloned() else {
                panic!("{step} is not open")
            };
            states.insert(step.clone(), State::Failed { since, at: now, attempt, why });
        }
    }
}

fn condition(holds: bool) -> Condition {
    Condition::read(if holds { "events == 0" } else { "serious" }, &BTreeMap::new()).unwrap()
}

prop_compose! {
    fn leaf()(kind in 0..4u8, timeout in proptest::option::of(1..500u64), times in 0..3u16, after in 1..60u64, wait in 1..300u64, failure in 0..3u8) -> Step {
        let kind = match kind {
            0 => Kind::Task { role: "ANALYST".into(), instructions: "x".into(), choices: Vec::new(), red_team: false },
            1 => Kind::Approval { role: "ADMIN".into(), question: "x".into() },
            2 => Kind::Action(Action::CollectEvidence),
            _ => Kind::Wait(wait),
        };
        let on_failure = if failure == 0 { OnFailure::Stop } else { OnFailure::Continue };
        let timeout = if matches!(kind, Kind::Wait(_)) { None } else { timeout };
        Step { id: String::new(), title: "t".into(), kind, timeout, retry: Retry { times, after }, on_failure, next: None, line: 1 }
    }
}

prop_compose! {
    fn playbooks()(steps in prop::collection::vec((leaf(), prop::collection::vec(leaf(), 2..4), 0..6u8, prop::collection::vec((any::<bool>(), 0..9usize), 1..3), 0..9usize, 0..9usize), 1..8)) -> Playbook {
        let count = steps.len();
        let target = |from: usize, jump: usize| match from + 1 + jump {
            to if to < count => Target::Step(format!("s{to}")),
            _ => Target::End,
        };
        let steps = steps.into_iter().enumerate().map(|(at, (mut step, mut parts, form, arms, jump, other))| {
            step.id = format!("s{at}");
            match form {
                0 => {
                    let arms = arms.into_iter().map(|(holds, jump)| (condition(holds), target(at, jump))).collect();
                    step.kind = Kind::Branch { arms, otherwise: target(at, jump) };
                    step.timeout = None;
                }
                1 => {
                    for (i, part) in parts.iter_mut().enumerate() {
                        part.id = format!("s{at}p{i}");
                    }
                    step.kind = Kind::Parallel(parts);
                }
                2 => step.next = Some(target(at, jump)),
                3 => step.on_failure = OnFailure::GoTo(target(at, other)),
                _ => {}
            }
            step
        }).collect();
        Playbook { id: "p".into(), title: "P".into(), summary: "S".into(), version: 1, sources: Vec::new(), trigger: Trigger::Manual, steps }
    }
}

fn oracles() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 5..6), 40..41)
}

fn oracle(playbook: &Playbook, answers: &[Vec<u8>]) -> Oracle {
    playbook.all_steps().zip(answers.iter().cycle()).map(|(step, answers)| (step.id.clone(), answers.clone())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Every run ends, no step is begun twice, groups join (asserted in `apply`), and what was begun was done something about.
    #[test]
    fn runs_end_and_begin_nothing_twice(playbook in playbooks(), answers in oracles()) {
        let (mut states, mut log) = (States::new(), Vec::new());
        drive(&playbook, &mut states, &oracle(&playbook, &answers), 1_000, &mut log);
        let starts: Vec<_> = log.iter().filter(|line| line.starts_with("Start") || line.starts_with("Choose")).collect();
        let different: BTreeSet<_> = starts.iter().collect();
        prop_assert_eq!(starts.len(), different.len());
    }

    /// A run that is taken up from what was stored, after any of its writes, goes on just as it would have.
    #[test]
    fn any_prefix_goes_on_the_same(playbook in playbooks(), answers in oracles()) {
        let oracle = oracle(&playbook, &answers);
        let (mut states, mut whole) = (States::new(), Vec::new());
        let end = drive(&playbook, &mut states, &oracle, 1_000, &mut whole);
        // Stop after each write in turn; the rest is driven by somebody who knows nothing but what is stored.
        let (mut states, mut now) = (States::new(), 1_000);
        for _ in 0..whole.len() {
            let mut rest = Vec::new();
            let mut copy = states.clone();
            prop_assert_eq!(&drive(&playbook, &mut copy, &oracle, now, &mut rest), &end);
            let (done, expected) = (whole.len() - rest.len(), rest.clone());
            prop_assert_eq!(&whole[done..], &expected[..]);
            step_once(&playbook, &mut states, &oracle, &mut now);
        }
    }
}

/// One write of [`drive`].
fn step_once(playbook: &Playbook, states: &mut States, oracle: &Oracle, now: &mut i64) {
    for _ in 0..100 {
        let plan = plan(playbook, states, *now);
        if plan.end.is_some() {
            return;
        }
        let mut log = Vec::new();
        if let Some(todo) = plan.todo.first() {
            return apply(playbook, states, todo, *now, &mut log);
        }
        let Some((step, since, attempt)) = open(playbook, states) else {
            *now = plan.wake_at.unwrap();
            continue;
        };
        match oracle[&step][usize::from(attempt) % oracle[&step].len()] % 5 {
            0 if plan.wake_at.is_some() => *now = plan.wake_at.unwrap(),
            1 => return drop(states.insert(step, State::Failed { since, at: *now, attempt, why: Why::Error })),
            2 => return drop(states.insert(step, State::Failed { since, at: *now, attempt, why: Why::Declined })),
            _ => return drop(states.insert(step, State::Done { chosen: None })),
        }
    }
}
