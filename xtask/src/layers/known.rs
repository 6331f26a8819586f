//! Needs that are against the order today. The list only gets shorter: each of them has to be
//! there still, and to be wrong.

/// Who needs whom, as paths in `host/`.
pub(super) const KNOWN: &[(&str, &str)] = &[
    // As in the format itself: a node's work may be steps, or a workflow with nodes of its own.
    ("workflow/load/read/dynamic.rs", "workflow/load/read/mod.rs"),
    (
        "workflow/load/read/work.rs",
        "workflow/load/read/dynamic.rs",
    ),
    ("workflow/load/read/work.rs", "workflow/load/read/nodes.rs"),
];
