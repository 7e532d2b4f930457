//! A request as the routes see it: its head at first, and its body once it was read.

use super::at::{self, Target};
use super::reply::Head;
use crate::client::Client;
use crate::errors::Trace;
use crate::json_body;
use bytes::Bytes;
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_wire::sas_token::SasToken;
use http::{HeaderMap, Method, Request};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use std::sync::Arc;
use uuid::Uuid;

/// One request.
pub(crate) struct Call {
    pub(crate) method: Method,
    /// The name that the request was sent to, as sent, with its port; part of links.
    pub(crate) authority: String,
    /// Path as sent.
    pub(crate) path: String,
    /// Query, decoded, in order.
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Who is at the other end.
    pub(crate) client: Arc<Client>,
    pub(crate) trace: Trace,
    pub(crate) correlation_id: Uuid,
}

impl Call {
    /// The head of a request that was sent to `authority`.
    pub(super) fn of<B>(
        request: &Request<B>,
        authority: String,
        query: Vec<(String, String)>,
        client: Arc<Client>,
        head: &Head,
    ) -> Self {
        Self {
            method: request.method().clone(),
            authority,
            path: request.uri().path().to_owned(),
            query,
            headers: request.headers().clone(),
            body: Bytes::new(),
            client,
            trace: head.trace,
            correlation_id: head.correlation_id,
        }
    }

    /// The request as it would be at another host, for whoever brought a bearer token.
    ///
    /// # Errors
    /// Unauthenticated, without one.
    pub(super) fn at(self, target: Target) -> Result<Self> {
        at::check(&self)?;
        Ok(Self { authority: target.host, path: target.path, ..self })
    }

    /// Host in lower case without port and trailing dot.
    pub(crate) fn host(&self) -> String {
        host_of(&self.authority)
    }

    /// Origin under which the client reached us.
    pub(crate) fn base_url(&self) -> String {
        format!("https://{}", self.authority)
    }

    /// A header's value, if it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The `Authorization` header.
    pub(crate) fn authorization(&self) -> Option<&str> {
        self.header("authorization")
    }

    /// A query parameter by name, ignoring case.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Refuses the query options of other services' lists (`$filter`, `$top`): the data planes have none.
    ///
    /// # Errors
    /// `Invalid` (400004) naming the option.
    pub(crate) fn without_options(&self) -> Result<()> {
        match self.query.iter().find(|(name, _)| name.starts_with('$')) {
            None => Ok(()),
            Some((name, _)) => Err(Error::invalid(format!("The query option '{}' is not served here.", shown(name)))
                .with_code("ArgumentInvalid")
                .with_iot_code(400_004)),
        }
    }

    /// The path's segments, decoded; empty ones (doubled or trailing slashes) are left out.
    ///
    /// # Errors
    /// `Invalid` for an encoding that is not UTF-8.
    pub(crate) fn segments(&self) -> Result<Vec<String>> {
        self.path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .map(|segment| {
                percent_decode_str(segment)
                    .decode_utf8()
                    .map(std::borrow::Cow::into_owned)
                    .map_err(|_| Error::invalid("The path is not valid: its percent-encoding is not UTF-8."))
            })
            .collect()
    }

    /// The JSON body; `None` when there is none.
    ///
    /// # Errors
    /// `UnsupportedMediaType` for another type, `InvalidRequestContent` for text that is not JSON.
    pub(crate) fn json(&self) -> Result<Option<Value>> {
        if json_body::is_blank(&self.body) {
            return Ok(None);
        }
        let media = self
            .header("content-type")
            .unwrap_or("application/json")
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        if !is_json(&media) {
            return Err(Error::new(
                ErrorKind::UnsupportedMedia,
                "UnsupportedMediaType",
                format!(
                    "The content media type '{}' is not supported. Only 'application/json' is supported.",
                    shown(&media)
                ),
            ));
        }
        json_body::parse(&self.body).map(Some).map_err(|fault| {
            Error::invalid(format!("The request content was invalid and could not be deserialized: {fault}."))
                .with_code("InvalidRequestContent")
                .with_iot_code(400_004)
        })
    }

