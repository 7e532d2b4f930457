//! `ferrohub setup`: hub, provisioning service and namespace with certificate management, step by step, as the script of Azure's
//! instructions (cmsSetupCli) does it: every step is a line of `az` that is shown before it runs.
//!
//! | Module | What it is |
//! |---|---|
//! | [`variables`] | what the script asks to be set, from a file or by asking |
//! | [`guide`] | the person at the terminal, and what it shows |
//! | [`command_line`] | `az` in this process |
//! | [`steps`] | what is made, each found where it is there already |
//! | [`validate`] | whether all of it is there and belongs together |

mod command_line;
mod guide;
mod steps;
mod validate;
mod variables;

use crate::cli::SetupArgs;
use crate::data_dir::read_bounded;
use command_line::CommandLine;
use ferrohub_client::environment::Environment;
use ferrohub_model::error::{Error, Result};
use guide::Guide;
use variables::Values;

/// Runs the steps and looks at what came of them; `false` where something is missing afterwards.
///
/// # Errors
/// What is wrong with the variables; a step that failed, after it was shown.
pub(crate) async fn run(args: &SetupArgs, mut environment: Environment) -> Result<bool> {
    if let Some(folder) = &args.data_dir {
        let folder = folder.to_string_lossy().into_owned();
        environment.variables.insert("FERROHUB_DATA_DIR".to_owned(), folder);
    }
    let unattended = args.file.is_some();
    let mut given = match &args.file {
        Some(file) => variables::parse(&String::from_utf8_lossy(&read_bounded(file)?))
            .map_err(|error| Error { message: format!("{}: {}", file.display(), error.message), ..error })?,
        None => Values::new(),
    };
    for pair in &args.set {
        variables::set(&mut given, pair)?;
    }
    let mut guide = Guide::new(&environment, unattended);
    if !unattended && !environment.stdin_is_terminal {
        return Err(Error::invalid(
            "There is no terminal to ask at. Give the variables in a file with --file; 'ferrohub setup --help' names them.",
        ));
    }
    let mut az = CommandLine::new(environment);
    let account = steps::sign_in(&mut az, &mut guide, &given).await?;
    let wanted =
        variables::complete(given, &account, |name, what, default| guide.value(az.environment(), name, what, default))?;
    let wanted = steps::in_subscription(&mut az, &mut guide, &account, wanted).await?;
    steps::run(&mut az, &mut guide, &wanted).await?;
    validate::run(&mut az, &mut guide, &wanted).await
}
