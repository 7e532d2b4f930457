//! `ferrohub signing-key rotate`: another key signs tokens from the next start on.

use crate::cli::{ServerFlags, SigningKeyRotateArgs};
use crate::config::{Config, Variables};
use crate::data_dir::DataDir;
use crate::output::print;
use crate::{master_key, serve};
use ferrohub_model::error::Result;
use ferrohub_service::rotate_signing_key;

/// Exchanges the key.
///
/// # Errors
/// `Conflict` while the server runs, `NotFound` where nothing was installed, a sentence on what is wrong with the folder.
pub(crate) async fn run(args: &SigningKeyRotateArgs, variables: &Variables) -> Result<()> {
    let flags = ServerFlags { config: args.config.clone(), data_dir: args.data_dir.clone(), ..ServerFlags::default() };
    let config = Config::load(&flags, variables)?;
    let folder = DataDir::open_existing(&config.data_dir)?;
    let master_key = master_key::load(&config, &folder)?;
    let engines = serve::engines(&folder).await?;
    let master_key = master_key::settle(master_key, &config, &folder, engines.store.as_ref()).await?;
    rotate_signing_key(&engines, master_key, args.revoke).await?;
    engines.log.close().await?;
    print(match args.revoke {
        true => "Tokens are signed by a new key. No token of before is accepted any more: everybody signs in again.",
        false => {
            "Tokens are signed by a new key. Those of before are accepted until they end, within the hour; --revoke ends them at once."
        }
    })
}