    /// The JSON body, which must be there.
    ///
    /// # Errors
    /// As [`Self::json`], and `InvalidRequestContent` when there is none.
    pub(crate) fn require_json(&self) -> Result<Value> {
        self.json()?.ok_or_else(|| {
            Error::invalid("The request has no body; send a JSON document.")
                .with_code("InvalidRequestContent")
                .with_iot_code(400_005)
        })
    }

    /// The name of the hub or provisioning service that is meant: the Host header, or on a bare
    /// `localhost` or address the audience of the SAS token.
    pub(crate) fn service_host(&self) -> String {
        let host = self.host();
        if crate::tls::is_device_name(&host) {
            return host;
        }
        let token = self
            .authorization()
            .filter(|text| text.len() > 21 && text.is_char_boundary(21))
            .and_then(|text| SasToken::parse(text).ok());
        token
            .and_then(|token| token.resource.split('/').next().map(host_of))
            .filter(|host| !host.is_empty())
            .unwrap_or(host)
    }
}

/// The name that a request was sent to, with its port: its Host header. One in the request line (the absolute form, RFC 9112,
/// 3.2.2) must be the same.
///
/// # Errors
/// `Invalid` where there is none, more than one, or two that differ: whoever stands in front of us may have looked at another.
/// For the same reason credentials are sent once.
pub(super) fn authority_of<B>(request: &Request<B>) -> Result<String> {
    let plain = |c: u8| c.is_ascii_alphanumeric() || b".-_:[]".contains(&c);
    let mut hosts = request.headers().get_all("host").iter();
    let host = match (hosts.next().and_then(|host| host.to_str().ok()), hosts.next()) {
        (Some(host), None) if !host.is_empty() && host.bytes().all(plain) => host,
        _ => return Err(Error::invalid("The Host header is missing, is there twice, or is not a host name.")),
    };
    let (scheme, named) = (request.uri().scheme_str(), request.uri().authority());
    if scheme.is_some_and(|scheme| scheme != "https")
        || named.is_some_and(|named| !same_authority(named.as_str(), host))
    {
        return Err(Error::invalid(
            "The request line names another scheme or host than the connection and the Host header; send the path alone.",
        ));
    }
    if request.headers().get_all("authorization").iter().nth(1).is_some() {
        return Err(Error::invalid("The Authorization header is there twice; send it once."));
    }
    Ok(host.to_owned())
}

/// Whether two names are the same; a port that is left out is 443.
fn same_authority(one: &str, other: &str) -> bool {
    let bare = |text: &str| text.strip_suffix(":443").unwrap_or(text).to_ascii_lowercase();
    bare(one) == bare(other)
}

/// The error for a verb that a known path does not have.
pub(crate) fn method_not_allowed(call: &Call, allowed: &str) -> Error {
    Error::new(
        ErrorKind::MethodNotAllowed,
        "MethodNotAllowed",
        format!("The method {} is not possible on '{}'; it takes {allowed}.", call.method, shown(&call.path)),
    )
}

/// Text of a client, cut to what fits into a message.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(200).collect()
}

/// Decodes a query string: `+` and `%20` are spaces.
pub(crate) fn parse_query(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(value))
        })
        .collect()
}

