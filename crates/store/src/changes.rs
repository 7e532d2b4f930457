//! What changed, for readers that hold rows in a form of their own.

/// What was written since a reader looked last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// Where things stand now: what the next call is given. It says nothing to anybody but the handle that gave it.
    pub upto: u64,
    /// Keys that were put or deleted, each with the name of its table; more than once where that happened more than once. A
    /// key may be given without a change. `None` when the engine does not remember that far back: everything is to be read
    /// again, after this call.
    pub keys: Option<Vec<(&'static str, String)>>,
}
