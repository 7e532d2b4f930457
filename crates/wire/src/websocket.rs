//! WebSocket (RFC 6455) as a server carries bytes over it: frames are taken apart where they lie, and nothing is kept of them.
//!
//! MQTT is a stream of bytes that ignores where a message of WebSocket ends (MQTT 3.1.1, 6), so a payload is handed on as it comes
//! in. No frame, however long it says it is, costs memory here.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut as _, BytesMut};

/// What the server hashes with a client's key (RFC 6455, 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Longest payload of a control frame, bytes (RFC 6455, 5.5).
pub const CONTROL_BYTES: usize = 125;
/// Longest head of a frame, bytes: two, a length of eight, and a mask.
const HEAD_BYTES: usize = 14;
/// The bit of a frame that is a message's last.
const FINAL: u8 = 0x80;
/// The bit of a frame whose payload is masked.
const MASKED: u8 = 0x80;
/// Close code: the end was meant (RFC 6455, 7.4.1).
pub const CLOSE_NORMAL: u16 = 1000;

/// The `Sec-WebSocket-Accept` for a client's `Sec-WebSocket-Key`; `None` for a key that is not 16 bytes in base64.
pub fn accept_key(key: &str) -> Option<String> {
    let nonce = STANDARD.decode(key).ok()?;
    let hash = || STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{GUID}").as_bytes()));
    (nonce.len() == 16).then(hash)
}

/// What a client must not send; the connection ends with [`Violation::close_code`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Reserved bits, for which no extension was agreed on.
    #[error("a WebSocket frame has a reserved bit set")]
    ReservedBits,
    /// An opcode that RFC 6455 does not know.
    #[error("a WebSocket frame has the unknown opcode {0}")]
    Opcode(u8),
    /// A client masks what it sends.
    #[error("a WebSocket frame is not masked")]
    Unmasked,
    /// A control frame in parts, or too long a one.
    #[error("a WebSocket control frame is in parts or longer than {CONTROL_BYTES} bytes")]
    Control,
    /// A part of nothing, or a new message inside of another.
    #[error("a WebSocket message is out of order")]
    Order,
    /// A length of more than 63 bits, or a close frame of one byte.
    #[error("a WebSocket frame has an impossible length")]
    Length,
    /// MQTT is carried in binary messages (MQTT 3.1.1, 6).
    #[error("a WebSocket message is text; MQTT is carried in binary messages")]
    Text,
}

impl Violation {
    /// The code to close with (RFC 6455, 7.4.1).
    pub fn close_code(self) -> u16 {
        match self {
            Self::Text => 1003,
            _ => 1002,
        }
    }
}

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Data,
    Ping,
    Pong,
    Close,
}

/// The frame whose payload is coming in.
#[derive(Debug, Clone, Copy)]
struct Frame {
    kind: Kind,
    left: u64,
    mask: [u8; 4],
    /// Bytes of the payload that were read.
    read: usize,
}

/// Takes the frames of a client apart.
#[derive(Debug, Default)]
pub struct Decoder {
    head: [u8; HEAD_BYTES],
    head_len: usize,
    frame: Option<Frame>,
    /// A message whose last part has not come.
    in_message: bool,
    /// Payload of the control frame that is coming in.
    control: Vec<u8>,
    pong: Option<Vec<u8>>,
    close: Option<u16>,
}

impl Decoder {
    /// Moves the payloads of binary messages among `bytes` to their front and gives their length. What comes after a close frame is
    /// ignored.
    ///
    /// # Errors
    /// [`Violation`]; nothing more can be read then.
    pub fn decode(&mut self, bytes: &mut [u8]) -> Result<usize, Violation> {
        let (mut at, mut kept) = (0, 0);
        while at < bytes.len() && self.close.is_none() {
            let Some(frame) = &mut self.frame else {
                self.head[self.head_len] = bytes[at];
                self.head_len += 1;
                at += 1;
                self.begin()?;
                continue;
            };
            let here = usize::try_from(frame.left).unwrap_or(usize::MAX).min(bytes.len() - at);
            for byte in &mut bytes[at..at + here] {
                *byte ^= frame.mask[frame.read % 4];
                frame.read = frame.read.wrapping_add(1);
            }
            frame.left -= here as u64;
            let (kind, over) = (frame.kind, frame.left == 0);
            if kind == Kind::Data {
                bytes.copy_within(at..at + here, kept);
                kept += here;
            } else {
                self.control.extend_from_slice(&bytes[at..at + here]);
            }
            at += here;
            if over {
                self.finish(kind)?;
            }
        }
        Ok(kept)
    }

    /// The payload of the newest ping that was not answered yet: older ones need no answer (RFC 6455, 5.5.3).
    pub fn take_pong(&mut self) -> Option<Vec<u8>> {
        self.pong.take()
    }

