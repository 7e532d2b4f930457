//! WebSocket frames.

use ferrohub_wire::websocket::{CONTROL_BYTES, Decoder, Violation};

/// Takes a stream of frames apart: at once and byte by byte alike, and never into more bytes than came in.
pub(crate) fn websocket(data: &[u8]) {
    let (whole, pong, end) = decode(data, data.len().max(1));
    let (drops, pong_too, end_too) = decode(data, 1);
    assert_eq!((pong, end), (pong_too, end_too));
    assert!(whole.len() <= data.len() && pong.is_none_or(|length| length <= CONTROL_BYTES));
    match end {
        // What came before the fault in the same piece is lost with it.
        Err(_) => assert!(drops.starts_with(&whole)),
        Ok(_) => assert_eq!(whole, drops),
    }
}

/// The bytes that were carried, the length of the newest ping, and the code of the close frame or the fault.
fn decode(data: &[u8], piece: usize) -> (Vec<u8>, Option<usize>, Result<Option<u16>, Violation>) {
    let mut decoder = Decoder::default();
    let (mut carried, mut pong) = (Vec::new(), None);
    for chunk in data.chunks(piece) {
        let mut chunk = chunk.to_vec();
        let decoded = decoder.decode(&mut chunk);
        pong = decoder.take_pong().map(|payload| payload.len()).or(pong);
        match decoded {
            Ok(kept) => carried.extend_from_slice(&chunk[..kept]),
            Err(fault) => return (carried, pong, Err(fault)),
        }
    }
    (carried, pong, Ok(decoder.close_code()))
}
