//! Which service a request is for: by its path where that is telling, else by its Host header.

use super::websocket::{self, Place};
use ferrohub_model::limits;

/// A service behind the HTTPS port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// Azure Resource Manager.
    Arm,
    /// The token service.
    Login,
    /// Microsoft Graph.
    Graph,
    /// The portal's files.
    Portal,
    /// A hub's service and device API.
    Hub,
    /// Devices that register themselves.
    DpsDevice,
    /// Enrollment groups and registrations.
    DpsService,
    /// Device Registry's data plane.
    Registry,
    /// MQTT over WebSocket.
    WebSocket,
    /// Nothing that is served.
    Unknown,
}

/// How an error looks on a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `{"error":{..}}`, and a challenge that names the tenant.
    Arm {
        /// Origin that the client used.
        base_url: String,
        /// Tenant id.
        tenant: String,
    },
    /// `{"error","error_description",..}`.
    OAuth,
    /// `{"Message","ExceptionMessage"}`.
    Hub,
    /// `{"errorCode","trackingId",..}`.
    Dps,
}

impl Route {
    /// The route of `path` (as sent, without query) on `host` (lower case, without port), for a request that asks for WebSocket or not.
    pub(crate) fn of(host: &str, path: &str, web_socket: bool) -> Self {
        let lower = path.to_ascii_lowercase();
        let segments: Vec<&str> = lower.split('/').filter(|segment| !segment.is_empty()).collect();
        let provisioning_host = host.contains(".azure-devices-provisioning.");
        // On a name of no service the root is where they may mean a provisioning one.
        let at_root = || provisioning_host || matches!(Self::of(host, path, false), Self::Unknown | Self::Portal);
        match websocket::place(&segments) {
            Some(Place::Mqtt | Place::Amqp) => return Self::WebSocket,
            Some(Place::Root) if web_socket && at_root() => return Self::WebSocket,
            _ => {}
        }
        if provisioning_host {
            return provisioning(&segments);
        }
        if host.contains(".azure-devices.") {
            return Self::Hub;
        }
        if host.contains(".deviceregistry.") {
            return Self::Registry;
        }
        match host.split('.').next() {
            Some("login") => Self::Login,
            Some("graph") => Self::Graph,
            // The page asks the control plane at its own origin.
            Some("portal") => match by_path(&segments) {
                Some(route @ (Self::Arm | Self::Login | Self::Graph)) => route,
                _ => Self::Portal,
            },
            // One origin serves them all where clients are given only one URL, so the path decides.
            Some("management") => by_path(&segments).filter(|route| *route != Self::Portal).unwrap_or(Self::Arm),
            _ => by_path(&segments).unwrap_or(Self::Unknown),
        }
    }

    /// Label for spans and metrics.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Arm => "arm",
            Self::Login => "login",
            Self::Graph => "graph",
            Self::Portal => "portal",
            Self::Hub => "hub",
            Self::DpsDevice => "dps-device",
            Self::DpsService => "dps-service",
            Self::Registry => "registry",
            Self::WebSocket => "websocket",
            Self::Unknown => "unknown",
        }
    }

    /// Longest body that is read, bytes.
    pub(crate) fn body_limit(self) -> usize {
        match self {
            Self::Arm | Self::Graph | Self::Registry => limits::HTTP_BODY_BYTES,
            Self::Hub | Self::DpsDevice | Self::DpsService => limits::DATA_PLANE_BODY_BYTES,
            Self::Login | Self::Portal | Self::WebSocket | Self::Unknown => limits::TOKEN_FORM_BYTES,
        }
    }

    /// How errors look here.
    pub(crate) fn shape(self, base_url: &str, tenant: &str) -> Shape {
        match self {
            Self::Arm | Self::Graph | Self::Portal | Self::Registry | Self::Unknown => {
                Shape::Arm { base_url: base_url.into(), tenant: tenant.into() }
            }
            Self::Login => Shape::OAuth,
            Self::Hub | Self::WebSocket => Shape::Hub,
            Self::DpsDevice | Self::DpsService => Shape::Dps,
        }
    }
}

fn by_path(segments: &[&str]) -> Option<Route> {
    match segments {
        // A scope with its slashes encoded, as some SDKs send it.
        [scope, ..] if scope.trim_start_matches("%2f").starts_with("subscriptions%2f") => Some(Route::Arm),
        ["subscriptions" | "providers" | "tenants" | "metadata", ..] => Some(Route::Arm),
        ["v1.0" | "beta", ..] | ["graph", "v1.0" | "beta", ..] => Some(Route::Graph),
        [
            _,
            "oauth2" | "discovery" | ".well-known" | "userrealm" | "openid" | "kerberos" | "federationmetadata",
            ..,
        ]
        | [_, "v2.0", ".well-known", ..]
        | [_, "saml2" | "wsfed"] => Some(Route::Login),
        [] | ["portal", ..] => Some(Route::Portal),
        ["devicelogin" | "sign-in-link"] => Some(Route::Login),
        ["enrollments" | "enrollmentgroups" | "registrations", ..] => Some(Route::DpsService),
        [_, "registrations", ..] => Some(Route::DpsDevice),
        ["devices" | "twins" | "jobs" | "configurations" | "statistics" | "digitaltwins" | "messages", ..] => {
            Some(Route::Hub)
        }
        _ => None,
    }
}

