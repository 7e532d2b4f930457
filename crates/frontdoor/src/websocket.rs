//! A WebSocket as the stream of bytes that it carries. One that waits holds no buffer.

use bytes::{Buf, Bytes, BytesMut};
use ferrohub_wire::websocket::{CLOSE_NORMAL, Decoder, Violation, encode, encode_close, encode_pong};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Longest payload of a frame that we send, bytes: what a TLS record holds.
const FRAME_BYTES: usize = 16 * 1024;
/// Reads that carry nothing, after which others have their turn: a peer may send control frames without end.
const EMPTY_READS: u32 = 16;

/// The bytes carried by the binary messages of a client whose upgrade was accepted. Pings are answered while it is read.
pub(crate) struct WebSocket<S> {
    stream: S,
    /// What came in right behind the upgrade.
    first: Bytes,
    decoder: Decoder,
    /// Frames on their way out: at most one message, one pong and the close frame.
    outbound: BytesMut,
    /// The stream under us has not been flushed since the last frame.
    unflushed: bool,
    reading: Reading,
    close_sent: bool,
}

/// What is made of the bytes that come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Frames,
    /// The peer said that it closes; whoever reads is told so once.
    Closed,
    /// Nothing that follows is looked at.
    Over(u16),
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// A WebSocket over `stream`, of which `first` was read already.
    pub(crate) fn new(stream: S, first: Bytes) -> Self {
        Self {
            stream,
            first,
            decoder: Decoder::default(),
            outbound: BytesMut::new(),
            unflushed: false,
            reading: Reading::Frames,
            close_sent: false,
        }
    }

    /// Reads bytes of the stream under us.
    fn poll_raw(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.first.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let here = self.first.len().min(buf.remaining());
        buf.put_slice(&self.first[..here]);
        self.first.advance(here);
        Poll::Ready(Ok(()))
    }

    /// Writes what is queued.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outbound.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.outbound))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outbound.advance(written);
            self.unflushed = true;
        }
        self.outbound = BytesMut::new();
        Poll::Ready(Ok(()))
    }

    fn poll_drain_and_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        if self.unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Answers the newest ping, once what is queued has gone. A peer that takes nothing is still read from.
    fn answer_ping(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.outbound.is_empty()
            && let Some(pong) = self.decoder.take_pong()
        {
            encode_pong(&pong, &mut self.outbound);
        }
        match self.poll_drain_and_flush(cx) {
            Poll::Ready(Err(error)) => Err(error),
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }

    /// The code of our close frame: the peer's own, that of its fault, or none in particular.
    fn closing_code(&self) -> u16 {
        match self.reading {
            Reading::Over(code) => code,
            Reading::Closed | Reading::Frames => self.decoder.close_code().unwrap_or(CLOSE_NORMAL),
        }
    }

    fn refuse(&mut self, violation: Violation) -> io::Error {
        self.reading = Reading::Over(violation.close_code());
        io::Error::new(io::ErrorKind::InvalidData, violation)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocket<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let begin = buf.filled().len();
        for _ in 0..EMPTY_READS {
            if this.reading == Reading::Closed {
                this.reading = Reading::Over(this.closing_code());
                return Poll::Ready(Ok(()));
            }
            this.answer_ping(cx)?;
            ready!(this.poll_raw(cx, buf))?;
            if buf.filled().len() == begin {
                return Poll::Ready(Ok(()));
            }
            let kept = match this.reading {
                Reading::Over(_) | Reading::Closed => 0,
                Reading::Frames => {
                    this.decoder.decode(&mut buf.filled_mut()[begin..]).map_err(|violation| this.refuse(violation))?
                }
            };
            buf.set_filled(begin + kept);
            if this.reading == Reading::Frames && this.decoder.close_code().is_some() {
                this.reading = Reading::Closed;
            }
            if kept > 0 {
                this.answer_ping(cx)?;
                return Poll::Ready(Ok(()));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocket<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        if this.close_sent {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let part = &buf[..buf.len().min(FRAME_BYTES)];
        encode(part, &mut this.outbound);
        // Whatever does not go out now goes with the next write or flush.
        if let Poll::Ready(Err(error)) = this.poll_drain(cx) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(part.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain_and_flush(cx))?;
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.close_sent {
            this.close_sent = true;
            encode_close(this.closing_code(), &mut this.outbound);
        }
        ready!(this.poll_drain_and_flush(cx))?;
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    /// A short frame as a client sends it, with a mask of zeros.
    fn client(first: u8, payload: &[u8]) -> Vec<u8> {
        [&[first, 0x80 | u8::try_from(payload.len()).unwrap(), 0, 0, 0, 0], payload].concat()
    }

    fn pair(first: &[u8], room: usize) -> (DuplexStream, WebSocket<DuplexStream>) {
        let (near, far) = tokio::io::duplex(room);
        (near, WebSocket::new(far, Bytes::copy_from_slice(first)))
    }

    #[tokio::test]
    async fn carries_bytes_both_ways_and_holds_none() {
        let (mut near, mut socket) = pair(&client(0x02, b"ab")[..7], 1024);
        near.write_all(&client(0x02, b"ab")[7..]).await.unwrap();
        near.write_all(&client(0x89, b"are you there")).await.unwrap();
        near.write_all(&client(0x80, b"cd")).await.unwrap();
        let mut got = [0; 4];
        socket.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"abcd");
        socket.write_all(b"xyz").await.unwrap();
        socket.flush().await.unwrap();
        let mut answer = [0; 20];
        near.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"\x8A\x0Dare you there\x82\x03xyz");
        assert_eq!((socket.outbound.capacity(), socket.first.len()), (0, 0));
    }

    #[tokio::test]
    async fn long_writes_become_several_messages() {
        let (mut near, mut socket) = pair(b"", 64);
        let sent = vec![7; FRAME_BYTES + 1];
        let writing = async {
            socket.write_all(&sent).await.unwrap();
            socket.shutdown().await.unwrap();
            drop(socket);
        };
        let mut got = Vec::new();
        let (_, read) = tokio::join!(writing, near.read_to_end(&mut got));
        read.unwrap();
        assert_eq!(got[..4], [0x82, 126, 0x40, 0]);
        assert_eq!(got[4 + FRAME_BYTES..], [0x82, 1, 7, 0x88, 2, 0x03, 0xE8]);
    }

    #[tokio::test]
    async fn a_close_frame_is_the_end_and_is_answered() {
        let (mut near, mut socket) = pair(b"", 1024);
        near.write_all(&[client(0x82, b"a"), client(0x88, &[0x0F, 0xA0]), client(0x82, b"b")].concat()).await.unwrap();
        let mut got = Vec::new();
        socket.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, b"a");
        socket.shutdown().await.unwrap();
        let mut answer = Vec::new();
        near.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, [0x88, 2, 0x0F, 0xA0]);
        assert_eq!(socket.write(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn a_fault_is_named_and_closes() {
        for (sent, code) in [(client(0x81, b"CONNECT"), 1003_u16), (vec![0x82, 1, b'x'], 1002)] {
            let (mut near, mut socket) = pair(b"", 1024);
            near.write_all(&sent).await.unwrap();
            let error = socket.read(&mut [0; 64]).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
            socket.shutdown().await.unwrap();
            let mut answer = [0; 4];
            near.read_exact(&mut answer).await.unwrap();
            assert_eq!(answer[2..], code.to_be_bytes());
            // Whatever else comes is not looked at.
            near.write_all(b"more").await.unwrap();
            near.shutdown().await.unwrap();
            assert_eq!(socket.read(&mut [0; 64]).await.unwrap(), 0);
        }
    }

    #[tokio::test]
    async fn pings_without_end_keep_nobody_from_their_turn_and_fill_nothing() {
        let (mut near, mut socket) = pair(b"", 256);
        let flood = tokio::spawn(async move {
            let pings = client(0x89, b"ping").repeat(100);
            // Nothing is ever read of the answers.
            for _ in 0..1000 {
                if near.write_all(&pings).await.is_err() {
                    return near;
                }
            }
            near.write_all(&client(0x82, b"done")).await.unwrap();
            near
        });
        let (mut got, mut turns) = ([0; 4], 0);
        let reading = async { socket.read_exact(&mut got).await.map(|_| ()) };
        let others = async {
            loop {
                turns += 1;
                tokio::task::yield_now().await;
            }
        };
        tokio::select! { biased; () = others => {}, read = reading => read.unwrap() }
        assert_eq!(&got, b"done");
        assert!(turns > 100, "{turns}");
        assert!(socket.outbound.len() <= 8, "{}", socket.outbound.len());
        drop(flood.await.unwrap());
    }
}
