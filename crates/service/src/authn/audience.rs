//! What a token may be for: the resources that are served here, under Azure's names and under ours.

use ferrohub_model::error::{Error, Result};

/// The service that a token must be meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Resource Manager.
    Arm,
    /// Microsoft Graph.
    Graph,
    /// IoT Hub's service API.
    Hub,
    /// The Device Provisioning Service's service API.
    Dps,
    /// Device Registry's data plane.
    Registry,
}

impl Audience {
    /// Every service.
    const ALL: [Self; 5] = [Self::Arm, Self::Graph, Self::Hub, Self::Dps, Self::Registry];

    /// Azure's resource identifiers (reference: resource-manager.md section 9, iot-hub-and-dps.md B.4, F and H, device-registry-api.md section 7).
    fn azure_names(self) -> &'static [&'static str] {
        match self {
            Self::Arm => &["https://management.azure.com", "https://management.core.windows.net"],
            Self::Graph => {
                &["https://graph.microsoft.com", "00000003-0000-0000-c000-000000000000", "https://graph.windows.net"]
            }
            Self::Hub => &["https://iothubs.azure.net"],
            Self::Dps => &["https://azure-devices-provisioning.net"],
            Self::Registry => &["https://deviceregistry.azure.com", "6ce3f5ab-5f16-4633-a660-21ceb8d74c01"],
        }
    }

    /// The name that messages tell.
    pub(crate) fn name(self) -> &'static str {
        self.azure_names()[0]
    }

    /// The service that the resource `name` is: one of Azure's names, or one of ours on any port, with or without trailing
    /// slashes. Ours are `https://{domain}` and `https://management.{domain}` for Resource Manager, `https://graph.{domain}` and
    /// `https://{domain}/graph` for Graph (`az` asks for a token of the URL at which it finds Graph, see
    /// [`crate::arm::metadata`]). What a client wrote into its Host header is no name of ours.
    pub(super) fn of(name: &str, domain: &str) -> Option<Self> {
        let wanted = name.trim_end_matches('/');
        let azure = |audience: &Self| audience.azure_names().iter().any(|known| known.eq_ignore_ascii_case(wanted));
        if let Some(known) = Self::ALL.into_iter().find(azure) {
            return Some(known);
        }
        let (host, path) = origin_and_path(wanted)?;
        let is = |label: &str| {
            host.get(..label.len()).is_some_and(|first| first.eq_ignore_ascii_case(label))
                && host.get(label.len()..).is_some_and(|rest| rest.eq_ignore_ascii_case(domain))
        };
        let bare = is("") || is_loopback(host);
        match path {
            None if bare || is("management.") => Some(Self::Arm),
            None if is("graph.") => Some(Self::Graph),
            Some(path) if bare && path.eq_ignore_ascii_case("graph") => Some(Self::Graph),
            _ => None,
        }
    }

    /// Refuses a token for another service.
    ///
    /// # Errors
    /// `InvalidAuthenticationTokenAudience` naming what is accepted.
    pub(super) fn check(self, audience: &str, domain: &str) -> Result<()> {
        if Self::of(audience, domain) == Some(self) {
            return Ok(());
        }
        Err(Error::unauthenticated(format!(
            "The access token has been obtained for wrong audience or resource '{audience}'. It should exactly match with one of the allowed audiences '{}'.",
            self.azure_names().join("','")
        ))
        .with_code("InvalidAuthenticationTokenAudience"))
    }
}

/// Host, without brackets, and path of `https://host[:port][/path]`.
fn origin_and_path(url: &str) -> Option<(&str, Option<&str>)> {
    let rest = url.get(..8).filter(|scheme| scheme.eq_ignore_ascii_case("https://")).map(|_| &url[8..])?;
    let (authority, path) = rest.split_once('/').map_or((rest, None), |(authority, path)| (authority, Some(path)));
    let digits = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let host = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (port.is_empty() || port.strip_prefix(':').is_some_and(digits)).then_some(host)?
        }
        None => match authority.split_once(':') {
            Some((host, port)) => digits(port).then_some(host)?,
            None => authority,
        },
    };
    Some((host, path))
}

/// The addresses that the server's own certificate covers.
fn is_loopback(host: &str) -> bool {
    matches!(host, "127.0.0.1" | "::1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use Audience::{Arm, Dps, Graph, Hub, Registry};

    #[test]
    fn each_name_is_one_service() {
        for (name, service) in [
            ("https://management.azure.com/", Arm),
            ("https://management.core.windows.net//", Arm),
            ("HTTPS://management.LOCALHOST:9", Arm),
            ("https://graph.microsoft.com", Graph),
            ("00000003-0000-0000-c000-000000000000", Graph),
            ("https://graph.localhost:8443/", Graph),
            ("https://LOCALHOST:8443/Graph/", Graph),
            ("https://127.0.0.1:8443/graph", Graph),
            ("https://LOCALHOST:8443//", Arm),
            ("https://localhost", Arm),
            ("https://127.0.0.1:8443", Arm),
            ("https://[::1]:8443/", Arm),
            ("https://iothubs.azure.net/", Hub),
            ("https://azure-devices-provisioning.net", Dps),
            ("https://deviceregistry.azure.com/", Registry),
        ] {
            assert_eq!(Audience::of(name, "localhost"), Some(service), "{name}");
            for other in Audience::ALL {
                let checked = other.check(name, "localhost");
                assert_eq!(checked.is_ok(), other == service, "{name} at {other:?}");
                assert!(checked.is_ok() || checked.unwrap_err().code == "InvalidAuthenticationTokenAudience");
            }
        }
    }

    #[test]
    fn what_is_not_configured_is_nobody() {
        for name in [
            "",
            "https://",
            "https://evil",
            "https://localhost.evil",
            "https://evil.localhost",
            "https://hub1.azure-devices.localhost",
            "https://localhost:80:80",
            "https://localhost:",
            "https://localhost/x",
            "https://localhost/graph/x",
            "https://management.localhost/graph",
            "http://localhost",
            "https://me@localhost",
            "https://192.0.2.1:8443",
            "https://[::1",
            "https://[::1]8443",
            "https://vault.azure.net",
            "00000002-0000-0000-c000-000000000000",
            "é",
        ] {
            assert_eq!(Audience::of(name, "localhost"), None, "{name}");
        }
        assert_eq!(Audience::of("https://localhost:8443", "plant.example"), None, "localhost is not the domain");
        assert_eq!(Audience::of("https://plant.example:8443", "plant.example"), Some(Arm));
    }
}
