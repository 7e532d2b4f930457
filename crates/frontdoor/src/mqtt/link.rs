//! Packets over a stream: one buffer each way, bounded by the decoder's limit.

use bytes::BytesMut;
use ferrohub_model::limits::MQTT_WRITE_TIMEOUT;
use ferrohub_wire::mqtt::{Decoder, MqttError, Packet, Publish, QoS, encode};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes asked for with each read: about four TLS records' worth of small messages.
const READ_BYTES: usize = 16 * 1024;

/// Time in which a peer is expected to close its side too.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// Reads that are thrown away while a connection closes.
const LAST_READS: usize = 64;

/// The stream of one connection with its codec.
pub(super) struct Link<S> {
    stream: S,
    decoder: Decoder,
    inbound: BytesMut,
    outbound: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    /// A link that refuses packets over `max_packet_bytes`.
    pub(super) fn new(stream: S, max_packet_bytes: usize) -> Self {
        Self { stream, decoder: Decoder::new(max_packet_bytes), inbound: BytesMut::new(), outbound: BytesMut::new() }
    }

    /// Changes the limit for the packets that follow.
    pub(super) fn set_max(&mut self, max_packet_bytes: usize) {
        self.decoder.set_max(max_packet_bytes);
    }

    /// The next packet among the bytes that are here already.
    pub(super) fn next(&mut self) -> Result<Option<Packet>, MqttError> {
        self.decoder.decode(&mut self.inbound)
    }

    /// Waits for more bytes; false at the end of the stream. Nothing is lost when the future is dropped.
    pub(super) async fn fill(&mut self) -> io::Result<bool> {
        self.inbound.reserve(READ_BYTES);
        Ok(self.stream.read_buf(&mut self.inbound).await? > 0)
    }

    /// Waits for the next packet; `None` at the end of the stream.
    pub(super) async fn read(&mut self) -> Result<Option<Packet>, LinkError> {
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

    /// Writes what is queued.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        if self.outbound.is_empty() {
            return Ok(());
        }
        let write = async {
            self.stream.write_all_buf(&mut self.outbound).await?;
            self.stream.flush().await
        };
        tokio::time::timeout(MQTT_WRITE_TIMEOUT, write).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    /// Writes what is queued and ends the stream; a peer that is gone already is no fault.
    pub(super) async fn close(mut self) {
        let _ = self.flush().await;
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
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, end).await;
    }
}

/// Why no packet could be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    /// The peer broke the protocol.
    #[error(transparent)]
    Protocol(#[from] MqttError),
    /// The connection broke.
    #[error(transparent)]
    Broken(#[from] io::Error),
}
