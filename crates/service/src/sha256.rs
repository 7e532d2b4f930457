//! The SHA-256 of bytes as rows and answers have it.

use aws_lc_rs::digest::{SHA256, digest};

/// The SHA-256 of `bytes` in 64 lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes))
}

#[cfg(test)]
mod tests {
    use super::hex;

    #[test]
    fn it_is_the_one_that_others_compute() {
        assert_eq!(hex(b"{}"), "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
    }
}
