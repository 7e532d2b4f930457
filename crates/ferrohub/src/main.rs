//! The ferrohub program: one binary for the server and for what people do with it.
//!
//! The only room that names engines: it opens the SQLite store, the local journal and the local bus
//! and hands them to the services (`serve.rs`). To add a verb, name it in `cli.rs`, write one file
//! and call it from [`run`].

mod backup;
mod cli;
mod config;
mod data_dir;
mod descriptors;
mod device_verb;
mod doctor;
mod env;
mod events;
mod log_export;
mod logs;
mod master_key;
mod openapi;
mod output;
mod own;
mod owner;
mod owner_link;
mod owner_reset;
mod ports;
mod proxy;
mod quickstart;
mod serve;
mod setup;
mod signals;
mod signing_key;
mod tls_files;

use cli::{Cli, DeviceVerb, LogArgs, LogVerb, MasterKeyVerb, OwnerVerb, SigningKeyVerb, Verb};
use config::Variables;
use ferrohub_client::environment::Environment;
use ferrohub_clock::SystemClock;
use ferrohub_model::error::{Error, Result};
use ferrohub_pki::random::SystemRandom;
use log_export::Log;
use std::process::ExitCode;
use std::sync::Arc;

/// glibc's allocator takes 15 to 20 % of a control-plane request (ADR 0020).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&format!("cannot start: {error}")),
    };
    let mut arguments = std::env::args_os().skip(1);
    // az has its own grammar, where even --help means something else.
    if arguments.next().is_some_and(|verb| verb == "az") {
        return runtime.block_on(az(arguments));
    }
    let cli = Cli::of_process();
    match runtime.block_on(run(cli)) {
        Ok(code) => code,
        // As with any program in a pipe: the reader has what it wanted.
        Err(error) if error.code == output::CLOSED => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(context) = &error.context {
                tracing::error!(context, "{}", error.message);
            }
            complain(&error.message)
        }
    }
}

async fn run(cli: Cli) -> Result<ExitCode> {
    let variables = variables();
    match cli.verb {
        Verb::Serve(args) => serve::run(&args, &variables).await?,
        Verb::Quickstart(args) => Box::pin(quickstart::run(&args, &variables)).await?,
        Verb::Device(args) => match args.verb {
            DeviceVerb::Run(args) => device_verb::run(&args, &variables, &SystemClock::shared()).await?,
        },
        Verb::Setup(args) => {
            let good = Box::pin(setup::run(&args, environment())).await?;
            return Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Verb::Proxy(args) => Box::pin(proxy::run(&args, &variables)).await?,
        Verb::Env(args) => env::run(&args, &variables, &environment()).await?,
        Verb::Events(args) => events::run(&args, &variables).await?,
        Verb::SigningKey(args) => match args.verb {
            SigningKeyVerb::Rotate(args) => Box::pin(signing_key::run(&args, &variables)).await?,
        },
        Verb::Activity(args) => export(Log::Activity, args, &variables).await?,
        Verb::Audit(args) => export(Log::Audit, args, &variables).await?,
        Verb::Owner(args) => match args.verb {
            OwnerVerb::Link(args) => owner_link::run(&args, &variables).await?,
            OwnerVerb::Reset(args) => Box::pin(owner_reset::run(&args, &variables)).await?,
        },
        Verb::Backup(args) => Box::pin(backup::backup(&args, &variables)).await?,
        Verb::Restore(args) => Box::pin(backup::restore(&args, &variables)).await?,
        Verb::BackupKey(args) => backup::new_key(&args)?,
        Verb::MasterKey(args) => match args.verb {
            MasterKeyVerb::Rotate(args) => Box::pin(master_key::rotate(&args, &variables)).await?,
        },
        Verb::Openapi => openapi::run()?,
        Verb::Doctor(args) => {
            let healthy = doctor::run(&args, &variables).await?;
            return Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Verb::Version => output::print(concat!("ferrohub ", env!("CARGO_PKG_VERSION")))?,
        // Only for the help text; `main` took this verb before.
        Verb::Az { .. } => return Err(Error::invalid("Write 'az' right after 'ferrohub'.")),
    }
    Ok(ExitCode::SUCCESS)
}

async fn export(log: Log, args: LogArgs, variables: &Variables) -> Result<()> {
    let LogVerb::Export(args) = args.verb;
    log_export::run(log, &args, variables).await
}

async fn az(arguments: impl Iterator<Item = std::ffi::OsString>) -> ExitCode {
    let mut texts = Vec::new();
    for argument in arguments {
        match argument.into_string() {
            Ok(text) => texts.push(text),
            Err(_) => return complain("an argument is not UTF-8"),
        }
    }
    let mut environment = environment();
    let code =
        Box::pin(ferrohub_client::az::run(texts, &mut environment, &mut std::io::stdout(), &mut std::io::stderr()))
            .await;
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

fn environment() -> Environment {
    Environment::of_process(SystemClock::shared(), Arc::new(SystemRandom))
}

fn variables() -> Variables {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

fn complain(message: &str) -> ExitCode {
    output::notice(message);
    ExitCode::FAILURE
}
