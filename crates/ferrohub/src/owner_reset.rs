//! `ferrohub owner reset`: whoever holds the data folder of a stopped server gets back in.

use crate::cli::{OwnerResetArgs, ServerFlags};
use crate::config::{Config, Variables};
use crate::data_dir::{DataDir, OWNER_FILE};
use crate::output::print;
use crate::{master_key, serve};
use ferrohub_model::error::Result;
use ferrohub_service::reset_owner;

/// Makes the owner good again and writes `owner.json`.
///
/// # Errors
/// `Conflict` while the server runs, `NotFound` where nothing was installed, a sentence on what is wrong with the folder.
pub(crate) async fn run(args: &OwnerResetArgs, variables: &Variables) -> Result<()> {
    let flags = ServerFlags { config: args.config.clone(), data_dir: args.data_dir.clone(), ..ServerFlags::default() };
    let config = Config::load(&flags, variables)?;
    let folder = DataDir::open_existing(&config.data_dir)?;
    let master_key = master_key::load(&config, &folder)?;
    let engines = serve::engines(&folder).await?;
    let master_key = master_key::settle(master_key, &config, &folder, engines.store.as_ref()).await?;
    let owner = reset_owner(&engines, master_key).await?;
    serve::write_owner(&folder, &owner)?;
    engines.log.close().await?;
    print(&format!(
        "The owner (application {}) has a new secret, in {}; its former ones are refused, and tokens that were \
         taken with them end within the hour. Start the server and sign in: \
         ferrohub az login. In a browser: ferrohub owner link. Other owners, if any, are as they were: \
         ferrohub az role assignment list --role Owner",
        owner.client_id,
        folder.path().join(OWNER_FILE).display()
    ))
}
