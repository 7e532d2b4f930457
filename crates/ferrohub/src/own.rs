//! Whether a data folder is its user's own: what others can write, others can replace, and then no lock or checksum helps.

use crate::data_dir::{LOG_FOLDER, MASTER_KEY_FILE, OWNER_FILE, STORE_FILE};
use ferrohub_model::error::{Error, Result};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Mode bits with which a group or everybody may write.
const WRITABLE: u32 = 0o022;
/// Mode bit with which everybody may write.
const WRITABLE_BY_ALL: u32 = 0o002;
/// Mode bit of a folder in which only a file's owner may rename or remove it, such as `/tmp`.
const STICKY: u32 = 0o1000;

/// Refuses the folder at `path` (absolute) where others can write it, what lies in it, or a folder above it.
///
/// # Errors
/// `Invalid` naming the path and the command that mends it.
pub(crate) fn check(path: &Path) -> Result<()> {
    match fault(path, rustix::process::geteuid().as_raw()) {
        None => Ok(()),
        Some(sentence) => Err(Error::invalid(sentence)),
    }
}

/// What is wrong with the folder for the user with id `user`, as a sentence.
pub(crate) fn fault(path: &Path, user: u32) -> Option<String> {
    let inside = [STORE_FILE, LOG_FOLDER, MASTER_KEY_FILE, OWNER_FILE];
    let own = std::iter::once(path.to_owned()).chain(inside.iter().map(|name| path.join(name)));
    for path in own {
        // Files come with the first start.
        let Ok(found) = std::fs::metadata(&path) else { continue };
        if found.uid() != user {
            return Some(format!(
                "{} belongs to user {}, not to the one who runs Ferrohub ({user}), and could be changed under it; run 'chown -R {user} {}' or start Ferrohub as its owner.",
                path.display(),
                found.uid(),
                path.display()
            ));
        }
        if found.mode() & WRITABLE != 0 {
            return Some(format!(
                "{} can be written by others, who could change what Ferrohub trusts; run 'chmod go-w {}'.",
                path.display(),
                path.display()
            ));
        }
    }
    let replaceable = |found: &Metadata| found.mode() & WRITABLE_BY_ALL != 0 && found.mode() & STICKY == 0;
    path.ancestors().skip(1).find(|above| std::fs::metadata(above).is_ok_and(|found| replaceable(&found))).map(|above| {
        format!(
            "{} lies in {}, where everybody may put another folder in its place; run 'chmod o-w {}' or name another data folder.",
            path.display(),
            above.display(),
            above.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_others_can_write_is_refused_with_the_command_that_mends_it() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("above").join("data");
        std::fs::create_dir_all(path.join(LOG_FOLDER)).unwrap();
        std::fs::write(path.join(STORE_FILE), b"rows").unwrap();
        let user = rustix::process::geteuid().as_raw();
        let modes = [
            (path.clone(), 0o770, Some("chmod go-w")),
            (path.clone(), 0o702, Some("chmod go-w")),
            (path.clone(), 0o755, None),
            (path.join(LOG_FOLDER), 0o777, Some("chmod go-w")),
            (path.join(LOG_FOLDER), 0o700, None),
            (path.join(STORE_FILE), 0o660, Some("chmod go-w")),
            (path.join(STORE_FILE), 0o600, None),
            (parent.path().join("above"), 0o777, Some("chmod o-w")),
            (parent.path().join("above"), 0o1777, None),
            (parent.path().join("above"), 0o775, None),
        ];
        for (changed, mode, remedy) in modes {
            std::fs::set_permissions(&changed, Permissions::from_mode(mode)).unwrap();
            let found = fault(&path, user);
            match remedy {
                Some(remedy) => {
                    let text = found.unwrap();
                    assert!(text.contains(remedy) && text.contains(&*changed.to_string_lossy()), "{text}");
                }
                None => assert_eq!(found, None, "{} {mode:o}", changed.display()),
            }
        }
        assert!(fault(&path, user + 1).unwrap().contains("chown -R"));
        assert_eq!(check(&path).is_ok(), fault(&path, user).is_none());
    }
}
