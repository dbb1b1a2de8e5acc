//! docker-compose.yml and the Dockerfile, checked as far as it goes without an engine: the names of the compose specification
//! (<https://github.com/compose-spec/compose-spec/blob/main/spec.md>), the references between its parts, and that the program takes
//! the arguments and variables which they give it.

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// The top level. `x-…` keys are extensions, which the specification leaves to the file's author.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read to check the shape")]
struct Compose {
    name: String,
    services: BTreeMap<String, Service>,
    #[serde(default)]
    secrets: BTreeMap<String, Secret>,
    #[serde(default)]
    volumes: BTreeMap<String, Option<serde_json::Value>>,
    #[serde(rename = "x-stance")]
    stance: serde_json::Value,
    #[serde(rename = "x-environment")]
    environment: serde_json::Value,
}

/// The attributes that the file uses, with the types that the specification gives them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read to check the shape")]
struct Service {
    image: String,
    build: Option<String>,
    command: Option<Vec<String>>,
    restart: Restart,
    #[serde(default)]
    read_only: bool,
    #[serde(default)]
    tmpfs: Vec<String>,
    #[serde(default)]
    cap_drop: Vec<String>,
    #[serde(default)]
    security_opt: Vec<String>,
    stop_grace_period: Option<String>,
    shm_size: Option<String>,
    environment: BTreeMap<String, String>,
    #[serde(default)]
    secrets: Vec<String>,
    #[serde(default)]
    ports: Vec<String>,
    #[serde(default)]
    volumes: Vec<String>,
    #[serde(default)]
    depends_on: BTreeMap<String, Dependency>,
    healthcheck: Option<Healthcheck>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Secret {
    environment: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Restart {
    No,
    Always,
    OnFailure,
    UnlessStopped,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Dependency {
    condition: Condition,
}

#[derive(Deserialize, PartialEq)]
enum Condition {
    #[serde(rename = "service_started")]
    Started,
    #[serde(rename = "service_healthy")]
    Healthy,
    #[serde(rename = "service_completed_successfully")]
    Completed,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read to check the shape")]
struct Healthcheck {
    test: Vec<String>,
    interval: String,
    timeout: String,
    retries: u32,
    start_period: String,
}

fn compose() -> Result<Compose> {
    Ok(serde_saphyr::from_str(&std::fs::read_to_string(stance_tests::root().join("docker-compose.yml"))?)?)
}

/// What `stance …` prints for these arguments and `--help`; fails where it does not take them.
fn help(arguments: &[String]) -> Result<String> {
    let output = Command::new(stance_tests::binary()?).args(arguments).arg("--help").output()?;
    ensure!(output.status.success(), "stance {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

#[test]
fn references_lead_somewhere() -> Result<()> {
    let compose = compose()?;
    for (name, service) in &compose.services {
        for (other, dependency) in &service.depends_on {
            let other_service = compose.services.get(other).with_context(|| format!("{name} depends on {other}"))?;
            if dependency.condition == Condition::Healthy {
                assert!(other_service.healthcheck.is_some(), "{name} waits for {other}, which has no health check");
            }
        }
        for volume in &service.volumes {
            let (volume, path) = volume.split_once(':').context("volume:path")?;
            assert!(compose.volumes.contains_key(volume), "{name} mounts {volume}, which is not declared");
            assert!(path.starts_with('/'), "{name} mounts {volume} at {path}");
        }
        if let Some(context) = &service.build {
            assert!(stance_tests::root().join(context).join("Dockerfile").is_file(), "{name} is built from {context}");
        }
        if let Some(check) = &service.healthcheck {
            assert!(matches!(check.test[0].as_str(), "CMD" | "CMD-SHELL"), "{name}: {:?}", check.test);
        }
    }
    let used: BTreeSet<&str> =
        compose.services.values().flat_map(|s| &s.volumes).filter_map(|v| Some(v.split_once(':')?.0)).collect();
    assert_eq!(used, compose.volumes.keys().map(String::as_str).collect(), "declared volumes are used");
    Ok(())
}

#[test]
fn the_program_takes_what_it_is_given() -> Result<()> {
    let compose = compose()?;
    let ours: Vec<_> = compose.services.iter().filter(|(_, service)| service.build.is_some()).collect();
    assert_eq!(ours.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["server", "worker"]);
    for (name, service) in ours {
        let help = help(service.command.as_deref().context("no command")?)?;
        for variable in service.environment.keys().filter(|variable| variable.starts_with("STANCE_")) {
            assert!(help.contains(&format!("[env: {variable}")), "{name}: stance knows no {variable}:\n{help}");
        }
        for secret in &service.secrets {
            assert!(compose.secrets.contains_key(secret), "{name} uses the secret {secret}, which is not declared");
        }
        let key = service.environment["STANCE_SECRET_KEY_FILE"].strip_prefix("/run/secrets/").context("not mounted")?;
        assert!(service.secrets.iter().any(|secret| secret == key), "{name} is not given the secret {key}");
        let url = &service.environment["STANCE_DATABASE_URL"];
        let host = url.split('@').nth(1).and_then(|rest| rest.split('/').next()).context("no host")?;
        assert!(compose.services.contains_key(host), "{name}: {url} names no service");
        if let Some(check) = &service.healthcheck {
            assert_eq!(check.test[1], "/usr/local/bin/stance");
            self::help(&check.test[2..])?;
        }
        for port in &service.ports {
            let [address, _, inside] = port.split(':').collect::<Vec<_>>()[..] else { anyhow::bail!("{port}") };
            assert_eq!(address, "127.0.0.1", "{name} is reachable from other machines without TLS");
            assert!(
                service.environment["STANCE_LISTEN"].ends_with(&format!(":{inside}")),
                "{name} does not listen there"
            );
        }
    }
    Ok(())
}

#[test]
fn no_secret_is_in_the_file() -> Result<()> {
    let compose = compose()?;
    let text = std::fs::read_to_string(stance_tests::root().join("docker-compose.yml"))?;
    for secret in compose.secrets.values() {
        assert!(text.contains(&format!("{}=%s", secret.environment)), "nobody is told to set {}", secret.environment);
    }
    for (name, service) in compose.services {
        for (variable, value) in service.environment {
            if variable.contains("PASSWORD") {
                assert!(value.starts_with("${"), "{name}: {variable} does not come from the environment");
            }
        }
    }
    Ok(())
}

#[test]
fn the_image_runs_the_program_without_rights() -> Result<()> {
    let text = std::fs::read_to_string(stance_tests::root().join("Dockerfile"))?;
    let lines: Vec<(&str, &str)> =
        text.lines().filter(|line| !line.starts_with([' ', '#'])).filter_map(|line| line.split_once(' ')).collect();
    let stages: Vec<&str> = lines.iter().filter(|(word, _)| *word == "FROM").map(|(_, rest)| *rest).collect();
    let last = stages.last().context("no stage")?;
    assert!(last.ends_with(":nonroot"), "the image's user must not be root: {last}");
    for (_, copy) in lines.iter().filter(|(word, _)| *word == "COPY") {
        if let Some(from) = copy.strip_prefix("--from=").and_then(|rest| rest.split(' ').next()) {
            assert!(stages.iter().any(|stage| stage.ends_with(&format!(" AS {from}"))), "no stage {from}");
        }
    }
    let entry = lines.iter().find(|(word, _)| *word == "ENTRYPOINT").context("no ENTRYPOINT")?.1;
    assert_eq!(serde_json::from_str::<Vec<String>>(entry)?, ["/usr/local/bin/stance"]);
    let command = lines.iter().find(|(word, _)| *word == "CMD").context("no CMD")?.1;
    let help = help(&serde_json::from_str::<Vec<String>>(command)?)?;
    for (_, setting) in lines.iter().filter(|(word, _)| *word == "ENV") {
        let variable = setting.split('=').next().context("no variable")?;
        assert!(help.contains(&format!("[env: {variable}")), "stance knows no {variable}");
    }
    Ok(())
}
