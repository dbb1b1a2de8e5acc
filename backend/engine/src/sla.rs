//! How much time an incident gives: versioned data, `assets/sla.toml`.

use serde::Deserialize;
use stance_shared::{ClockKind, SeriousKind, Severity};
use std::{collections::BTreeMap, sync::LazyLock};

const FILE: &str = include_str!("../assets/sla.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    set: String,
    minutes: BTreeMap<Severity, Minutes>,
    article_73: Article73,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Minutes {
    triage: i64,
    contain: i64,
    resolve: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Article73 {
    set: String,
    days: BTreeMap<SeriousKind, i64>,
}

static TARGETS: LazyLock<Option<File>> = LazyLock::new(|| toml::from_str(FILE).ok());

/// The name of the targets for incidents of a severity; clocks name it.
#[must_use]
pub fn version() -> &'static str {
    TARGETS.as_ref().map_or("", |file| &file.set)
}

/// The name of the deadlines for serious incidents.
#[must_use]
pub fn article_73_version() -> &'static str {
    TARGETS.as_ref().map_or("", |file| &file.article_73.set)
}

/// The targets of an incident in minutes from its opening. None for the clock of Article 73, see [`report_days`].
#[must_use]
pub fn minutes(severity: Severity, clock: ClockKind) -> Option<i64> {
    let minutes = TARGETS.as_ref()?.minutes.get(&severity)?;
    match clock {
        ClockKind::Triage => Some(minutes.triage),
        ClockKind::Contain => Some(minutes.contain),
        ClockKind::Resolve => Some(minutes.resolve),
        ClockKind::Article73 => None,
    }
}

/// Days from when one became aware of a serious incident until it must be reported.
#[must_use]
pub fn report_days(kind: SeriousKind) -> i64 {
    TARGETS.as_ref().and_then(|file| file.article_73.days.get(&kind)).copied().unwrap_or(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_severity_has_its_targets_and_what_is_worse_has_less_time() {
        assert_eq!(version(), "stance-sla/1");
        for clock in [ClockKind::Triage, ClockKind::Contain, ClockKind::Resolve] {
            let times: Vec<i64> = Severity::ALL.iter().map(|severity| minutes(*severity, clock).unwrap()).collect();
            assert!(times.windows(2).all(|pair| pair[0] <= pair[1]) && times[0] > 0, "{clock}: {times:?}");
        }
        for severity in Severity::ALL {
            let at = |clock| minutes(*severity, clock).unwrap();
            assert!(at(ClockKind::Triage) < at(ClockKind::Contain) && at(ClockKind::Contain) < at(ClockKind::Resolve));
        }
    }

    #[test]
    fn serious_incidents_are_due_as_article_73_says() {
        let days = SeriousKind::ALL.iter().map(|kind| report_days(*kind)).collect::<Vec<_>>();
        assert_eq!(days, [15, 10, 2]);
    }
}
