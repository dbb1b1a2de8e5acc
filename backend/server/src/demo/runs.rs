//! A week of the demo's agents at work: told by sensors, judged by policies, looked at and reported as any other's.

use super::{Demo, PEOPLE, reference};
use crate::{
    imports, incidents, inventory,
    kernel::{Actor, Ctx, Error, Result, Role, tasks::Tasks},
    live::Hub,
    runtime::{Guard, Recorder, events, jobs, policies, sensors},
};
use chrono::{DateTime, Duration, Utc};
use serde::Deserialize;
use serde_json::Value;
use stance_importers::events::{Event, ToolUse, Usage};
use stance_shared::{AssetId, EventKind};
use std::{collections::BTreeMap, time};

const RUNS: &str = include_str!("../../../../demo/runs.json");
/// Seconds between the steps of a run.
const PACE: i64 = 4;

#[derive(Deserialize)]
struct Runs {
    days: i64,
    sensors: Vec<Sensor>,
    policies: Vec<Policy>,
    runs: Vec<Run>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sensor {
    name: String,
    /// `KIND:key`.
    watches: String,
    version: String,
    last_seen_minutes_ago: i64,
}

#[derive(Deserialize)]
struct Policy {
    name: String,
    /// `KIND:key`.
    agents: Vec<String>,
    note: String,
    document: Value,
}

/// A run that came again and again, or at certain times.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    agent: String,
    sensor: String,
    model: String,
    every_hours: Option<f64>,
    #[serde(default)]
    hours_ago: Vec<f64>,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Step {
    kind: EventKind,
    text: Option<String>,
    tool: Option<ToolUse>,
    to: Option<String>,
    /// In and out.
    tokens: Option<[u64; 2]>,
    cost_usd: Option<f64>,
}

impl Demo<'_> {
    /// Makes sensors and policies, tells what the agents did in the days before `today`, and reports what it shows.
    pub(super) async fn work(&self, today: DateTime<Utc>) -> Result<()> {
        let runs: Runs = serde_json::from_str(RUNS).map_err(Error::internal)?;
        let owner = self.actor(PEOPLE[0].0)?.clone();
        let tasks = Tasks::default();
        let live = Hub::start(self.db, &tasks);
        let recorder = Recorder::start(self.db, &self.clock, &tasks);
        let guard = Guard::new(self.db.clone(), self.clock.clone(), live, recorder.clone())?;
        events::set_settings(self.db, &owner, Some(true), None).await?;
        for policy in &runs.policies {
            let draft = policies::Draft {
                id: None,
                name: policy.name.clone(),
                agents: self.assets(&owner, &policy.agents).await?,
                document: policy.document.clone(),
                note: policy.note.clone(),
            };
            let saved = policies::save(self.db, &owner, draft).await?;
            policies::activate(self.db, &owner, saved.id, Some(1)).await?;
        }
        let mut tellers = BTreeMap::new();
        for sensor in &runs.sensors {
            let watches = self.assets(&owner, std::slice::from_ref(&sensor.watches)).await?;
            let watches = watches.first().copied().ok_or_else(|| Error::not_found("asset"))?;
            let (made, _) = sensors::register(self.db, &owner, &sensor.name, watches, None).await?;
            let actor = Actor::Token { id: made.token, label: format!("Sensor {}", sensor.name) };
            tellers.insert(sensor.name.as_str(), Ctx { actor, role: Role::Sensor, ..owner.clone() });
        }
        for (name, teller) in &tellers {
            let told = runs.runs.iter().enumerate().filter(|(_, run)| run.sensor == *name);
            let mut told: Vec<Event> = told.flat_map(|(no, run)| run.events(no, today, runs.days)).collect();
            told.sort_by_key(|event| event.at);
            events::ingest(self.db, &guard, teller, told, &[]).await?;
        }
        for sensor in &runs.sensors {
            // Who was seen long ago is silent now.
            let clock = crate::kernel::Clock::fixed(today - Duration::minutes(sensor.last_seen_minutes_ago));
            let teller = tellers.get(sensor.name.as_str()).ok_or_else(|| Error::not_found("sensor"))?;
            sensors::heartbeat(self.db, &Ctx { clock, ..teller.clone() }, &sensor.version, None).await?;
        }
        crate::jobs::sweep::once(self.db, &self.clock).await?;
        let system = self.system()?;
        jobs::analyze(self.db, &system).await?;
        while let Some(report) = jobs::report_marked(self.db, &system).await? {
            imports::jobs::import(self.db, &system, report).await?;
        }
        incidents::correlate::run(self.db, &system).await?;
        recorder.finish();
        tasks.shutdown(time::Duration::from_secs(10)).await;
        Ok(())
    }

    async fn assets(&self, owner: &Ctx, names: &[String]) -> Result<Vec<AssetId>> {
        let keys: Vec<_> = names.iter().map(|name| reference(name)).collect::<Result<_>>()?;
        let ids = inventory::service::ids_by_keys(self.db, owner, &keys).await?;
        if ids.len() < keys.len() {
            return Err(Error::field("demo/runs.json", format!("names an asset that is not there: {names:?}")));
        }
        Ok(ids.into_values().collect())
    }
}

impl Run {
    fn events(&self, no: usize, today: DateTime<Utc>, days: i64) -> Vec<Event> {
        let hours = days * 24;
        let mut ago = self.hours_ago.clone();
        if let Some(every) = self.every_hours {
            // Not to the minute, as people come.
            ago.extend(
                (1..)
                    .map(|n| f64::from(n) * every + f64::from((n * 37 + no as i32 * 11) % 50) / 60.0)
                    .take_while(|h| *h < hours as f64),
            );
        }
        ago.iter()
            .enumerate()
            .flat_map(|(nth, hours)| self.once(no, nth, today - Duration::seconds((hours * 3600.0) as i64)))
            .collect()
    }

    fn once(&self, no: usize, nth: usize, begin: DateTime<Utc>) -> Vec<Event> {
        let session = format!("{}-{no:02}{nth:03}", self.agent);
        let event = |(place, step): (usize, &Step)| Event {
            id: format!("{session}-{place}"),
            at: begin + Duration::seconds(PACE * i64::try_from(place).unwrap_or_default()),
            kind: step.kind,
            agent: Some(self.agent.clone()),
            session: Some(session.clone()),
            span: None,
            channel: None,
            text: step.text.clone(),
            model: (step.kind == EventKind::Response).then(|| self.model.clone()),
            tool: step.tool.clone(),
            guardrail: None,
            to: step.to.clone(),
            approval: None,
            usage: step.tokens.map(|[input_tokens, output_tokens]| Usage {
                input_tokens,
                output_tokens,
                cost_usd: step.cost_usd,
            }),
            duration_ms: (step.kind == EventKind::Response).then_some(900.0),
            error: None,
        };
        self.steps.iter().enumerate().map(event).collect()
    }
}
