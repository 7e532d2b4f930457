//! Values of flags whose rule a wrong one is answered with.

use clap::Command;
use std::net::{IpAddr, SocketAddr};

/// An address with a port.
///
/// # Errors
/// What it should be.
pub(super) fn endpoint(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(
        |_| "it takes an IP address with a port, such as 192.0.2.7:8883 or [::1]:8883; names are not looked up",
    )
}

/// An address.
///
/// # Errors
/// What it should be.
pub(super) fn address(text: &str) -> Result<IpAddr, &'static str> {
    text.parse().map_err(|_| "it takes IP addresses, such as 127.0.0.1 or ::1; names are not looked up")
}

/// A number that is not negative.
///
/// # Errors
/// What it should be.
pub(super) fn whole_number(text: &str) -> Result<u64, &'static str> {
    text.parse().map_err(|_| "it takes a whole number from 0 on")
}

/// The command with flags that read `-1` as their value, which then names the rule; else it would pass for a flag nobody knows.
pub(super) fn taking_negative_numbers(command: Command) -> Command {
    let command = command.mut_args(|argument| match argument.get_action().takes_values() {
        true => argument.allow_negative_numbers(true),
        false => argument,
    });
    command.mut_subcommands(taking_negative_numbers)
}

#[cfg(test)]
mod tests {
    use crate::cli::Cli;
    use std::ffi::OsString;

    #[test]
    fn a_wrong_value_is_told_as_what_it_should_be() {
        let told = |line: &str| Cli::from_words(line.split_whitespace().map(OsString::from)).unwrap_err().to_string();
        let device = "ferrohub device run --id-scope s --registration-id d --server";
        for server in ["localhost:27883", "127.0.0.1"] {
            let text = told(&format!("{device} {server}"));
            assert!(text.contains("an IP address with a port") && text.contains("names are not looked up"), "{text}");
        }
        assert!(told("ferrohub serve --listen localhost").contains("names are not looked up"));
        for (line, said) in [
            ("ferrohub device run --id-scope s --registration-id d --count -1", "-1 is not in 0..=4294967295"),
            ("ferrohub device run --id-scope s --registration-id d --interval -1", "a whole number from 0 on"),
            ("ferrohub events h --from -1", "a whole number from 0 on"),
            ("ferrohub events h --partition -1", "-1 is not in 0..=65535"),
            ("ferrohub serve --mqtt-port -1", "-1 is not in 0..=65535"),
            ("ferrohub audit export --days -1", "-1 is not in 0..=4294967295"),
        ] {
            let text = told(line);
            assert!(text.contains("invalid value '-1' for '--") && text.contains(said), "{line}: {text}");
        }
    }
}
