//! Sized buffers and big-endian integers, as a TPM marshals them.

/// A TPM2B: the length in two bytes, and the bytes.
pub(super) fn sized(bytes: &[u8]) -> Vec<u8> {
    sized_all(&[bytes])
}

/// A TPM2B of several parts.
pub(super) fn sized_all(parts: &[&[u8]]) -> Vec<u8> {
    let length = parts.iter().map(|part| part.len()).sum::<usize>();
    // Nothing here is longer than a few hundred bytes; a longer one would not open, and harm nobody.
    let mut all = Vec::with_capacity(length + 2);
    all.extend(u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
    parts.iter().for_each(|part| all.extend(*part));
    all
}

/// Reads from the front; `None` where there is too little.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.0
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn sized(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.u16()?);
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }
}
