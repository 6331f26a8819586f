//! All unsafe code of the host's: each call with its argument.

pub(crate) mod huge_pages;
pub(super) mod machine_code;
