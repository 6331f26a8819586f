//! `moonfork inspect`: the shape of a workflow, for people and for programs that draw.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::ValueEnum;
use moonfork::workflow::{Outline, OutlineWay, WayKind, Workflow};

use super::{stream, workflow};

/// The arguments of `inspect`.
#[derive(Debug, clap::Args)]
pub(super) struct InspectArgs {
    /// The workflow, a YAML file.
    file: PathBuf,

    #[command(flatten)]
    overlays: workflow::OverlayArgs,

    /// How to show it.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For Graphviz.
    Dot,
    /// For Mermaid.
    Mermaid,
}

/// Shows the shape of a workflow. None of it is run.
pub(super) fn inspect(args: InspectArgs) -> anyhow::Result<()> {
    let source = args.overlays.source(&args.file);
    let workflow = workflow::load(&source, false)?;
    let outline = workflow.outline();
    if !outline.complete {
        stream::note(format_args!("warning: there are more ways than are shown"));
    }
    match args.format {
        Format::Text => stream::print(&text(&workflow, &outline)),
        Format::Json => stream::print_json(&outline),
        Format::Dot => stream::print(&dot(&outline)),
        Format::Mermaid => stream::print(&mermaid(&outline)),
    }
}

fn text(workflow: &Workflow, outline: &Outline) -> String {
    let mut out = String::new();
    if let Some(name) = &outline.name {
        let _ = writeln!(out, "{name}");
    }
    if let Some(description) = &outline.description {
        let _ = writeln!(out, "{}", description.trim_end());
    }
    let _ = writeln!(out, "nodes:");
    for node in &outline.nodes {
        let _ = write!(out, "  {} ({}, line {})", node.name, node.kind, node.line);
        if let Some(detail) = &node.detail {
            let _ = write!(out, ": {detail}");
        }
        out.push('\n');
    }
    let _ = writeln!(out, "plan:");
    for line in workflow.plan().to_string().lines() {
        let _ = writeln!(out, "  {line}");
    }
    out
}

/// What is written on a way.
fn label(way: &OutlineWay) -> Option<&str> {
    match way.kind {
        WayKind::Fallback => Some("on failure"),
        _ => way.condition.as_deref(),
    }
}

fn dot(outline: &Outline) -> String {
    let quote = |text: &str| {
        let text = text.replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{}\"", text.replace('\n', "\\n"))
    };
    let name = outline.name.as_deref().unwrap_or("workflow");
    let mut out = format!("digraph {} {{\n  node [shape=box];\n", quote(name));
    let _ = writeln!(out, "  \"__start__\" [shape=circle, label=\"\"];");
    let _ = writeln!(out, "  \"__end__\" [shape=doublecircle, label=\"\"];");
    for node in &outline.nodes {
        let shape = match node.kind {
            "while_loop" => "ellipse",
            "dynamic_parallel" | "matrix" | "parallel_each" => "box3d",
            _ => "box",
        };
        let _ = writeln!(out, "  {} [shape={shape}];", quote(&node.name));
    }
    for way in &outline.ways {
        let mut attributes = Vec::new();
        if let Some(label) = label(way) {
            attributes.push(format!("label={}", quote(label)));
        }
        match way.kind {
            WayKind::Fallback => attributes.push("style=dotted".to_owned()),
            WayKind::Branch | WayKind::FanIn => attributes.push("style=dashed".to_owned()),
            _ => {}
        }
        let (from, to) = (quote(&way.from), quote(&way.to));
        let _ = write!(out, "  {from} -> {to}");
        if !attributes.is_empty() {
            let _ = write!(out, " [{}]", attributes.join(", "));
        }
        out.push_str(";\n");
    }
    out.push_str("}\n");
    out
}

fn mermaid(outline: &Outline) -> String {
    // Names may hold anything, identifiers may not.
    let nodes = outline.nodes.iter().enumerate();
    let numbers: HashMap<&str, usize> = nodes.map(|(at, node)| (node.name.as_str(), at)).collect();
    let id = |name: &str| match name {
        "__start__" => "start".to_owned(),
        "__end__" => "finish".to_owned(),
        name => format!("n{}", numbers.get(name).copied().unwrap_or_default()),
    };
    let quote = |text: &str| {
        let text = text.replace('&', "#amp;").replace('"', "#quot;");
        let text = text.replace('<', "#lt;").replace('>', "#gt;");
        format!("\"{text}\"")
    };
    let mut out = String::from("flowchart TD\n  start((start))\n  finish((end))\n");
    for node in &outline.nodes {
        let _ = writeln!(out, "  {}[{}]", id(&node.name), quote(&node.name));
    }
    for way in &outline.ways {
        let arrow = match way.kind {
            WayKind::Fallback | WayKind::Branch | WayKind::FanIn => "-.->",
            _ => "-->",
        };
        let label = label(way).map(|label| format!("|{}|", quote(label)));
        let (from, to) = (id(&way.from), id(&way.to));
        let _ = writeln!(out, "  {from} {arrow}{} {to}", label.unwrap_or_default());
    }
    out
}
