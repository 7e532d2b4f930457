//! `/at/{hostName}/…`: the data plane of a hub or a provisioning service for the portal's page, at the portal's own origin, so that no
//! browser has to be let in from elsewhere. The rest of the path is handled as if it had been sent to that host; only bearer tokens
//! count, because a browser sends those along for nobody but the page that has them.

use super::request::{Call, host_of};
use super::route::Route;
use ferrohub_model::error::{Error, Result};
use ferrohub_service::route::{RouteInfo, Wants};

/// A request for another host: its name, and the path there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) host: String,
    pub(super) path: String,
    pub(super) route: Route,
}

/// What every path of this plane begins with; the host's name follows, and the path there.
const PREFIX: &str = "/at/";

/// The routes of this plane.
pub(super) fn routes() -> Vec<RouteInfo> {
    let path = format!("{PREFIX}{{hostName}}/**");
    vec![RouteInfo { plane: "at", method: "*".into(), path, wants: Wants::Known }]
}

/// What a path at a name of ours is meant for; `None` for every path that does not begin like this.
pub(super) fn target(here: &str, path: &str) -> Option<Target> {
    if crate::tls::is_device_name(here) {
        return None;
    }
    let rest = path.strip_prefix(PREFIX)?;
    let (host, rest) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, path) = (host_of(host), format!("/{rest}"));
    let route = match Route::of(&host, &path, false) {
        route @ (Route::Hub | Route::DpsService) if crate::tls::is_device_name(&host) => route,
        _ => Route::Unknown,
    };
    Some(Target { host, path, route })
}

/// Refuses whoever comes without a bearer token.
pub(super) fn check(call: &Call) -> Result<()> {
    let scheme = call.authorization().and_then(|header| header.split_once(' ')).map(|(scheme, _)| scheme);
    if scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer")) {
        return Ok(());
    }
    Err(Error::unauthenticated("Unauthorized: below /at/ only a bearer token of the service counts.")
        .with_iot_code(401_002))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::https::request::tests::call;

    #[test]
    fn only_hubs_and_provisioning_services_are_meant() {
        let of = |here: &str, path: &str| target(here, path).map(|target| (target.route, target.host, target.path));
        let hub = "hub1.azure-devices.localhost";
        assert_eq!(
            of("portal.localhost", &format!("/at/{hub}/devices/d%2F1")),
            Some((Route::Hub, hub.to_owned(), "/devices/d%2F1".to_owned()))
        );
        let dps = of("localhost", "/at/DPS1.azure-devices-provisioning.localhost:8443/enrollmentGroups/query").unwrap();
        assert_eq!((dps.0, dps.1.as_str()), (Route::DpsService, "dps1.azure-devices-provisioning.localhost"));
        for path in [
            "/at/localhost/subscriptions",
            "/at/management.localhost/subscriptions",
            "/at/portal.localhost/portal/",
            "/at/evil.example/x",
            "/at/",
            "/at/hub1.azure-devices.localhost/$iothub/websocket",
            "/at/global.azure-devices-provisioning.localhost/0ne1/registrations/r/register",
        ] {
            assert_eq!(of("portal.localhost", path).map(|found| found.0), Some(Route::Unknown), "{path}");
        }
        for (here, path) in [(hub, "/at/x/y"), ("portal.localhost", "/attic"), ("portal.localhost", "/portal/at/x")] {
            assert_eq!(target(here, path), None, "{path}");
        }
    }

    #[test]
    fn keys_and_cookies_open_nothing() {
        let mut request = call("GET", "hub1.azure-devices.localhost", "/devices/d", "");
        request.headers.insert("cookie", "__Host-ferrohub-session=x".parse().unwrap());
        assert_eq!(check(&request).unwrap_err().http_status(), 401);
        for (header, good) in
            [("SharedAccessSignature sr=x&sig=y&se=1", false), ("Basic eA==", false), ("bearer x", true)]
        {
            request.headers.insert("authorization", header.parse().unwrap());
            assert_eq!(check(&request).is_ok(), good, "{header}");
        }
    }
}