/// A host in lower case without port and trailing dot.
pub(crate) fn host_of(authority: &str) -> String {
    let name = match authority.strip_prefix('[') {
        // An IPv6 address stands in brackets, with colons of its own.
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    name.trim_end_matches('.').to_ascii_lowercase()
}

fn is_json(media: &str) -> bool {
    matches!(
        media,
        "application/json" | "text/json" | "application/merge-patch+json" | "application/json-patch+json" | ""
    ) || media.ends_with("+json")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use jiff::Timestamp;

    pub(crate) fn call(method: &str, authority: &str, path_and_query: &str, body: &'static str) -> Call {
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        Call {
            method: method.parse().unwrap(),
            authority: authority.into(),
            path: path.into(),
            query: parse_query(query),
            headers: HeaderMap::new(),
            body: Bytes::from_static(body.as_bytes()),
            client: Arc::default(),
            trace: Trace { request_id: Uuid::nil(), at: Timestamp::UNIX_EPOCH },
            correlation_id: Uuid::nil(),
        }
    }

    #[test]
    fn a_request_line_cannot_name_another_host_than_the_header() {
        let of = |uri: &str, hosts: &[&str]| {
            let mut request = Request::builder().uri(uri);
            for host in hosts {
                request = request.header("host", *host);
            }
            authority_of(&request.body(()).unwrap()).ok()
        };
        assert_eq!(of("/a", &["Localhost:8443"]).as_deref(), Some("Localhost:8443"));
        assert_eq!(of("https://localhost:8443/a", &["Localhost:8443"]).as_deref(), Some("Localhost:8443"));
        assert_eq!(of("https://localhost/a", &["localhost:443"]).as_deref(), Some("localhost:443"));
        for (uri, hosts) in [
            ("https://other/a", &["localhost"][..]),
            ("https://localhost:1/a", &["localhost:2"]),
            ("http://localhost/a", &["localhost"]),
            ("https://me@localhost/a", &["localhost"]),
            ("other:443", &["localhost"]),
            ("https://localhost/a", &[]),
            ("/a", &["localhost", "localhost"]),
            ("/a", &[""]),
            ("/a", &["a b"]),
            ("/a", &["a@b"]),
        ] {
            assert_eq!(of(uri, hosts), None, "{uri} {hosts:?}");
        }
        let twice =
            Request::builder().uri("/").header("host", "h").header("authorization", "a").header("authorization", "a");
        assert!(authority_of(&twice.body(()).unwrap()).is_err());
    }

    #[test]
    fn hosts_without_port_case_and_dot() {
        for (authority, host) in [
            ("Localhost:8443", "localhost"),
            ("[::1]:8443", "::1"),
            ("[::1]", "::1"),
            ("127.0.0.1:1", "127.0.0.1"),
            ("A.b.:443", "a.b"),
        ] {
            assert_eq!(host_of(authority), host);
        }
    }

    #[test]
    fn query_and_segments_are_decoded() {
        let call = call("GET", "h", "/devices//a%2Fb/?Top=5&x=a+b%20c&flag", "");
        assert_eq!(call.segments().unwrap(), ["devices", "a/b"]);
        assert_eq!(call.query("top"), Some("5"));
        assert_eq!(call.query("x"), Some("a b c"));
        assert_eq!(call.query("flag"), Some(""));
        assert!(super::tests::call("GET", "h", "/%ff", "").segments().is_err());
    }

    #[test]
    fn bodies() {
        assert_eq!(call("PUT", "h", "/", " \n").json().unwrap(), None);
        assert_eq!(call("PUT", "h", "/", "{").json().unwrap_err().code, "InvalidRequestContent");
        assert_eq!(call("PUT", "h", "/", "").require_json().unwrap_err().numeric_code(), 400_005);
        let mut form = call("PUT", "h", "/", "a=b");
        form.headers.insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
        assert_eq!(form.json().unwrap_err().code, "UnsupportedMediaType");
        form.headers.insert("content-type", "Application/JSON; charset=utf-8".parse().unwrap());
        assert_eq!(form.json().unwrap_err().code, "InvalidRequestContent");
    }

    #[test]
    fn on_localhost_the_token_names_the_service() {
        let mut call = call("GET", "localhost:8443", "/devices", "");
        assert_eq!(call.service_host(), "localhost");
        let token = "SharedAccessSignature sr=Hub1.azure-devices.localhost%2Fdevices%2Fd&sig=AAAA&se=1";
        call.headers.insert("authorization", token.parse().unwrap());
        assert_eq!(call.service_host(), "hub1.azure-devices.localhost");
        call.authority = "hub2.azure-devices.localhost:8443".into();
        assert_eq!(call.service_host(), "hub2.azure-devices.localhost");
    }
}
