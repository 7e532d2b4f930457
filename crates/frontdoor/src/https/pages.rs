//! The pages of the sign-in: a heading, a sentence, a form. No script, but for the one line that posts an answer on; no image, no font.
//! All text is escaped where it is written.

use super::reply::Reply;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, X_FRAME_OPTIONS};
use std::fmt::Write as _;
use std::sync::LazyLock;

/// How every page looks; dark where the person wants it so.
const STYLE: &str = ":root{color-scheme:light dark;--line:#8a8886;--link:#0f548c;--box:#fff;--page:#f3f2f1;--text:#201f1e;--bad:#a4262c}\
@media(prefers-color-scheme:dark){:root{--line:#979593;--link:#62abf5;--box:#252423;--page:#111;--text:#f3f2f1;--bad:#ff99a4}}\
body{margin:0;min-height:100vh;display:grid;place-items:center;background:var(--page);color:var(--text);font:15px/1.45 system-ui,'Segoe UI',sans-serif}\
main{box-sizing:border-box;width:min(440px,100vw);padding:40px;background:var(--box);border:1px solid var(--line)}\
h1{margin:0 0 12px;font-size:24px;font-weight:600}label{display:block;margin:14px 0 4px}\
input:not([type=hidden]){box-sizing:border-box;width:100%;padding:7px 8px;font:inherit;color:inherit;background:transparent;border:1px solid var(--line)}\
button{margin:18px 8px 0 0;padding:7px 20px;font:inherit;border:1px solid var(--link);color:#fff;background:#0f548c;cursor:pointer}\
input:focus,button:focus,a:focus{outline:2px solid var(--link);outline-offset:2px}\
.bad{color:var(--bad)}.small{font-size:13px}a{color:var(--link)}code{overflow-wrap:anywhere}";

/// The one line of script: posts the answer of a sign-in on to the client.
const POST_ON: &str = "document.forms[0].submit()";

static STYLE_HASH: LazyLock<String> = LazyLock::new(|| hash_of(STYLE));
static POST_ON_HASH: LazyLock<String> = LazyLock::new(|| hash_of(POST_ON));

/// A page that is being written.
pub(super) struct Page {
    title: &'static str,
    body: String,
    script: bool,
    form_action: String,
}

impl Page {
    /// A page with a heading.
    pub(super) fn new(title: &'static str) -> Self {
        Self { title, body: format!("<h1>{}</h1>", escaped(title)), script: false, form_action: "'self'".into() }
    }

    /// With a paragraph.
    #[must_use]
    pub(super) fn text(mut self, text: &str) -> Self {
        self.push(format_args!("<p>{}</p>", escaped(text)));
        self
    }

    /// With a paragraph in small letters.
    #[must_use]
    pub(super) fn small(mut self, text: &str) -> Self {
        self.push(format_args!("<p class=\"small\">{}</p>", escaped(text)));
        self
    }

    /// With what was wrong, which screen readers say at once.
    #[must_use]
    pub(super) fn fault(mut self, text: Option<&str>) -> Self {
        if let Some(text) = text {
            self.push(format_args!("<p class=\"bad\" role=\"alert\" id=\"fault\">{}</p>", escaped(text)));
        }
        self
    }

    /// With a link to somewhere on this server.
    #[must_use]
    pub(super) fn link(mut self, path: &str, text: &str) -> Self {
        self.push(format_args!("<p><a href=\"{}\">{}</a></p>", escaped(path), escaped(text)));
        self
    }

