//! The embedded EventLog (one journal per data folder) and the in-process Bus.
