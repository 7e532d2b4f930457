//! The PIN of the token's user: from a file that only its owner can read, or handed over. It is in no message and no log.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Longest PIN, bytes: ours (PKCS#11 leaves it to the token).
const MOST: u64 = 1024;

/// Where the PIN comes from. `Debug` does not show it.
#[derive(Clone)]
pub enum Pin {
    /// A file whose first line it is; read at each log-in, so that a new PIN needs no restart.
    File(PathBuf),
    /// The PIN itself.
    Given(Zeroizing<String>),
}

impl Pin {
    /// The PIN, or a sentence without it on why there is none.
    pub(crate) fn read(&self) -> Result<Zeroizing<String>, String> {
        let path = match self {
            Self::Given(pin) => return Ok(pin.clone()),
            Self::File(path) => path,
        };
        let unreadable = |error: std::io::Error| format!("its PIN file {} cannot be read: {error}", path.display());
        let file = File::open(path).map_err(unreadable)?;
        if file.metadata().map_err(unreadable)?.mode() & 0o077 != 0 {
            return Err(format!(
                "its PIN file {} can be read by others; run 'chmod 600 {}'",
                path.display(),
                path.display()
            ));
        }
        let mut text = Zeroizing::new(String::new());
        file.take(MOST).read_to_string(&mut text).map_err(unreadable)?;
        match text.lines().next() {
            Some(line) if !line.is_empty() => Ok(Zeroizing::new(line.to_owned())),
            _ => Err(format!("its PIN file {} is empty", path.display())),
        }
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Given(_) => f.write_str("Given"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_pin_comes_from_a_file_of_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pin");
        let pin = Pin::File(path.clone());
        assert!(pin.read().unwrap_err().contains("cannot be read"));
        std::fs::write(&path, "\n").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert!(pin.read().unwrap_err().contains("chmod 600"));
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert!(pin.read().unwrap_err().contains("is empty"));
        std::fs::write(&path, "12 34\nmore\n").unwrap();
        assert_eq!(pin.read().unwrap().as_str(), "12 34");
    }

    #[test]
    fn a_pin_is_not_printed() {
        let pin = Pin::Given(Zeroizing::new("8642".into()));
        assert!(!format!("{pin:?}").contains("8642"));
        assert_eq!(pin.read().unwrap().as_str(), "8642");
    }
}
