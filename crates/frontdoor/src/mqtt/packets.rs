//! Packets over a stream: one buffer each way, bounded by the decoder's limit. A connection that waits holds neither.

use super::End;
use bytes::BytesMut;
use ferrohub_model::clock::{Clock, Moment, timeout, timeout_at};
use ferrohub_model::limits::{MQTT_UNREAD_BYTES, MQTT_WRITE_TIMEOUT};
use ferrohub_wire::mqtt::{Decoder, MqttError, Packet, Publish, QoS, encode};
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

/// Bytes asked for with each read: the most that a TLS record holds.
const READ_BYTES: usize = 16 * 1024;

thread_local! {
    /// Where reads go first, so that thousands of connections that wait need no buffer each.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// Time in which a peer must take the last that is written to it.
const LAST_WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// Time in which a peer is expected to close its side too.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// Reads that are thrown away while a connection closes.
const LAST_READS: usize = 64;

/// The stream of one connection with its codec.
pub(super) struct PacketStream<S> {
    stream: S,
    decoder: Decoder,
    inbound: BytesMut,
    outbound: BytesMut,
    /// By when the peer must have taken what is queued, while something is.
    due: Option<Moment>,
    clock: Arc<dyn Clock>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> PacketStream<S> {
    /// A stream that refuses packets over `max_packet_bytes`.
    pub(super) fn new(stream: S, max_packet_bytes: usize, clock: Arc<dyn Clock>) -> Self {
        let decoder = Decoder::new(max_packet_bytes);
        Self { stream, decoder, inbound: BytesMut::new(), outbound: BytesMut::new(), due: None, clock }
    }

    /// Changes the limit for the packets that follow.
    pub(super) fn set_max(&mut self, max_packet_bytes: usize) {
        self.decoder.set_max(max_packet_bytes);
    }

    /// The next packet among the bytes that are here already.
    pub(super) fn next(&mut self) -> Result<Option<Packet>, MqttError> {
        let packet = self.decoder.decode(&mut self.inbound);
        if self.inbound.is_empty() {
            // Gives up the buffer, which messages on their way to the log may still share.
            self.inbound = BytesMut::new();
        }
        packet
    }

    /// Waits for more bytes; false at the end of the stream. Nothing is lost when the future is dropped.
    pub(super) async fn fill(&mut self) -> io::Result<bool> {
        poll_fn(|cx| self.poll_fill(cx)).await
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut read = ReadBuf::new(scratch);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read))?;
            if self.inbound.is_empty() {
                self.inbound = BytesMut::from(read.filled());
            } else {
                self.inbound.extend_from_slice(read.filled());
            }
            Poll::Ready(Ok(!read.filled().is_empty()))
        })
    }

    /// Waits for the next packet; `None` at the end of the stream.
    pub(super) async fn read(&mut self) -> Result<Option<Packet>, PacketError> {
        loop {
            if let Some(packet) = self.next()? {
                return Ok(Some(packet));
            }
            if !self.fill().await? {
                return Ok(None);
            }
        }
    }

    /// Queues a packet for [`Self::flush`].
    pub(super) fn send(&mut self, packet: &Packet) {
        // Our own packets are well-formed except for a topic that repeats what the peer sent: drop that one.
        if let Err(error) = encode(packet, &mut self.outbound) {
            tracing::debug!(%error, "a packet could not be written");
        }
    }

    /// Whether the peer must read some of its answers before it gets more.
    pub(super) fn owes(&self) -> bool {
        self.outbound.len() > MQTT_UNREAD_BYTES
    }

    /// Queues a message at QoS 0.
    pub(super) fn deliver(&mut self, topic: String, payload: Vec<u8>) {
        self.send(&Packet::Publish(Publish {
            dup: false,
            qos: QoS::AtMostOnce,
            retain: false,
            topic,
            packet_id: None,
            payload: payload.into(),
        }));
    }

    /// Writes what is queued. May be dropped and called again without loss, and without more time for the peer.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        if self.outbound.is_empty() && self.due.is_none() {
            return Ok(());
        }
        let due = *self.due.get_or_insert_with(|| self.clock.monotonic() + MQTT_WRITE_TIMEOUT);
        self.flush_until(due).await
    }

    async fn flush_until(&mut self, due: Moment) -> io::Result<()> {
        let write = async {
            self.stream.write_all_buf(&mut self.outbound).await?;
            self.stream.flush().await?;
            self.outbound = BytesMut::new();
            self.due = None;
            Ok(())
        };
        timeout_at(self.clock.as_ref(), due, write).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    /// Writes what is queued and ends the stream; a peer that is gone already is no fault.
    pub(super) async fn close(mut self) {
        let due = self.clock.monotonic() + LAST_WRITE_TIMEOUT;
        let _ = self.flush_until(due).await;
        let clock = Arc::clone(&self.clock);
        let end = async {
            self.stream.shutdown().await?;
            // Closing a socket with unread bytes resets it, and the peer may then lose our last packet.
            for _ in 0..LAST_READS {
                self.inbound.clear();
                if !self.fill().await? {
                    break;
                }
            }
            Ok::<(), io::Error>(())
        };
        let _ = timeout(clock.as_ref(), CLOSE_TIMEOUT, end).await;
    }
}

/// Why a connection that broke has ended.
pub(super) fn broken(error: &io::Error) -> End {
    // A stream under us says so of what its peer must not send: a frame of WebSocket, a record of TLS.
    if error.kind() == io::ErrorKind::InvalidData { End::Offence(error.to_string()) } else { End::Vanished }
}

/// Why no packet could be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum PacketError {
    /// The peer broke the protocol.
    #[error(transparent)]
    Protocol(#[from] MqttError),
    /// The connection broke.
    #[error(transparent)]
    Broken(#[from] io::Error),
}
