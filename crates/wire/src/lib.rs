//! Protocols as bytes in and events out: no sockets, no clock.