    /// The code with which to answer the client's close frame, once that has come.
    pub fn close_code(&self) -> Option<u16> {
        self.close
    }

    /// Looks at the head as far as it has come, and opens the frame once it is whole.
    fn begin(&mut self) -> Result<(), Violation> {
        let head = &self.head[..self.head_len];
        let first = head[0];
        let (last, control) = (first & FINAL != 0, first & 0x08 != 0);
        let kind = self.kind(first)?;
        let Some(second) = head.get(1) else { return Ok(()) };
        if second & MASKED == 0 {
            return Err(Violation::Unmasked);
        }
        let short = second & !MASKED;
        if control && (!last || usize::from(short) > CONTROL_BYTES) {
            return Err(Violation::Control);
        }
        let length_bytes = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if head.len() < 2 + length_bytes + 4 {
            return Ok(());
        }
        let (length, mask) = head[2..].split_at(length_bytes);
        let left = match length_bytes {
            0 => u64::from(short),
            _ => length.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        };
        if left >> 63 != 0 {
            return Err(Violation::Length);
        }
        let mask = [mask[0], mask[1], mask[2], mask[3]];
        self.head_len = 0;
        if !control {
            self.in_message = !last;
        }
        if left == 0 {
            return self.finish(kind);
        }
        self.frame = Some(Frame { kind, left, mask, read: 0 });
        Ok(())
    }

    fn kind(&self, first: u8) -> Result<Kind, Violation> {
        if first & 0x70 != 0 {
            return Err(Violation::ReservedBits);
        }
        match first & 0x0f {
            0 if self.in_message => Ok(Kind::Data),
            2 if !self.in_message => Ok(Kind::Data),
            0 | 2 => Err(Violation::Order),
            1 => Err(Violation::Text),
            8 => Ok(Kind::Close),
            9 => Ok(Kind::Ping),
            10 => Ok(Kind::Pong),
            other => Err(Violation::Opcode(other)),
        }
    }

    fn finish(&mut self, kind: Kind) -> Result<(), Violation> {
        self.frame = None;
        let payload = std::mem::take(&mut self.control);
        match kind {
            Kind::Data | Kind::Pong => {}
            Kind::Ping => self.pong = Some(payload),
            Kind::Close => {
                self.close = Some(match payload.as_slice() {
                    [] => CLOSE_NORMAL,
                    [high, low, ..] => answer_to(u16::from_be_bytes([*high, *low])),
                    [_] => return Err(Violation::Length),
                });
            }
        }
        Ok(())
    }
}

/// The code that answers a close frame: the same, or that of a broken protocol for one that nobody may send.
fn answer_to(code: u16) -> u16 {
    match code {
        1000..=1003 | 1007..=1014 | 3000..=4999 => code,
        _ => Violation::Length.close_code(),
    }
}

/// Appends a binary message of one frame, as a server sends it.
pub fn encode(payload: &[u8], out: &mut BytesMut) {
    frame(0x2, payload, out);
}

/// Appends the answer to a ping.
pub fn encode_pong(payload: &[u8], out: &mut BytesMut) {
    frame(0xA, payload, out);
}

/// Appends a close frame.
pub fn encode_close(code: u16, out: &mut BytesMut) {
    frame(0x8, &code.to_be_bytes(), out);
}

