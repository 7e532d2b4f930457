//! Leases: who holds something for a while, and loses it by falling silent. Rows say until when, by the clock of whoever wrote
//! them: one that was set back since shall neither make a lease last for hours nor keep its holder from renewing it.

/// Whether a lease of `length` can end at `until`, where it is `now`; all in one unit. What is longer, and as long again for
/// clocks that differ, is of a clock that was set back since.
pub(crate) fn is_possible(until: i64, now: i64, length: i64) -> bool {
    until.saturating_sub(now) <= length.saturating_mul(2)
}

/// Whether somebody has it at `now`.
pub(crate) fn holds(until: i64, now: i64, length: i64) -> bool {
    now < until && is_possible(until, now, length)
}

/// Whether its holder need not renew it yet: less than a third of it has passed.
pub(crate) fn is_fresh(until: i64, now: i64, length: i64) -> bool {
    let left = until.saturating_sub(now);
    left > length / 3 * 2 && left <= length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_of_a_clock_that_was_set_back_is_over_and_renewed() {
        const DAY: i64 = 24 * 3600;
        for (left, held, fresh) in
            [(0, false, false), (1, true, false), (20, true, false), (21, true, true), (30, true, true)]
        {
            assert_eq!((holds(1000 + left, 1000, 30), is_fresh(1000 + left, 1000, 30)), (held, fresh), "{left}");
        }
        assert!(holds(1045, 1000, 30), "clocks of two machines differ");
        assert!(!holds(1000 + DAY, 1000, 30) && !is_fresh(1000 + DAY, 1000, 30));
        assert!(!holds(i64::MAX, i64::MIN, 30) && !is_fresh(i64::MIN, i64::MAX, 30));
    }
}
