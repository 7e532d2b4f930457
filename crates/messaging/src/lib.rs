//! The EventLog and Bus traits, the disk seam and their conformance suites.
