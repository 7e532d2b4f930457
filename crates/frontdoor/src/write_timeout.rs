//! A stream whose peer must take what is written to it. HTTP has timeouts for what a peer sends only: one
//! that asks and never reads would otherwise hold its connection for ever.

use ferrohub_model::clock::{Clock, Sleep};
use ferrohub_model::limits::HTTP_WRITE_TIMEOUT;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that fails with `TimedOut` once a write made no progress for [`HTTP_WRITE_TIMEOUT`].
pub(crate) struct WriteTimeout<S> {
    stream: S,
    /// Runs while a write waits.
    waiting: Option<Sleep>,
    clock: Arc<dyn Clock>,
}

impl<S> WriteTimeout<S> {
    pub(crate) fn new(stream: S, clock: Arc<dyn Clock>) -> Self {
        Self { stream, waiting: None, clock }
    }

    /// Passes on what the stream said; while that is "not yet", the clock runs.
    fn judge<T>(&mut self, outcome: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.waiting = None;
            return outcome;
        }
        let waiting = self.waiting.get_or_insert_with(|| self.clock.sleep(HTTP_WRITE_TIMEOUT));
        waiting.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteTimeout<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteTimeout<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.judge(outcome, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        self.judge(outcome, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.judge(outcome, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.judge(outcome, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrohub_clock::SystemClock;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// Hyper over such a stream, as the HTTPS and the plain ports use it.
    fn serve(far: tokio::io::DuplexStream) -> tokio::task::JoinHandle<bool> {
        let answer = hyper::service::service_fn(|_| async {
            Ok::<_, std::convert::Infallible>(http::Response::new(http_body_util::Full::new(bytes::Bytes::from(
                vec![b'x'; 4096],
            ))))
        });
        let io = hyper_util::rt::TokioIo::new(WriteTimeout::new(far, SystemClock::shared()));
        tokio::spawn(
            async move { hyper::server::conn::http1::Builder::new().serve_connection(io, answer).await.is_ok() },
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_asks_and_never_reads_is_dropped() {
        let (mut near, far) = tokio::io::duplex(1024);
        let served = serve(far);
        let begun = SystemClock.monotonic();
        near.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        assert!(!served.await.unwrap(), "the connection ended well");
        assert_eq!(SystemClock.monotonic().since(begun).as_secs(), HTTP_WRITE_TIMEOUT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_peer_is_served() {
        let (mut near, far) = tokio::io::duplex(1024);
        let served = serve(far);
        near.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        let (mut total, mut part) = (0, [0; 1024]);
        loop {
            // Longer than the timeout in all, shorter between two reads.
            SystemClock.sleep(HTTP_WRITE_TIMEOUT / 2).await;
            match near.read(&mut part).await.unwrap() {
                0 => break,
                read => total += read,
            }
        }
        assert!(total > 4096, "{total}");
        assert!(served.await.unwrap());
    }
}
