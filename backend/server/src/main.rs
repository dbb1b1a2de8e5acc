//! The command line.

use clap::{Parser, Subcommand, ValueEnum};
use stance::{
    api, app, audit,
    cli::{detect, gate, import},
    demo,
    identity::entry::{self, NewOrganization},
    kernel::{
        Clock, Error, authz,
        config::{DatabaseArgs, ServeArgs, WorkerArgs},
        telemetry::{self, LogFormat},
    },
};
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::ExitCode,
};

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
    Worker(WorkerArgs),
    /// Lay down the database or bring it up to date, and end. Servers and workers do so themselves when they start.
    Migrate(DatabaseArgs),
    /// Upload reports to a server and wait until they are merged.
    Import(import::ImportArgs),
    /// Fail when an asset is riskier than agreed, or has open findings that are too severe: for CI pipelines.
    Gate(gate::GateArgs),
    /// Look for attacks, secrets and personal data in texts, without a server.
    Detect(detect::DetectArgs),
    /// What only the operator may do.
    #[command(subcommand)]
    Admin(Admin),
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

#[derive(Subcommand)]
enum Admin {
    /// Make an organization with its owner and an API token; beside a running server, too.
    Bootstrap {
        #[command(flatten)]
        database: DatabaseArgs,
        #[arg(long, value_name = "NAME")]
        organization: String,
        /// The owner. An account that exists must give its own password.
        #[arg(long, value_name = "ADDRESS")]
        email: String,
        /// The owner's name; the part of the address before the @ by default.
        #[arg(long, default_value = "", hide_default_value = true)]
        name: String,
        /// Read the owner's password from standard input; an argument would be visible to other users.
        #[arg(long, required = true)]
        password_stdin: bool,
        /// Print {"organizationId", "userId", "apiToken"}.
        #[arg(long)]
        json: bool,
    },
    /// Fill an empty database with the demo organization: a month of real reports. Run it before the server starts.
    Demo {
        #[command(flatten)]
        database: DatabaseArgs,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Schema {
    /// Who may do what, as a table.
    Authorization,
    /// The GraphQL API's schema.
    Graphql,
    /// The REST API's description.
    Openapi,
}

#[derive(Subcommand)]
enum AuditCommand {
    /// Recompute the chains of all organizations; exit 1 if one is broken. Keep the printed heads elsewhere to compare.
    Verify(DatabaseArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    telemetry::start(cli.log_format);
    let result = tokio::runtime::Runtime::new().map_err(Into::into).and_then(|runtime| {
        let result = runtime.block_on(run(cli.command));
        // Whoever still computes (a parser, a password) has nobody to tell.
        runtime.shutdown_timeout(std::time::Duration::from_millis(200));
        result
    });
    match result {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "stance: {}", story(&error));
            ExitCode::FAILURE
        }
    }
}

/// The error and its causes, but for those that the text before already quotes.
fn story(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |story, cause| match story.contains(&cause) {
        true => story,
        false if story.is_empty() => cause,
        false => format!("{story}: {cause}"),
    })
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
        Command::Import(args) => return Ok(import::run(args).await),
        Command::Detect(args) => return Ok(detect::run(&args)),
        Command::Gate(args) => return Ok(gate::run(args).await),
        Command::Admin(Admin::Bootstrap { database, organization, email, name, json, .. }) => {
            let mut password = String::new();
            BufReader::new(std::io::stdin().take(4096)).read_line(&mut password)?;
            let password = password.trim_end_matches(['\r', '\n']).to_owned();
            bootstrap(&database, NewOrganization { organization, email, name, password }, json).await?;
        }
        Command::Admin(Admin::Demo { database }) => make_demo(&database).await?,
        Command::Schema { what: Schema::Authorization } => write!(std::io::stdout(), "{}", authz::matrix())?,
        Command::Schema { what: Schema::Openapi } => {
            writeln!(std::io::stdout(), "{}", api::rest::openapi().to_pretty_json()?)?;
        }
        Command::Schema { what: Schema::Graphql } => write!(std::io::stdout(), "{}", api::graphql::sdl())?,
        Command::Audit(AuditCommand::Verify(args)) => return verify_audit(&args).await,
        Command::Healthcheck { server } => return healthcheck(&server).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn make_demo(args: &DatabaseArgs) -> anyhow::Result<()> {
    let database = args.open(4).await?;
    let bar = indicatif::ProgressBar::no_length()
        .with_style(indicatif::ProgressStyle::with_template("{bar:30} {pos}/{len} reports and decisions")?);
    let result = async {
        app::migrate(&database.db).await?;
        demo::make(&database.db, |done, all| {
            bar.set_length(all as u64);
            bar.set_position(done as u64);
        })
        .await
    }
    .await;
    bar.finish_and_clear();
    database.close().await;
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&result?)?)?;
    Ok(())
}

async fn bootstrap(args: &DatabaseArgs, input: NewOrganization, json: bool) -> anyhow::Result<()> {
    let database = args.open_beside().await?;
    let result = async {
        app::migrate(&database.db).await?;
        entry::bootstrap(&database.db, &Clock::System, input).await.map_err(Error::for_operator)
    }
    .await;
    database.close().await;
    let entry::Bootstrapped { organization, user, api_token } = result?;
    let mut out = std::io::stdout();
    if json {
        let made = serde_json::json!({ "organizationId": organization, "userId": user, "apiToken": api_token });
        writeln!(out, "{made}")?;
    } else {
        writeln!(
            out,
            "Organization {organization}\nOwner        {user}\nAPI token    {api_token}\nThe token is shown only now."
        )?;
    }
    Ok(())
}

async fn verify_audit(args: &DatabaseArgs) -> anyhow::Result<ExitCode> {
    let database = args.open_beside().await?;
    let mut whole = true;
    let result = audit::verify_all(&database.db, |tenant, name, found| {
        let state = match &found.broken {
            None => format!("{} entries, head {}", found.entries(), hex::encode(&found.hash)),
            Some((sequence, what)) => {
                whole = false;
                format!("BROKEN at entry {sequence}: {what}")
            }
        };
        let _ = writeln!(std::io::stdout(), "{tenant} {name:?}: {state}");
    })
    .await;
    database.close().await;
    result.map_err(Error::for_operator)?;
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn healthcheck(server: &str) -> anyhow::Result<ExitCode> {
    let client = app::http_client()?;
    let answer = client.get(format!("{}/readyz", server.trim_end_matches('/'))).send().await?;
    let (status, body) = (answer.status(), answer.text().await?);
    writeln!(std::io::stdout(), "{body}")?;
    Ok(if status.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
