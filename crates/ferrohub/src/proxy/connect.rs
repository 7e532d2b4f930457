//! The request that opens a tunnel: `CONNECT host:port HTTP/1.1` and its headers (RFC 9110, 9.3.6), and what is answered to it.

use ferrohub_model::limits::PROXY_HEAD_BYTES;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// What the client is told instead of a tunnel: status line and sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    status: &'static str,
    pub(super) text: String,
}

impl Refusal {
    /// The client asks for something that is not to be had here.
    pub(super) fn forbidden(text: impl Into<String>) -> Self {
        Self { status: "403 Forbidden", text: text.into() }
    }

    /// The server is not there.
    pub(super) fn unreachable(text: impl Into<String>) -> Self {
        Self { status: "502 Bad Gateway", text: text.into() }
    }

    fn malformed(text: impl Into<String>) -> Self {
        Self { status: "400 Bad Request", text: text.into() }
    }

    /// Writes the answer. Whoever is gone is told nothing.
    pub(super) async fn send(&self, stream: &mut (impl AsyncWrite + Unpin)) {
        let body = format!("{}\n", self.text);
        let allow = if self.status.starts_with("405") { "Allow: CONNECT\r\n" } else { "" };
        let answer = format!(
            "HTTP/1.1 {}\r\n{allow}Content-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.status,
            body.len()
        );
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.shutdown().await;
    }
}

/// Reads a request up to the end of its head: host and port. `None` where the client went without asking anything.
///
/// # Errors
/// The refusal of what is no CONNECT.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<(String, u16)>, Refusal> {
    let mut head = Vec::with_capacity(512);
    // One byte at a time from a socket would be a call of the system each; but what follows the head is TLS, which is for others.
    // A client sends nothing before it was answered, so a chunk never holds more than the head.
    let mut chunk = [0; 512];
    while !head.ends_with(b"\r\n\r\n") {
        let got = stream.read(&mut chunk).await.unwrap_or(0);
        if got == 0 {
            return if head.is_empty() { Ok(None) } else { Err(Refusal::malformed("The request ends early.")) };
        }
        head.extend_from_slice(&chunk[..got]);
        if head.len() > PROXY_HEAD_BYTES {
            return Err(Refusal::malformed(format!("The request is over {PROXY_HEAD_BYTES} bytes.")));
        }
        if let Some(end) = find(&head, b"\r\n\r\n")
            && end + 4 < head.len()
        {
            return Err(Refusal::malformed("Something follows the request before it was answered."));
        }
    }
    target(&head).map(Some)
}

fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).position(|window| window == word)
}

fn target(head: &[u8]) -> Result<(String, u16), Refusal> {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = std::str::from_utf8(line).map_err(|_| Refusal::malformed("The request is no text."))?;
    let mut words = line.split(' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    if words.next().is_some() || !version.is_some_and(|version| version.starts_with("HTTP/1.")) {
        return Err(Refusal::malformed("This is no request of HTTP/1.1; give this address as HTTPS_PROXY."));
    }
    if method != Some("CONNECT") {
        return Err(Refusal {
            status: "405 Method Not Allowed",
            text: "Only CONNECT is served: this is the proxy of HTTPS and MQTT, give it as HTTPS_PROXY and not as HTTP_PROXY.".to_owned(),
        });
    }
    let parsed = target.and_then(|target| target.rsplit_once(':'));
    let port = parsed.and_then(|(_, port)| port.parse().ok());
    match parsed.zip(port) {
        Some(((host, _), port))
            if !host.is_empty() && host.len() <= 255 && host.bytes().all(|b| b.is_ascii_graphic()) =>
        {
            Ok((host.to_owned(), port))
        }
        _ => Err(Refusal::malformed("CONNECT takes 'host:port'.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn of(text: &str) -> Result<Option<(String, u16)>, Refusal> {
        read(&mut text.as_bytes()).await
    }

    #[tokio::test]
    async fn a_tunnel_is_asked_for() {
        let asked = of("CONNECT management.azure.com:443 HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert_eq!(asked, Ok(Some(("management.azure.com".into(), 443))));
        assert_eq!(of("CONNECT [::1]:8443 HTTP/1.0\r\n\r\n").await, Ok(Some(("[::1]".into(), 8443))));
        assert_eq!(of("").await, Ok(None));
    }

    #[tokio::test]
    async fn anything_else_is_refused() {
        let long = format!("CONNECT {}:443 HTTP/1.1\r\n\r\n", "a".repeat(PROXY_HEAD_BYTES));
        for (text, status) in [
            ("GET http://management.azure.com/ HTTP/1.1\r\n\r\n", "405"),
            ("CONNECT management.azure.com HTTP/1.1\r\n\r\n", "400"),
            ("CONNECT a:99999 HTTP/1.1\r\n\r\n", "400"),
            ("CONNECT :443 HTTP/1.1\r\n\r\n", "400"),
            ("CONNECT a\u{1b}:443 HTTP/1.1\r\n\r\n", "400"),
            ("CONNECT a:443\r\n\r\n", "400"),
            ("CONNECT a:443 HTTP/1.1\r\n", "400"),
            ("CONNECT a:443 HTTP/1.1\r\n\r\n\u{16}", "400"),
            ("\u{16}\u{3}\u{1}\r\n\r\n", "400"),
            (&long, "400"),
        ] {
            let refusal = of(text).await.unwrap_err();
            assert!(refusal.status.starts_with(status), "{text:?}: {refusal:?}");
            let mut sent = Vec::new();
            refusal.send(&mut sent).await;
            let sent = String::from_utf8(sent).unwrap();
            assert!(sent.starts_with("HTTP/1.1 ") && sent.ends_with(&format!("\r\n\r\n{}\n", refusal.text)), "{sent}");
        }
    }
}
