//! The body of a request, read once it is clear who sends it.

use crate::budget::Share;
use bytes::{Bytes, BytesMut};
use ferrohub_model::clock::{Clock, timeout};
use ferrohub_model::error::{Error, ErrorKind, Result};
use ferrohub_model::limits::{HTTP_DISCARD_BYTES, HTTP_DISCARD_TIMEOUT};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use http_body_util::BodyExt;
use hyper::body::Body;
use std::time::Duration;

/// Seconds after which a peer that was refused for want of memory may try again: ours.
const RETRY_SECONDS: u32 = 2;

/// What a body may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Bytes.
    pub(super) bytes: usize,
    /// Time until the last of them is there.
    pub(super) time: Duration,
}

/// Refuses a body that says itself that it is over `limit`.
///
/// # Errors
/// `TooLarge`.
pub(super) fn check_length(body: &impl Body, limit: usize) -> Result<()> {
    if body.size_hint().lower() > limit as u64 { Err(too_large(limit)) } else { Ok(()) }
}

/// Refuses a body in a coding that would have to be undone: none is, in any plane.
///
/// # Errors
/// `UnsupportedMedia`.
pub(super) fn check_coding(headers: &HeaderMap) -> Result<()> {
    let plain = |value: &http::HeaderValue| {
        value.to_str().is_ok_and(|text| text.split(',').all(|coding| coding.trim().eq_ignore_ascii_case("identity")))
    };
    if headers.get_all(CONTENT_ENCODING).iter().all(plain) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::UnsupportedMedia,
        "UnsupportedMediaType",
        "Bodies are taken as they are: send none with a Content-Encoding other than identity.",
    )
    .with_iot_code(415_001))
}

/// Reads a body, which counts as `share` for as long as that lives.
///
/// # Errors
/// `TooLarge` over the bounds, `Invalid` where it ends early or comes too slowly, `Throttled` where too much is held already.
pub(super) async fn read<B>(body: &mut B, bounds: Bounds, share: &mut Share, clock: &dyn Clock) -> Result<Bytes>
where
    B: Body<Data = Bytes> + Unpin,
{
    check_length(body, bounds.bytes)?;
    match timeout(clock, bounds.time, collect(body, bounds.bytes, share)).await {
        Ok(outcome) => outcome,
        Err(_) => {
            Err(Error::invalid(format!("The request's body did not arrive within {} seconds.", bounds.time.as_secs())))
        }
    }
}

async fn collect<B: Body<Data = Bytes> + Unpin>(body: &mut B, limit: usize, share: &mut Share) -> Result<Bytes> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Error::invalid("The request's body ended early or is damaged."))?;
        let Some(data) = frame.data_ref() else { continue };
        if whole.len() + data.len() > limit {
            return Err(too_large(limit));
        }
        if !share.grow(data.len()) {
            metrics::counter!("ferrohub_http_bodies_refused_total").increment(1);
            return Err(no_room());
        }
        whole.extend_from_slice(data);
    }
    Ok(whole.freeze())
}

/// Reads on without keeping anything, so that a client that is still writing gets to see the answer. What is much too
/// long, or comes slowly, is not waited for; who waits for leave to send needs none.
pub(super) async fn discard<B: Body<Data = Bytes> + Unpin>(body: &mut B, waits_to_send: bool, clock: &dyn Clock) {
    let mut left = HTTP_DISCARD_BYTES;
    if body.is_end_stream() || body.size_hint().lower() > left as u64 || waits_to_send {
        return;
    }
    let all = async {
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                return;
            }
        }
    };
    // Whether it ended or the time did makes no difference to the answer.
    let _ = timeout(clock, HTTP_DISCARD_TIMEOUT, all).await;
}

/// No fault of ours, so that no line of the log says so each time.
fn no_room() -> Error {
    let mut error = Error::new(
        ErrorKind::Throttled,
        "TooManyRequests",
        "The server holds as many requests as it can, or as many of this address; try again.",
    )
    .with_iot_code(429_001);
    error.retry_after_seconds = Some(RETRY_SECONDS);
    error
}

fn too_large(limit: usize) -> Error {
    Error::new(
        ErrorKind::TooLarge,
        "RequestContentTooLarge",
        format!("The request's body is over the limit of {limit} bytes; send less."),
    )
    .with_iot_code(413_001)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;
    use crate::places::Origin;
    use ferrohub_clock::SystemClock;
    use http_body_util::{Full, StreamBody};
    use std::convert::Infallible;
    use std::net::IpAddr;

    fn share(bytes: usize) -> Share {
        Budget::new(bytes, bytes).share(Origin::of(IpAddr::from([127, 0, 0, 1])))
    }

    fn bounds(bytes: usize) -> Bounds {
        Bounds { bytes, time: Duration::from_secs(60) }
    }

    /// Twelve bytes whose number is not told before.
    fn chunks() -> impl Body<Data = Bytes, Error = Infallible> + Unpin {
        let chunks = (0..3).map(|_| Ok::<_, Infallible>(hyper::body::Frame::data(Bytes::from_static(b"xxxx"))));
        StreamBody::new(futures_util::stream::iter(chunks))
    }

    #[test]
    fn a_coded_body_is_refused() {
        for (codings, good) in [
            (&[][..], true),
            (&["identity"], true),
            (&["Identity, identity"], true),
            (&["gzip"], false),
            (&["identity", "br"], false),
            (&["identity,deflate"], false),
            (&[""], false),
        ] {
            let mut headers = HeaderMap::new();
            for coding in codings {
                headers.append(CONTENT_ENCODING, coding.parse().unwrap());
            }
            let outcome = check_coding(&headers).map_err(|error| error.http_status());
            assert_eq!(outcome, if good { Ok(()) } else { Err(415) }, "{codings:?}");
        }
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused_before_and_while_it_is_read() {
        let mut body = Full::new(Bytes::from(vec![b'x'; 11]));
        assert_eq!(read(&mut body, bounds(10), &mut share(99), &SystemClock).await.unwrap_err().http_status(), 413);
        assert_eq!(read(&mut chunks(), bounds(10), &mut share(99), &SystemClock).await.unwrap_err().http_status(), 413);
        let mut body = Full::new(Bytes::from_static(b"ok"));
        assert_eq!(read(&mut body, bounds(10), &mut share(99), &SystemClock).await.unwrap(), "ok");
        assert_eq!(read(&mut chunks(), bounds(12), &mut share(12), &SystemClock).await.unwrap().len(), 12);
    }

    #[tokio::test]
    async fn a_body_for_which_there_is_no_room_is_refused_and_may_come_again() {
        let refused = read(&mut chunks(), bounds(99), &mut share(9), &SystemClock).await.unwrap_err();
        assert_eq!((refused.http_status(), refused.retry_after_seconds), (429, Some(RETRY_SECONDS)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_not_waited_for() {
        let silent = futures_util::stream::pending::<Result<hyper::body::Frame<Bytes>, Infallible>>();
        let refused = read(&mut StreamBody::new(silent), bounds(9), &mut share(9), &SystemClock).await.unwrap_err();
        assert!(refused.message.contains("60 seconds"), "{refused}");
    }
}