fn provisioning(segments: &[&str]) -> Route {
    match segments {
        ["enrollments" | "enrollmentgroups" | "registrations", ..] => Route::DpsService,
        [_, "registrations", ..] => Route::DpsDevice,
        _ => Route::DpsService,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths() {
        let tenant = "11111111-1111-1111-1111-111111111111";
        let cases = [
            ("management.localhost", "/subscriptions", Route::Arm),
            ("management.localhost", "/nonsense", Route::Arm),
            ("localhost", "/Subscriptions/x", Route::Arm),
            ("127.0.0.1", "/metadata/endpoints", Route::Arm),
            ("127.0.0.1", "/%2FSubscriptions%2Fs/providers/Microsoft.Authorization/roleAssignments", Route::Arm),
            ("::1", "/providers/Microsoft.ResourceGraph/resources", Route::Arm),
            ("localhost", &format!("/{tenant}/oauth2/v2.0/token"), Route::Login),
            ("management.localhost", &format!("/{tenant}/oauth2/token"), Route::Login),
            ("localhost", "/adfs/oauth2/token", Route::Login),
            ("localhost", "/adfs/.well-known/openid-configuration", Route::Login),
            ("localhost", &format!("/{tenant}/v2.0/.well-known/openid-configuration"), Route::Login),
            ("localhost", "/common/discovery/instance", Route::Login),
            ("login.localhost", "/anything", Route::Login),
            ("graph.localhost", "/anything", Route::Graph),
            ("localhost", "/v1.0/servicePrincipals", Route::Graph),
            ("localhost", "/graph/v1.0/servicePrincipals", Route::Graph),
            ("localhost", "/graph", Route::Unknown),
            ("hub1.azure-devices.localhost", "/devices/d", Route::Hub),
            ("hub1.azure-devices.localhost", "/x/registrations/y", Route::Hub),
            ("localhost", "/twins/d", Route::Hub),
            ("global.azure-devices-provisioning.localhost", "/0ne1/registrations/r/register", Route::DpsDevice),
            ("localhost", "/0ne1/registrations/r/register", Route::DpsDevice),
            ("dps1.azure-devices-provisioning.localhost", "/enrollmentGroups/g", Route::DpsService),
            ("dps1.azure-devices-provisioning.localhost", "/registrations/g/query", Route::DpsService),
            ("localhost", "/enrollmentgroups/", Route::DpsService),
            ("hub1.azure-devices.localhost", "/$iothub/websocket", Route::WebSocket),
            ("localhost", "/", Route::Portal),
            ("localhost", "/Portal/x", Route::Portal),
            ("portal.localhost", "/", Route::Portal),
            ("portal.localhost", "/portal/resource/subscriptions/s", Route::Portal),
            ("portal.localhost", "/devices/d", Route::Portal),
            ("portal.localhost", "/subscriptions", Route::Arm),
            ("portal.localhost", "/common/oauth2/v2.0/authorize", Route::Login),
            ("portal.localhost", "/v1.0/me", Route::Graph),
            ("portal.localhost", "/devicelogin", Route::Login),
            ("portal.localhost", "/sign-in-link", Route::Login),
            ("management.localhost", "/sign-in-link", Route::Login),
            ("localhost", "/DeviceLogin", Route::Login),
            ("localhost", "/favicon.ico", Route::Unknown),
            ("localhost", "/common/userrealm/ann@example.com", Route::Login),
            ("localhost", "/beta/me", Route::Graph),
            ("westeurope.api.deviceregistry.localhost", "/namespaces/n/devices:query", Route::Registry),
            ("management.azure.com", "/tenants", Route::Arm),
        ];
        for (host, path, route) in cases {
            assert_eq!(Route::of(host, path, false), route, "{host} {path}");
        }
    }

    #[test]
    fn where_web_sockets_are() {
        for (host, path, route) in [
            ("hub1.azure-devices.localhost", "/$IotHub/WebSocket/", Route::WebSocket),
            ("hub1.azure-devices.localhost", "/", Route::Hub),
            ("hub1.azure-devices.localhost", "/devices/d", Route::Hub),
            ("global.azure-devices-provisioning.localhost", "/$iothub/websocket", Route::WebSocket),
            ("global.azure-devices-provisioning.localhost", "/", Route::WebSocket),
            ("localhost", "/", Route::WebSocket),
            ("localhost", "/$servicebus/websocket", Route::WebSocket),
            ("127.0.0.1", "/$iothub/websocket", Route::WebSocket),
            ("management.localhost", "/", Route::Arm),
            ("login.localhost", "/", Route::Login),
        ] {
            assert_eq!(Route::of(host, path, true), route, "{host} {path}");
        }
    }
}