    /// With a form that is posted to `action`: hidden fields, fields, buttons.
    #[must_use]
    pub(super) fn form(
        mut self,
        action: &str,
        hidden: &[(&str, &str)],
        fields: &[Field<'_>],
        buttons: &[Button],
    ) -> Self {
        self.push(format_args!("<form method=\"post\" action=\"{}\">", escaped(action)));
        for (name, value) in hidden {
            self.push(format_args!("<input type=\"hidden\" name=\"{}\" value=\"{}\">", escaped(name), escaped(value)));
        }
        for field in fields {
            field.write(&mut self);
        }
        for button in buttons {
            let (value, text) = (escaped(button.step), escaped(&button.text));
            self.push(format_args!("<button name=\"step\" value=\"{value}\">{text}</button>"));
        }
        self.push(format_args!("</form>"));
        self
    }

    /// With a form that is posted on to `action` by itself, or by a press where scripts are off.
    #[must_use]
    pub(super) fn posted_on(mut self, action: &str, fields: &[(&'static str, String)]) -> Self {
        let hidden: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.script = true;
        self.form_action = origin_of(action).to_owned();
        self.form(action, &hidden, &[], &[Button::new("", "Continue")])
    }

    /// Whose form may lead to `origin` in the end.
    #[must_use]
    pub(super) fn leads_to(mut self, origin: Option<&str>) -> Self {
        if let Some(origin) = origin {
            let _ = write!(self.form_action, " {origin}");
        }
        self
    }

    /// The answer.
    pub(super) fn reply(self, status: u16) -> Reply {
        let script = if self.script { format!("; script-src 'sha256-{}'", *POST_ON_HASH) } else { String::new() };
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{}'{script}; base-uri 'none'; form-action {}; frame-ancestors 'none'",
            *STYLE_HASH, self.form_action
        );
        let last = if self.script { format!("<script>{POST_ON}</script>") } else { String::new() };
        let html = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>{} - Ferrohub</title><style>{STYLE}</style></head><body><main>{}</main>{last}</body></html>",
            escaped(self.title),
            self.body
        );
        Reply { status, ..Reply::bytes("text/html; charset=utf-8", html) }
            .with(CONTENT_SECURITY_POLICY, policy)
            .with(CACHE_CONTROL, "no-store")
            .with(REFERRER_POLICY, "no-referrer")
            .with(X_FRAME_OPTIONS, "DENY")
            .with(HeaderName::from_static("cross-origin-opener-policy"), "same-origin")
            .with(HeaderName::from_static("cross-origin-resource-policy"), "same-origin")
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = self.body.write_fmt(text);
    }
}

/// A field that a person fills in.
pub(super) struct Field<'a> {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) kind: &'static str,
    pub(super) autocomplete: &'static str,
    pub(super) value: &'a str,
    /// Where the cursor is at first.
    pub(super) first: bool,
}

impl Field<'_> {
    fn write(&self, page: &mut Page) {
        let (name, label, value) = (escaped(self.name), escaped(self.label), escaped(self.value));
        let first = if self.first { " autofocus" } else { "" };
        page.push(format_args!(
            "<label for=\"{name}\">{label}</label><input id=\"{name}\" name=\"{name}\" type=\"{}\" autocomplete=\"{}\" value=\"{value}\" autocapitalize=\"none\" spellcheck=\"false\" required{first}>",
            self.kind, self.autocomplete
        ));
    }
}

/// A button, with what it does.
pub(super) struct Button {
    step: &'static str,
    text: String,
}

impl Button {
    /// A button.
    pub(super) fn new(step: &'static str, text: impl Into<String>) -> Self {
        Self { step, text: text.into() }
    }
}

/// `scheme://host:port` of a URI.
fn origin_of(uri: &str) -> &str {
    uri.match_indices('/').nth(2).map_or(uri, |(at, _)| &uri[..at])
}

/// Text as it stands in HTML, in elements and in quoted attributes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn hash_of(text: &str) -> String {
    STANDARD.encode(digest(&SHA256, text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header<'a>(reply: &'a Reply, name: &str) -> &'a str {
        reply.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    #[test]
    fn hostile_text_stays_text() {
        let hostile = "\"><script>alert('1')</script>&amp;";
        let field = Field {
            name: "username",
            label: "User",
            kind: "text",
            autocomplete: "username",
            value: hostile,
            first: true,
        };
        let page =
            Page::new("Sign in").text(hostile).fault(Some(hostile)).form("/x", &[("flow", hostile)], &[field], &[]);
        let reply = page.reply(200);
        let html = String::from_utf8(reply.body.to_vec()).unwrap();
        assert!(!html.contains("<script") && html.matches("&lt;script&gt;").count() == 4, "{html}");
        assert!(html.contains("&#39;1&#39;") && html.contains("&amp;amp;"));
    }

    #[test]
    fn the_policy_lets_in_this_style_and_nothing_else() {
        let reply = Page::new("Sign in").leads_to(Some("http://localhost:8400")).reply(400);
        let policy = header(&reply, "content-security-policy");
        assert_eq!(reply.status, 400);
        assert!(
            policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("script-src"),
            "{policy}"
        );
        assert!(policy.contains("form-action 'self' http://localhost:8400;") && !policy.contains("unsafe"), "{policy}");
        assert_eq!((header(&reply, "cache-control"), header(&reply, "x-frame-options")), ("no-store", "DENY"));
        let reply = Page::new("Going on").posted_on("http://localhost:8400/", &[("code", "c".into())]).reply(200);
        let policy = header(&reply, "content-security-policy");
        assert!(
            policy.contains("; script-src 'sha256-") && policy.contains("form-action http://localhost:8400;"),
            "{policy}"
        );
        assert_eq!(origin_of("http://localhost:8400"), "http://localhost:8400");
    }
}
