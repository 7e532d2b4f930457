//! The vendor's library. PKCS#11 knows one state of it per process, so a process loads it once, for all engines that use
//! it, and does not unload it: libraries are known to leave threads behind.

use crate::fault::Fault;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as Pkcs11Error, RvError};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

static LOADED: LazyLock<Mutex<HashMap<PathBuf, Pkcs11>>> = LazyLock::new(Mutex::default);

/// The library at `path`, initialized.
pub(crate) fn load(path: &Path) -> Result<Pkcs11, Fault> {
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    let module = match loaded.get(path) {
        Some(module) => module.clone(),
        None => {
            let module = Pkcs11::new(path)
                .map_err(|error| Fault::Other(format!("its library {} cannot be loaded: {error}", path.display())))?;
            loaded.insert(path.to_owned(), module.clone());
            module
        }
    };
    initialize(&module)?;
    Ok(module)
}

/// Has the library forget its state, so that it looks again at what is plugged in. All sessions of the process end.
pub(crate) fn forget(module: &Pkcs11) {
    // A library that is in a bad state says so; the next start of it tells whether it still is.
    if let Err(error) = module.clone().finalize() {
        tracing::debug!(%error, "the PKCS#11 library did not end cleanly");
    }
}

fn initialize(module: &Pkcs11) -> Result<(), Fault> {
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Pkcs11Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(()),
        Err(error) => Err(Fault::Other(format!("its library does not start: {error}"))),
    }
}
