//! The portal: files that were built into the program, below `/portal/`. What has a hash in its name is kept by browsers for good; every
//! other path is a screen, and screens are one page.

use super::nothing_here;
use super::portal_files::FILES;
use super::reply::Reply;
use super::request::{Call, method_not_allowed, shown};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use ferrohub_model::error::{Error, Result};
use ferrohub_service::Service;
use ferrohub_service::authn::PORTAL_PATH;
use ferrohub_service::route::{Found, RouteInfo, Row, Table, Wants};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::Method;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, ETAG, HeaderName, IF_NONE_MATCH,
    LOCATION, REFERRER_POLICY, VARY,
};
use std::collections::HashMap;
use std::io::Write as _;
use std::sync::{LazyLock, OnceLock};

/// What a browser may load for the portal's page: its own files and nothing else. Its style library makes empty `<style>` elements, whose
/// hash this is, and fills them in by rules.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='; \
img-src 'self'; font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; \
frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// What the page may not use of a browser: everything that asks for leave.
const PERMISSIONS: &str = "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), hid=(), magnetometer=(), \
microphone=(), midi=(), payment=(), serial=(), usb=()";

/// Names of files that have a hash in them.
const HASHED: &str = "assets/";

/// The page of every screen.
const INDEX: &str = "index.html";

/// A file, its tag, and its gzip form once somebody asked for it.
struct File {
    bytes: &'static [u8],
    tag: String,
    kind: &'static str,
    zipped: OnceLock<Bytes>,
}

static BY_NAME: LazyLock<HashMap<&'static str, File>> =
    LazyLock::new(|| FILES.iter().map(|(name, bytes)| (*name, File::new(name, bytes))).collect());

type Run = fn(&Service, &Call) -> Result<Reply>;

static ROUTES: Table<Run> = Table::new(&[
    row("/portal/**", a_file),
    row("/", the_root),
    row("/**", |service, call| Ok(to_the_portal(service, call))),
]);

const fn row(path: &'static str, run: Run) -> Row<Run> {
    Row { method: "GET", path, wants: Wants::Nothing, run }
}

/// The routes of the portal.
pub(super) fn routes() -> Vec<RouteInfo> {
    ROUTES.info("portal")
}

/// Answers a request. Whoever may GET may ask for the head alone.
pub(super) fn handle(service: &Service, call: &Call) -> Result<Reply> {
    let method = if call.method == Method::HEAD { "GET" } else { call.method.as_str() };
    match ROUTES.find(method, &call.segments()?) {
        Found::Row(row, _) => (row.run)(service, call),
        Found::OtherMethods(methods) => Err(method_not_allowed(call, &format!("{}, HEAD", methods.join(", ")))),
        Found::Nothing => Err(nothing_here(call)),
    }
}

/// The root; at a name that others share it is for browsers only.
fn the_root(service: &Service, call: &Call) -> Result<Reply> {
    let browser = call.header("accept").is_some_and(|types| types.contains("text/html"));
    if browser || call.host().starts_with("portal.") {
        Ok(to_the_portal(service, call))
    } else {
        Err(nothing_here(call))
    }
}

/// A file of the portal, or the page of a screen.
fn a_file(service: &Service, call: &Call) -> Result<Reply> {
    // In other letters, or without the last slash.
    let Some(name) = call.path.strip_prefix(PORTAL_PATH) else { return Ok(to_the_portal(service, call)) };
    let found = BY_NAME.get(name);
    if found.is_none() && name.starts_with(HASHED) {
        return Err(Error::not_found(format!(
            "The portal has no file '{}'. Load the page again: the server may be another version.",
            shown(name)
        )));
    }
    let (found, kept) = match found.filter(|_| name != INDEX) {
        Some(found) => (Some(found), name.starts_with(HASHED)),
        None => (BY_NAME.get(INDEX), false),
    };
    let found = found.ok_or_else(|| Error::not_found("This build of Ferrohub has no portal."))?;
    Ok(found.reply(call, kept))
}

/// To the portal at the name that keeps its cookies to itself, where there is one.
fn to_the_portal(service: &Service, call: &Call) -> Reply {
    let domain = &service.settings().domain;
    let port = call.authority.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let port = port.map(|(_, port)| format!(":{port}")).unwrap_or_default();
    let origin = match call.host() {
        host if &host == domain => format!("https://portal.{domain}{port}"),
        _ => call.base_url(),
    };
    secured(Reply::empty(302).with(LOCATION, format!("{origin}{PORTAL_PATH}")).with(CACHE_CONTROL, "no-store"))
}

