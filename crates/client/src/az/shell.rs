//! Texts that a person can paste into a shell.

/// An argument as it can be typed into a POSIX shell.
pub(crate) fn shell_quoted(argument: &str) -> String {
    let safe = !argument.is_empty() && argument.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:=@,+".contains(c));
    if safe { argument.to_owned() } else { format!("'{}'", argument.replace('\'', r"'\''")) }
}
