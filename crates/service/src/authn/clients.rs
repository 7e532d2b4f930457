//! Clients that come with people and have no secret: Entra's own, which everybody's programs have built in, and the portal.

/// Application id of the portal, Azure's.
pub const PORTAL: &str = "c44b4083-3bb0-49c1-b47d-974e53cbdf3c";

/// Path at which the portal takes its codes.
pub const PORTAL_PATH: &str = "/portal/";

/// Path at which a link signs in.
pub const LINK_PATH: &str = "/sign-in-link";

/// A client without a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PublicClient {
    /// Application id.
    pub(super) id: &'static str,
    /// What people read.
    pub(super) name: &'static str,
    /// Whether it is a program on a person's machine; else it is the portal, a page of this server.
    pub(super) native: bool,
}

/// Azure CLI, Azure PowerShell, Visual Studio Code, Visual Studio (reference: clients.md; azure-identity has the first one built
/// in), and the portal.
static PUBLIC_CLIENTS: [PublicClient; 5] = [
    native("04b07795-8ddb-461a-bbee-02f9e1bf7b46", "Microsoft Azure CLI"),
    native("1950a258-227b-4e31-a9cf-717495945fc2", "Microsoft Azure PowerShell"),
    native("aebc6443-996d-45c2-90f0-388ff96faa56", "Visual Studio Code"),
    native("872cd9fa-d31f-45e0-9eab-6e460a02d1f1", "Visual Studio"),
    PublicClient { id: PORTAL, name: "Ferrohub portal", native: false },
];

const fn native(id: &'static str, name: &'static str) -> PublicClient {
    PublicClient { id, name, native: true }
}

impl PublicClient {
    /// The client with an application id, ignoring case.
    pub(super) fn by_id(id: &str) -> Option<&'static Self> {
        PUBLIC_CLIENTS.iter().find(|known| known.id.eq_ignore_ascii_case(id))
    }

    /// Whether codes may go to `uri`, for a browser that is at `origin`: the portal's own page there, or for a program any port of
    /// the machine that the browser runs on (RFC 8252, 7.3).
    pub(super) fn takes_codes_at(&self, uri: &str, origin: &str, domain: &str) -> bool {
        if self.native {
            return is_loopback(uri);
        }
        let own = uri.strip_suffix(PORTAL_PATH).is_some_and(|start| start.eq_ignore_ascii_case(origin));
        own && is_of_the_portal(origin, domain)
    }
}

/// Whether the portal may be at `origin`: under its own name, the plain domain, or the machine itself.
pub(super) fn is_of_the_portal(origin: &str, domain: &str) -> bool {
    host_of_origin(origin).is_some_and(|host| {
        let host = host.to_ascii_lowercase();
        let domain = domain.to_ascii_lowercase();
        host == domain || host == format!("portal.{domain}") || matches!(host.as_str(), "127.0.0.1" | "[::1]")
    })
}

/// Host of `https://host[:port]`.
fn host_of_origin(origin: &str) -> Option<&str> {
    host(origin.strip_prefix("https://")?)
}

/// Whether a URI is `http://localhost`, `http://127.0.0.1` or `http://[::1]`, with any port and nothing behind.
fn is_loopback(uri: &str) -> bool {
    let Some(rest) = uri.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("http://")).map(|_| &uri[7..]) else {
        return false;
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    host(authority)
        .is_some_and(|host| ["localhost", "127.0.0.1", "[::1]"].iter().any(|known| known.eq_ignore_ascii_case(host)))
}

/// Host of `host[:port]`, where that is all.
fn host(authority: &str) -> Option<&str> {
    let end = if authority.starts_with('[') {
        authority.find(']')? + 1
    } else {
        authority.find(':').unwrap_or(authority.len())
    };
    let (host, port) = authority.split_at_checked(end)?;
    let plain = host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.[:]".contains(&b));
    let digits = |port: &str| (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
    let port_is_one = port.is_empty() || port.strip_prefix(':').is_some_and(digits);
    (plain && !host.is_empty() && port_is_one).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_go_to_the_own_machine_or_the_own_page() {
        let cli = PublicClient::by_id("04B07795-8ddb-461a-bbee-02f9e1bf7b46").unwrap();
        for (uri, takes) in [
            ("http://localhost:8400", true),
            ("http://localhost", true),
            ("HTTP://LOCALHOST:1/", true),
            ("http://127.0.0.1:65535", true),
            ("http://[::1]:9", true),
            ("https://localhost:8400", false),
            ("http://localhost:8400/x", false),
            ("http://localhost:", false),
            ("http://localhost:x", false),
            ("http://localhost.evil:1", false),
            ("http://localhost@evil:1", false),
            ("http://localhost:1@evil", false),
            ("http://localhost:1?x", false),
            ("http://localhost:1#x", false),
            ("http://evil", false),
            ("http://", false),
            ("javascript:alert(1)", false),
            ("", false),
            ("é", false),
        ] {
            assert_eq!(cli.takes_codes_at(uri, "https://localhost:1", "localhost"), takes, "{uri}");
        }
        let portal = PublicClient::by_id(PORTAL).unwrap();
        for (uri, origin, takes) in [
            ("https://portal.localhost:8443/portal/", "https://portal.localhost:8443", true),
            ("https://localhost:8443/portal/", "https://localhost:8443", true),
            ("https://[::1]:8443/portal/", "https://[::1]:8443", true),
            ("https://portal.localhost:8443/portal", "https://portal.localhost:8443", false),
            ("https://portal.localhost:9/portal/", "https://portal.localhost:8443", false),
            ("https://evil:8443/portal/", "https://evil:8443", false),
            ("https://login.localhost/portal/", "https://login.localhost", false),
            ("http://localhost:8443/portal/", "https://localhost:8443", false),
        ] {
            assert_eq!(portal.takes_codes_at(uri, origin, "localhost"), takes, "{uri}");
        }
        assert!(PublicClient::by_id("").is_none());
    }
}
