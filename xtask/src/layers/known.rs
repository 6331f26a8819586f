//! Needs that are against the order today. The list only gets shorter: each of them has to be
//! there still, and to be wrong.

/// Who needs whom, as paths in `host/`.
pub(super) const KNOWN: &[(&str, &str)] = &[
    // Plugins: a tenant needs the host and a call what they need of it.
    ("plugin/read/table.rs", "plugin/read/mod.rs"),
    ("plugin/source/file.rs", "plugin/source/mod.rs"),
    ("plugin/source/folder.rs", "plugin/source/mod.rs"),
    ("plugin/tenant.rs", "plugin/call.rs"),
    ("plugin/tenant.rs", "plugin/host.rs"),
    // What defines a type, and what fills it.
    ("workflow/load/read/dynamic.rs", "workflow/load/read/mod.rs"),
    (
        "workflow/load/read/work.rs",
        "workflow/load/read/dynamic.rs",
    ),
    ("workflow/load/read/work.rs", "workflow/load/read/nodes.rs"),
    ("workflow/load/yaml/parse.rs", "workflow/load/yaml/mod.rs"),
    ("workflow/load/yaml/scalar.rs", "workflow/load/yaml/mod.rs"),
    ("workflow/plan/build.rs", "workflow/plan/mod.rs"),
    ("workflow/plan/check.rs", "workflow/plan/mod.rs"),
    ("workflow/plan/fan_in.rs", "workflow/plan/mod.rs"),
    ("workflow/plan/graph.rs", "workflow/plan/mod.rs"),
];
