//! With what a backup is encrypted and opened: a passphrase, or keys as age has them.

use crate::cli::{BackupKeyArgs, PassphraseArgs};
use crate::config::Variables;
use crate::data_dir::{read_bounded, write_new};
use crate::output::print;
use ferrohub_model::error::{Error, Result};
use ferrohub_pki::age::{Identity, Lock, Recipient, Unlock};
use ferrohub_pki::random::SystemRandom;
use std::path::Path;
use zeroize::Zeroizing;

/// Shortest passphrase, characters: ours. scrypt makes guessing slow, not impossible.
const LEAST: usize = 12;
const VARIABLE: &str = "FERROHUB_BACKUP_PASSPHRASE";

/// Whom to encrypt for.
///
/// # Errors
/// `Invalid` where nothing is named, or both ways are, or one of them is no good.
pub(super) fn of(recipients: &[String], args: &PassphraseArgs, variables: &Variables) -> Result<Lock> {
    let passphrase = passphrase(args, variables)?;
    match (recipients, passphrase) {
        ([], Some(passphrase)) if passphrase.chars().count() < LEAST => Err(Error::invalid(format!(
            "The passphrase is too short: whoever gets the file can try as often as they like. Take at least {LEAST} characters."
        ))),
        ([], Some(passphrase)) => Ok(Lock::Passphrase(passphrase)),
        (keys, None) if !keys.is_empty() => {
            Ok(Lock::Recipients(keys.iter().map(|key| key.parse::<Recipient>()).collect::<Result<_>>()?))
        }
        ([], None) => Err(Error::invalid(format!(
            "A backup is encrypted: name a public key with --recipient ('ferrohub backup-key' makes one), or a passphrase with --passphrase-file or {VARIABLE}."
        ))),
        _ => Err(Error::invalid("A backup is encrypted for recipients or with a passphrase, not with both.")),
    }
}

/// With what to open.
///
/// # Errors
/// As [`of`].
pub(super) fn unlock(identity: Option<&Path>, args: &PassphraseArgs, variables: &Variables) -> Result<Unlock> {
    match (identity, passphrase(args, variables)?) {
        (Some(path), None) => identities(path).map(Unlock::Identities),
        (None, Some(passphrase)) => Ok(Unlock::Passphrase(passphrase)),
        (None, None) => Err(Error::invalid(format!(
            "The backup is encrypted: name the file of the secret key with --identity, or the passphrase with --passphrase-file or {VARIABLE}."
        ))),
        _ => Err(Error::invalid("Name the secret key or the passphrase, not both.")),
    }
}

/// `ferrohub backup-key`: a key pair for backups; the secret half goes into a file, the public one is printed.
///
/// # Errors
/// `Invalid` where the file is there already or cannot be written.
pub(crate) fn new_key(args: &BackupKeyArgs) -> Result<()> {
    let identity = Identity::generate(&SystemRandom);
    let (public, secret) = (identity.recipient()?, identity.to_text()?);
    let text = Zeroizing::new(format!("# public key: {public}\n{}\n", secret.as_str()));
    write_new(&args.out, text.as_bytes())?;
    print(&format!(
        "{public}\nThe secret key is in {}: keep it where the server is not; without it no backup for this key opens.",
        args.out.display()
    ))
}

fn passphrase(args: &PassphraseArgs, variables: &Variables) -> Result<Option<Zeroizing<String>>> {
    let Some(path) = &args.passphrase_file else {
        return Ok(variables.get(VARIABLE).filter(|text| !text.is_empty()).cloned().map(Zeroizing::new));
    };
    let text = Zeroizing::new(read_bounded(path)?);
    let text = std::str::from_utf8(&text).ok().and_then(|text| text.lines().next()).filter(|line| !line.is_empty());
    let line =
        text.ok_or_else(|| Error::invalid(format!("{} has no passphrase in its first line.", path.display())))?;
    Ok(Some(Zeroizing::new(line.to_owned())))
}

/// Secret keys in a file, one a line; lines that begin with `#` are for people.
fn identities(path: &Path) -> Result<Vec<Identity>> {
    let text = Zeroizing::new(read_bounded(path)?);
    let text = std::str::from_utf8(&text).map_err(|_| Error::invalid(format!("{} is no text.", path.display())))?;
    let lines = text.lines().map(str::trim).enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let key = |(index, line): (usize, &str)| {
        line.parse::<Identity>().map_err(|_| {
            Error::invalid(format!(
                "{} is no file of a secret key: its line {} does not start with 'AGE-SECRET-KEY-1', or was cut. 'ferrohub backup-key' wrote the file that --identity means.",
                path.display(),
                index + 1
            ))
        })
    };
    let keys = lines.map(key).collect::<Result<Vec<Identity>>>()?;
    if keys.is_empty() {
        return Err(Error::invalid(format!("{} holds no secret key.", path.display())));
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none() -> PassphraseArgs {
        PassphraseArgs { passphrase_file: None }
    }

    fn with(text: &str) -> Variables {
        [(VARIABLE.to_owned(), text.to_owned())].into()
    }

    #[test]
    fn a_backup_is_never_in_clear_or_behind_a_short_passphrase() {
        let key = Identity::generate(&SystemRandom).recipient().unwrap().to_string();
        let refused =
            |recipients: &[String], variables: &Variables| of(recipients, &none(), variables).err().unwrap().message;
        assert!(refused(&[], &Variables::new()).contains("--recipient"));
        assert!(refused(&[], &with("too short")).contains("at least 12"));
        assert!(refused(std::slice::from_ref(&key), &with("a long passphrase")).contains("not with both"));
        assert!(refused(&["age1x".into()], &Variables::new()).contains("no recipient"));
        let secret = Identity::generate(&SystemRandom).to_text().unwrap().to_string();
        for given in [secret.clone(), secret.to_lowercase(), secret[..40].to_owned()] {
            let told = refused(std::slice::from_ref(&given), &Variables::new());
            assert!(told.contains("is a secret key") && told.contains("'age1'") && !told.contains(&given), "{told}");
        }
        assert!(matches!(of(&[key], &none(), &Variables::new()).unwrap(), Lock::Recipients(keys) if keys.len() == 1));
        assert!(matches!(of(&[], &none(), &with("a long passphrase")).unwrap(), Lock::Passphrase(_)));
    }

    #[test]
    fn secret_keys_come_from_files_as_age_keygen_writes_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.txt");
        new_key(&BackupKeyArgs { out: path.clone() }).unwrap();
        assert_eq!(identities(&path).unwrap().len(), 1);
        assert!(new_key(&BackupKeyArgs { out: path.clone() }).unwrap_err().message.contains("is there already"));
        std::fs::write(&path, "# nothing\n").unwrap();
        assert!(identities(&path).unwrap_err().message.contains("no secret key"));
        std::fs::write(&path, "# Ferrohub\n\nFerrohub is one program\n").unwrap();
        let told = identities(&path).unwrap_err().message;
        assert!(told.contains("key.txt is no file of a secret key: its line 3 "), "{told}");
        assert!(unlock(None, &none(), &Variables::new()).is_err());
        assert!(unlock(Some(&path), &none(), &with("a long passphrase")).is_err());
    }
}
