//! Tables written by `scripts/goldens/tables.py`, one row a line. Nothing here is edited by hand.

#[rustfmt::skip]
pub(super) mod classes;
