//! Which audiences each service accepts in a token.

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

    /// Accepts Azure's names, and for ARM and Graph also our own origin, with or without trailing slashes.
    ///
    /// # Errors
    /// `InvalidAuthenticationTokenAudience` naming what is accepted.
    pub(super) fn check(self, audience: &str, base_url: &str, domain: &str) -> Result<()> {
        let wanted = audience.trim_end_matches('/');
        if self.azure_names().iter().any(|name| name.eq_ignore_ascii_case(wanted)) {
            return Ok(());
        }
        let label = match self {
            Self::Arm => "management",
            Self::Graph => "graph",
            Self::Hub | Self::Dps | Self::Registry => "",
        };
        if !label.is_empty() && is_own_origin(wanted, base_url, domain, label) {
            return Ok(());
        }
        Err(Error::unauthenticated(format!(
            "The access token has been obtained for wrong audience or resource '{audience}'. It should exactly match with one of the allowed audiences '{}'.",
            self.azure_names().join("','")
        ))
        .with_code("InvalidAuthenticationTokenAudience"))
    }
}

/// Whether `wanted` is the origin the client used, or one of our names for this service on any port.
fn is_own_origin(wanted: &str, base_url: &str, domain: &str, label: &str) -> bool {
    // The client chose the Host header, so only an address of ours counts from it, never a name.
    if wanted.eq_ignore_ascii_case(base_url.trim_end_matches('/')) && is_address(base_url) {
        return true;
    }
    let Some(host) = wanted.strip_prefix("https://") else { return false };
    let name = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
        .map_or(host, |(name, _)| name);
    name.eq_ignore_ascii_case(domain) || name.eq_ignore_ascii_case(&format!("{label}.{domain}"))
}

/// Whether the host of `https://host[:port]` is an IP address.
fn is_address(base_url: &str) -> bool {
    let host = base_url.trim_end_matches('/').strip_prefix("https://").unwrap_or_default();
    host.parse::<std::net::SocketAddr>().is_ok()
        || host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_and_azure_names() {
        let base = "https://localhost:8443";
        for good in [
            "https://management.azure.com/",
            "https://LOCALHOST:8443//",
            "https://management.localhost:9",
            "https://localhost",
        ] {
            assert!(Audience::Arm.check(good, base, "localhost").is_ok(), "{good}");
        }
        for bad in
            ["https://iothubs.azure.net", "https://localhost.evil", "https://evil", "", "https://localhost:80:80"]
        {
            assert_eq!(
                Audience::Arm.check(bad, base, "localhost").unwrap_err().code,
                "InvalidAuthenticationTokenAudience",
                "{bad}"
            );
        }
        // A Host header of the client's choice makes no audience.
        assert!(Audience::Arm.check("https://iothubs.azure.net", "https://iothubs.azure.net", "localhost").is_err());
        assert!(Audience::Arm.check("https://127.0.0.1:8443", "https://127.0.0.1:8443", "localhost").is_ok());
        assert!(Audience::Hub.check("https://localhost:8443", base, "localhost").is_err());
        assert!(Audience::Hub.check("https://iothubs.azure.net/", base, "localhost").is_ok());
    }
}
