//! `ferrohub quickstart`: a server in this process, and then everything through its own front door.
//!
//! | Module | What it is |
//! |---|---|
//! | [`names`] | The fixed names, so that a second run finds the first one's work |
//! | [`control`] | What seed 000 does with `az`, as a signed-in owner over HTTPS |
//! | [`device`] | The simulated device over MQTT |
//! | [`summary`] | What to do next |

mod control;
mod device;
mod names;
mod summary;

pub(crate) use control::HUB_VERSION;

use crate::cli::QuickstartArgs;
use crate::config::{Config, Variables};
use crate::logs;
use crate::output::{Done, Progress, line};
use crate::owner::Owner;
use crate::owner_link;
use crate::serve::{self, Server};
use crate::signals::Signals;
use ferrohub_clock::SystemClock;
use ferrohub_model::clock::Clock;
use ferrohub_model::error::{Error, Result};
use std::net::{IpAddr, SocketAddr};

/// Logs that a quickstart shows: people read its steps.
const LOG_LEVEL: &str = "warn";

/// Runs the steps, prints the summary and serves until Ctrl-C, or ends at once with `--once`.
///
/// # Errors
/// That of the step that failed; the server is stopped in an orderly way either way.
pub(crate) async fn run(args: &QuickstartArgs, variables: &Variables) -> Result<()> {
    let mut signals = Signals::listen()?;
    let config = Config::load(&args.server, variables)?;
    logs::start(config.log_format, config.log_level.as_deref().unwrap_or(LOG_LEVEL))?;
    serve::warn_of_unknown(variables);
    let mut progress = Progress::new();
    let starting = async {
        let server = serve::start(&config).await?;
        let note = format!("https {}, mqtt {}", server.file().https_port, server.file().mqtt_port);
        Ok(Done::with(server, note))
    };
    let step = format!("server on {}", config.data_dir.display());
    let server = Box::pin(signals.unless_received(progress.step(&step, starting), 1)).await?;
    let result = tokio::select! {
        result = steps(&server, &mut progress, args.once) => result,
        () = signals.received() => {
            // Ends the line of the step that was running.
            line("interrupted");
            Err(Error::unavailable("The quickstart was interrupted.", 1))
        }
    };
    if result.is_ok() && !args.once {
        line("Serving; stop with Ctrl-C. A second start finds everything as it is now.");
        signals.received().await;
    }
    server.stop().await;
    result
}

async fn steps(server: &Server, progress: &mut Progress, ends: bool) -> Result<()> {
    let clock: &dyn Clock = &SystemClock;
    let folder = server.data_dir().path();
    let owner = progress.step("sign in as the owner", async { Owner::sign_in(folder).await.map(Done::new) }).await?;
    let plant = control::build(&owner, clock, progress).await?;
    device::run(&owner, &plant, mqtt_address(server)?, clock, progress).await?;
    // A server that ends now would take no link.
    let link = if ends { None } else { Some(owner_link::of(&owner, None).await?) };
    summary::print(&owner, &plant, folder, progress, link.as_ref());
    Ok(())
}

fn mqtt_address(server: &Server) -> Result<SocketAddr> {
    let file = server.file();
    let address: IpAddr = file.address.parse().map_err(|_| Error::internal("server.json has no IP address"))?;
    Ok(SocketAddr::new(address, file.mqtt_port))
}
