//! The az-compatible command line and the simulated device.
