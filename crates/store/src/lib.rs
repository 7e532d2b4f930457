//! The Store trait, the unit of work and the conformance suite that every engine passes.