impl File {
    fn new(name: &str, bytes: &'static [u8]) -> Self {
        let tag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(&digest(&SHA256, bytes).as_ref()[..16]));
        Self { bytes, tag, kind: kind_of(name), zipped: OnceLock::new() }
    }

    fn reply(&self, call: &Call, kept: bool) -> Reply {
        let how = if kept { "public, max-age=31536000, immutable" } else { "no-store" };
        let same = call.headers.get_all(IF_NONE_MATCH).iter().any(|value| {
            value.to_str().is_ok_and(|tags| tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == self.tag))
        });
        let reply = match (same, takes_gzip(call) && is_text(self.kind)) {
            (true, _) => Reply::empty(304),
            (false, true) => Reply::bytes(self.kind, self.zipped()).with(CONTENT_ENCODING, "gzip"),
            (false, false) => Reply::bytes(self.kind, Bytes::from_static(self.bytes)),
        };
        secured(reply.with(CACHE_CONTROL, how).with(ETAG, self.tag.as_str()).with(VARY, ACCEPT_ENCODING.as_str()))
    }

    fn zipped(&self) -> Bytes {
        let zip = || {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            // A vector takes everything.
            let _ = encoder.write_all(self.bytes);
            encoder.finish().unwrap_or_default().into()
        };
        self.zipped.get_or_init(zip).clone()
    }
}

/// The headers that keep a page to itself.
fn secured(reply: Reply) -> Reply {
    reply
        .with(CONTENT_SECURITY_POLICY, POLICY)
        .with(REFERRER_POLICY, "no-referrer")
        .with(HeaderName::from_static("cross-origin-opener-policy"), "same-origin")
        .with(HeaderName::from_static("cross-origin-resource-policy"), "same-origin")
        .with(HeaderName::from_static("permissions-policy"), PERMISSIONS)
}

/// Whether the client takes gzip, and does not say that it would rather not.
fn takes_gzip(call: &Call) -> bool {
    let accepted = call.headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|codings| codings.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight: String = weight.chars().filter(|c| !c.is_whitespace()).collect();
        let refused = weight.strip_prefix("q=").is_some_and(|q| q.parse::<f32>().is_ok_and(|q| q <= 0.0));
        name.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

fn is_text(kind: &str) -> bool {
    kind.starts_with("text/") || kind.contains("json") || kind.contains("svg")
}

fn kind_of(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, end)| end) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json") => "application/json; charset=utf-8",
        Some("webmanifest") => "application/manifest+json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::https::request::tests::call;

    fn header<'a>(reply: &'a Reply, name: &str) -> &'a str {
        reply.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    #[test]
    fn a_file_is_told_by_its_tag_and_zipped_for_who_takes_it() {
        let file = File::new("assets/a-1.js", b"let a = 1; let b = 1; let c = 1; let d = 1; let e = 1;");
        let mut request = call("GET", "portal.localhost:1", "/portal/assets/a-1.js", "");
        let plain = file.reply(&request, true);
        assert_eq!((plain.status, plain.content_type), (200, "text/javascript; charset=utf-8"));
        assert_eq!(header(&plain, "cache-control"), "public, max-age=31536000, immutable");
        assert_eq!(header(&file.reply(&request, false), "cache-control"), "no-store");
        assert!(header(&plain, "content-security-policy").contains("trusted-types 'none'"));
        for (sent, zipped) in [("gzip, br", true), ("br;q=1, GZIP;q=0.5", true), ("gzip;q=0", false), ("br", false)] {
            request.headers.insert(ACCEPT_ENCODING, sent.parse().unwrap());
            let reply = file.reply(&request, true);
            assert_eq!(header(&reply, "content-encoding") == "gzip", zipped, "{sent}");
            assert_eq!(reply.body.starts_with(&[0x1f, 0x8b]), zipped, "{sent}");
        }
        request.headers.insert(IF_NONE_MATCH, format!("\"x\", W/{}", file.tag).parse().unwrap());
        let same = file.reply(&request, true);
        assert_eq!((same.status, same.body.len(), header(&same, "etag")), (304, 0, file.tag.as_str()));
        assert_eq!((kind_of("x"), kind_of("icon.svg")), ("application/octet-stream", "image/svg+xml"));
    }

    #[test]
    fn the_portal_is_in_the_program() {
        let index = std::str::from_utf8(BY_NAME[INDEX].bytes).unwrap();
        assert!(
            index.contains("<div id=\"root\">") && !index.contains("<style") && !index.contains("http:"),
            "{index}"
        );
        assert!(BY_NAME.contains_key("version.json"));
        for name in BY_NAME.keys().filter(|name| index.contains(*name)) {
            assert!(index.contains(&format!("./{name}")) || index.contains(&format!("/portal/{name}")), "{name}");
        }
    }
}
