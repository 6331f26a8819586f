//! WebAssembly's blocks and loops for Lua's jumps.

use std::collections::{BTreeMap, BTreeSet};

use crate::instruction::{Instruction, Op};

/// The order that instructions are written in: as they are, but for generic loops, whose call of the
/// iterator comes first. Nothing where such loops overlap.
pub(crate) fn order(code: &[Instruction]) -> Option<Vec<usize>> {
    let mut order = Vec::with_capacity(code.len());
    let mut left = vec![(0, code.len())];
    while let Some((start, end)) = left.pop() {
        for (pc, instruction) in code.iter().enumerate().take(end).skip(start) {
            order.push(pc);
            if instruction.op == Op::TForPrep {
                let call = pc + 1 + instruction.bx();
                if call + 1 >= end {
                    return None;
                }
                order.extend([call, call + 1]);
                left.extend([(call + 2, end), (pc + 1, call)]);
                break;
            }
        }
    }
    Some(order)
}

/// Which blocks and loops begin where, by places in the order.
#[derive(Default)]
pub(crate) struct Scopes {
    /// Loops, by where they begin: where their last jump back is.
    loops: BTreeMap<usize, usize>,
    /// Blocks, by the place that they end before: where they begin.
    blocks: BTreeMap<usize, usize>,
}

/// What is to be opened at a place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Ends before this place.
    Block(usize),
    /// Begins at this place.
    Loop(usize),
}

impl Scopes {
    /// Those that jumps from place to place need, nested as they have to be. Nothing where one leads into
    /// a loop from outside.
    pub(crate) fn of(jumps: &BTreeSet<(usize, usize)>) -> Option<Scopes> {
        let mut scopes = Scopes::default();
        for &(from, to) in jumps {
            if to <= from {
                let end = scopes.loops.entry(to).or_insert(from);
                *end = from.max(*end);
            } else {
                let start = scopes.blocks.entry(to).or_insert(from);
                *start = from.min(*start);
            }
        }
        while scopes.nest()? {}
        Some(scopes)
    }

    /// Makes those larger that overlap. Says whether there were any.
    fn nest(&mut self) -> Option<bool> {
        let mut changed = false;
        let loops: Vec<_> = self
            .loops
            .iter()
            .map(|(start, end)| (*start, *end))
            .collect();
        for &(start, end) in &loops {
            for &(inner, inner_end) in &loops {
                if start < inner && inner <= end && end < inner_end {
                    let end = self.loops.entry(start).or_insert(inner_end);
                    changed |= *end < inner_end;
                    *end = inner_end.max(*end);
                }
            }
        }
        let blocks: Vec<_> = self
            .blocks
            .iter()
            .map(|(end, start)| (*start, *end))
            .collect();
        for &(start, end) in &blocks {
            let mut earliest = start;
            for (&head, &last) in &self.loops {
                if head < start && start <= last && end > last {
                    earliest = earliest.min(head);
                }
                if start < head && head < end && end <= last {
                    return None;
                }
            }
            for &(other, other_end) in &blocks {
                if other < start && start < other_end && other_end < end {
                    earliest = earliest.min(other);
                }
            }
            changed |= earliest < start;
            self.blocks.insert(end, earliest);
        }
        Some(changed)
    }

    /// Those that begin at a place, the outermost first.
    pub(crate) fn opened_at(&self, place: usize) -> Vec<Scope> {
        let blocks = self.blocks.iter().filter(|(_, start)| **start == place);
        let mut opened: Vec<_> = blocks.map(|(end, _)| (*end, Scope::Block(*end))).collect();
        if let Some(last) = self.loops.get(&place) {
            opened.push((last + 1, Scope::Loop(place)));
        }
        // A block around a loop that ends where it does: the sort keeps their order.
        opened.sort_by_key(|(end, _)| std::cmp::Reverse(*end));
        opened.into_iter().map(|(_, scope)| scope).collect()
    }

    /// Whether a scope ends before a place.
    pub(crate) fn ends_at(&self, scope: Scope, place: usize) -> bool {
        match scope {
            Scope::Block(end) => end == place,
            Scope::Loop(start) => self.loops.get(&start).is_some_and(|last| last + 1 == place),
        }
    }
}
