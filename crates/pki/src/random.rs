//! The provider's random number generator behind the model's [`Random`] trait.

use ferrohub_model::random::Random;

/// Random bytes from aws-lc-rs: the product's one source outside tests.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) {
        // The trait's contract: without randomness nothing safe can follow, so the process stops.
        if aws_lc_rs::rand::fill(bytes).is_err() {
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ_and_fill_the_whole_buffer() {
        let (mut a, mut b) = ([0u8; 64], [0u8; 64]);
        SystemRandom.fill(&mut a);
        SystemRandom.fill(&mut b);
        assert_ne!(a, b);
        assert_ne!(a[32..], [0u8; 32]);
    }
}
