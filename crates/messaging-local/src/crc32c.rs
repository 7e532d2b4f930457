//! CRC-32C (Castagnoli, reflected polynomial 0x82F63B78), eight bytes at a time.

const POLYNOMIAL: u32 = 0x82F6_3B78;

static TABLES: [[u32; 256]; 8] = tables();

const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0u32; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (POLYNOMIAL & 0u32.wrapping_sub(crc & 1));
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut table = 1;
    while table < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[table - 1][byte];
            tables[table][byte] = (before >> 8) ^ tables[0][(before & 0xff) as usize];
            byte += 1;
        }
        table += 1;
    }
    tables
}

/// CRC-32C over the bytes of `parts`, one after the other; a `seed` other than 0 makes it a checksum of
/// its own.
pub(crate) fn crc32c(seed: u32, parts: &[&[u8]]) -> u32 {
    !parts.iter().fold(!seed, |crc, part| extend(crc, part))
}

fn extend(mut crc: u32, bytes: &[u8]) -> u32 {
    let (chunks, rest) = bytes.as_chunks::<8>();
    for &[a, b, c, d, e, f, g, h] in chunks {
        let low = crc ^ u32::from_le_bytes([a, b, c, d]);
        let [a, b, c, d] = low.to_le_bytes();
        crc = [h, g, f, e, d, c, b, a]
            .into_iter()
            .zip(&TABLES)
            .fold(0, |sum, (byte, table)| sum ^ table[usize::from(byte)]);
    }
    for byte in rest {
        crc = (crc >> 8) ^ TABLES[0][((crc ^ u32::from(*byte)) & 0xff) as usize];
    }
    crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        // RFC 3720, appendix B.4, and the customary check value.
        assert_eq!(crc32c(0, &[b"123456789"]), 0xE306_9283);
        assert_eq!(crc32c(0, &[&[0; 32]]), 0x8A91_36AA);
        assert_eq!(crc32c(0, &[&[0xff; 32]]), 0x62A8_AB43);
        let ascending: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c(0, &[&ascending]), 0x46DD_794E);
        assert_eq!(crc32c(0, &[]), 0);
    }

    #[test]
    fn parts_make_the_whole() {
        let bytes: Vec<u8> = (0..100).collect();
        for cut in 0..bytes.len() {
            assert_eq!(crc32c(0, &[&bytes[..cut], &bytes[cut..]]), crc32c(0, &[&bytes]), "cut at {cut}");
        }
    }
}
