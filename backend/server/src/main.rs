//! The command line.

use clap::{Parser, Subcommand, ValueEnum};
use stance::{
    api, app, audit,
    kernel::{
        authz,
        config::{DatabaseArgs, ServeArgs},
        telemetry::{self, LogFormat},
    },
};
use std::{io::Write as _, process::ExitCode};

/// AI Security Posture Management for your own machines.
#[derive(Parser)]
#[command(name = "stance", version)]
struct Cli {
    /// How log lines on standard error look.
    #[arg(long, global = true, env = "STANCE_LOG_FORMAT", value_enum, default_value_t)]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server: dashboard, API and, unless told otherwise, jobs.
    Serve(ServeArgs),
    /// Run jobs only, beside servers on the same database.
    Worker(DatabaseArgs),
    /// Lay down the database or bring it up to date, and end. Servers and workers do so themselves when they start.
    Migrate(DatabaseArgs),
    /// Print what is generated from the program.
    Schema {
        #[arg(value_enum)]
        what: Schema,
    },
    /// The audit log.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Ask a running server whether it is ready; exit 0 if it is.
    Healthcheck {
        #[arg(long, default_value = "http://127.0.0.1:8080")]
        server: String,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Schema {
    /// Who may do what, as a table.
    Authorization,
    /// The GraphQL API's schema.
    Graphql,
}

#[derive(Subcommand)]
enum AuditCommand {
    /// Recompute the chains of all organizations; exit 1 if one is broken. Keep the printed heads elsewhere to compare.
    Verify(DatabaseArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    telemetry::start(cli.log_format);
    match run(cli.command).await {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "stance: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(args) => app::serve(args).await?,
        Command::Worker(args) => app::work(&args).await?,
        Command::Migrate(args) => {
            let database = args.open_beside().await?;
            let result = app::migrate(&database.db).await;
            database.close().await;
            result?;
        }
        Command::Schema { what: Schema::Authorization } => write!(std::io::stdout(), "{}", authz::matrix())?,
        Command::Schema { what: Schema::Graphql } => write!(std::io::stdout(), "{}", api::graphql::sdl())?,
        Command::Audit(AuditCommand::Verify(args)) => return verify_audit(&args).await,
        Command::Healthcheck { server } => return healthcheck(&server).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn verify_audit(args: &DatabaseArgs) -> anyhow::Result<ExitCode> {
    let database = args.open_beside().await?;
    let mut whole = true;
    let result = audit::verify_all(&database.db, |tenant, name, found| {
        let state = match &found.broken {
            None => format!("{} entries, head {}", found.entries, hex::encode(&found.hash)),
            Some((sequence, what)) => {
                whole = false;
                format!("BROKEN at entry {sequence}: {what}")
            }
        };
        let _ = writeln!(std::io::stdout(), "{tenant} {name:?}: {state}");
    })
    .await;
    database.close().await;
    result.map_err(|error| anyhow::anyhow!("{}", error.internal_text().unwrap_or(error.public)))?;
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn healthcheck(server: &str) -> anyhow::Result<ExitCode> {
    let client = app::http_client()?;
    let answer = client.get(format!("{}/readyz", server.trim_end_matches('/'))).send().await?;
    let (status, body) = (answer.status(), answer.text().await?);
    writeln!(std::io::stdout(), "{body}")?;
    Ok(if status.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