fn frame(opcode: u8, payload: &[u8], out: &mut BytesMut) {
    let length = payload.len() as u64;
    out.put_u8(FINAL | opcode);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if usize::from(short) <= CONTROL_BYTES => out.put_u8(short),
        (_, Ok(medium)) => {
            out.put_u8(126);
            out.put_u16(medium);
        }
        _ => {
            out.put_u8(127);
            out.put_u64(length);
        }
    }
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A frame as a client sends it.
    fn client(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut plain = BytesMut::new();
        frame(0, payload, &mut plain);
        let head = plain.len() - payload.len();
        let mask = [0x37, 0xfa, 0x21, 0x3d];
        let mut sent = vec![first, plain[1] | MASKED];
        sent.extend(&plain[2..head]);
        sent.extend(mask);
        sent.extend(payload.iter().enumerate().map(|(nth, byte)| byte ^ mask[nth % 4]));
        sent
    }

    fn decoded(decoder: &mut Decoder, mut bytes: Vec<u8>) -> Result<Vec<u8>, Violation> {
        let kept = decoder.decode(&mut bytes)?;
        bytes.truncate(kept);
        Ok(bytes)
    }

    #[test]
    fn the_key_of_the_standard() {
        assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ==").as_deref(), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        for key in ["", "dGhlIHNhbXBsZQ==", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ==\n"] {
            assert_eq!(accept_key(key), None, "{key}");
        }
    }

    #[test]
    fn parts_and_control_frames_between_them() {
        let mut decoder = Decoder::default();
        let mut sent = client(0x02, b"Hel");
        sent.extend(client(0x89, b"first"));
        sent.extend(client(0x89, b"second"));
        sent.extend(client(0x8A, b""));
        sent.extend(client(0x00, b""));
        sent.extend(client(0x80, b"lo"));
        sent.extend(client(0x82, b", all"));
        assert_eq!(decoded(&mut decoder, sent).unwrap(), b"Hello, all");
        assert_eq!(decoder.take_pong().as_deref(), Some(&b"second"[..]));
        assert_eq!((decoder.take_pong(), decoder.close_code()), (None, None));
    }

    #[test]
    fn a_close_frame_ends_it() {
        for (payload, answer) in [
            (&b""[..], 1000),
            (&[0x03, 0xE8][..], 1000),
            (&[0x0F, 0xA0, b'x'][..], 4000),
            (&[0x03, 0xED][..], 1002),
            (&[0xFF, 0xFF][..], 1002),
        ] {
            let mut decoder = Decoder::default();
            let mut sent = client(0x82, b"a");
            sent.extend(client(0x88, payload));
            sent.extend(client(0x81, b"ignored"));
            assert_eq!(decoded(&mut decoder, sent).unwrap(), b"a");
            assert_eq!(decoder.close_code(), Some(answer), "{payload:?}");
        }
    }

    #[test]
    fn what_a_client_must_not_send() {
        let long = vec![0; 126];
        for (bytes, violation) in [
            (client(0xC2, b"x"), Violation::ReservedBits),
            (client(0x81, b"x"), Violation::Text),
            (client(0x01, b"x"), Violation::Text),
            (client(0x83, b"x"), Violation::Opcode(3)),
            (client(0x8B, b"x"), Violation::Opcode(11)),
            (client(0x80, b"x"), Violation::Order),
            ([client(0x02, b"x"), client(0x82, b"x")].concat(), Violation::Order),
            (vec![0x82, 0x01, b'x'], Violation::Unmasked),
            (client(0x09, b"x"), Violation::Control),
            (client(0x89, &long), Violation::Control),
            (client(0x88, b"x"), Violation::Length),
            (vec![0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], Violation::Length),
        ] {
            assert_eq!(decoded(&mut Decoder::default(), bytes.clone()), Err(violation), "{bytes:?}");
        }
        // Text is refused by its first byte, before anything of it is read.
        assert_eq!(Decoder::default().decode(&mut [0x81]), Err(Violation::Text));
        assert_eq!((Violation::Text.close_code(), Violation::Order.close_code()), (1003, 1002));
    }

    #[test]
    fn the_longest_frame_costs_nothing() {
        let mut decoder = Decoder::default();
        let mut head = vec![0x82, 0xFF, 0x7F];
        head.extend([0xFF; 7]);
        head.extend([0; 4]);
        assert_eq!(decoded(&mut decoder, head), Ok(Vec::new()));
        assert_eq!(decoded(&mut decoder, vec![7; 1000]), Ok(vec![7; 1000]));
        assert_eq!((decoder.control.capacity(), decoder.in_message), (0, false));
    }

    #[test]
    fn every_length_is_written_as_it_is_read() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536] {
            let payload = vec![9; length];
            let mut out = BytesMut::new();
            encode(&payload, &mut out);
            assert!(out.ends_with(&payload) && out.len() <= length + 10 && out[1] & MASKED == 0);
            assert_eq!(decoded(&mut Decoder::default(), client(0x82, &payload)), Ok(payload));
        }
        let mut out = BytesMut::new();
        encode_pong(b"p", &mut out);
        encode_close(CLOSE_NORMAL, &mut out);
        assert_eq!(out.as_ref(), [0x8A, 1, b'p', 0x88, 2, 0x03, 0xE8]);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let mut decoder = Decoder::default();
            for chunk in bytes.chunks(7) {
                if decoder.decode(&mut chunk.to_vec()).is_err() {
                    break;
                }
            }
            prop_assert!(decoder.control.len() <= CONTROL_BYTES);
        }

        #[test]
        fn what_is_sent_arrives_whatever_the_pieces(
            messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..6),
            piece in 1_usize..40,
        ) {
            let sent: Vec<u8> = messages.iter().flat_map(|message| client(0x82, message)).collect();
            let mut decoder = Decoder::default();
            let mut got = Vec::new();
            for chunk in sent.chunks(piece) {
                got.extend(decoded(&mut decoder, chunk.to_vec()).unwrap());
            }
            prop_assert_eq!(got, messages.concat());
        }
    }
}
