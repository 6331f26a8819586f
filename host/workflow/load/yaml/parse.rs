//! YAML text to a tree, through the events of a parser that knows places.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, Tag};

use super::scalar::{self, Refused};
use super::value::{Data, Entry, Yaml};
use crate::codec::{Large, Path, Step};
use crate::diagnostics::{Code, Place, Problems};

/// Levels of mappings and lists. No more than what a state may have on its way into Lua, and
/// few enough that walking the tree by recursion is safe on any stack.
const MAX_DEPTH: usize = 100;

/// Bytes that anchors and aliases may add to the tree, where each has a copy of its own: a few
/// lines of aliases of aliases could otherwise stand for more than any memory holds.
const MAX_COPIED: usize = 8 << 20;

/// There is no telling what a file says. The reason is among the problems.
#[derive(Debug)]
pub(crate) struct Unreadable;

/// Reads `text`, which must hold at most one document: nothing, if there is none. Everything
/// that is wrong with it goes to `problems`.
///
/// # Errors
/// If it can't be read to its end.
pub(crate) fn parse(
    text: &str,
    source: u16,
    problems: &mut Problems,
) -> Result<Option<Yaml>, Unreadable> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = Builder {
        source,
        behind: Behind::new(text),
        problems,
        open: Vec::new(),
        anchors: HashMap::new(),
        copied: 0,
        root: None,
    };
    let mut parser = Parser::new_from_str(text);
    let mut documents = 0;
    while let Some(event) = parser.next_event() {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                let place = builder.place_of(*error.marker());
                let problem = builder.problems.error(Code::YamlParse, place, error.info());
                if has_plain_code(text, place.line) {
                    problem.with_hint(QUOTE_CODE);
                }
                return Err(Unreadable);
            }
        };
        if matches!(event, Event::DocumentStart(_)) {
            documents += 1;
        }
        if documents > 1 {
            let message = "a second document starts here; a workflow is one document";
            let place = builder.place_of(span.start);
            builder.problems.error(Code::YamlParse, place, message);
            return Err(Unreadable);
        }
        builder.take(event, span).ok_or(Unreadable)?;
    }
    Ok(builder.root)
}

/// What helps where YAML stumbles over Lua.
pub(crate) const QUOTE_CODE: &str = "YAML takes `: `, ` #`, `{` and `[` in unquoted text for its own: put the code in quotes, or \
     below `run: |`";

/// Whether there is code without quotes on a line, or on the one before it, where YAML may have
/// stumbled over it.
fn has_plain_code(text: &str, line: usize) -> bool {
    let keys = ["run:", "script:", "code:"];
    // Text in quotes is plain, too, where something stands behind them.
    let is_plain = |rest: &str| {
        let rest = rest.trim();
        match rest.strip_prefix(['"', '\'']) {
            Some(quoted) => quoted
                .split_once(['"', '\''])
                .map(|(_, behind)| behind.trim_start())
                .is_some_and(|it| !it.is_empty() && !it.starts_with([',', '}', ']', '#'])),
            None => !rest.starts_with(['|', '>']),
        }
    };
    let plain = |line: &str| {
        let found = |key: &&str| {
            let (before, rest) = line.split_once(*key)?;
            let is_key = before
                .chars()
                .next_back()
                .is_none_or(|c| c.is_whitespace() || "{,\"'".contains(c));
            (is_key && !rest.trim().is_empty() && is_plain(rest)).then_some(())
        };
        keys.iter().find_map(found).is_some()
    };
    text.lines().skip(line.saturating_sub(2)).take(2).any(plain)
}

/// What stands behind the scalars of a text.
struct Behind<'t> {
    rest: &'t str,
    /// Characters before the rest.
    index: usize,
}

impl<'t> Behind<'t> {
    fn new(text: &'t str) -> Self {
        Behind {
            rest: text,
            index: 0,
        }
    }

    /// The comment behind the character at `index`, with the blanks before it. Indices have to
    /// rise from call to call.
    fn comment(&mut self, index: usize) -> Option<&'t str> {
        let mut chars = self.rest.chars();
        let step = index.checked_sub(self.index)?;
        if step > 0 {
            chars.nth(step - 1)?;
        }
        (self.rest, self.index) = (chars.as_str(), index);
        let comment = self.rest.trim_start_matches([' ', '\t']);
        if !comment.starts_with('#') || comment.len() == self.rest.len() {
            return None;
        }
        self.rest.lines().next()
    }
}

/// Puts the parser's flat events together to a tree, with a stack of its own: the depth of the
/// file never becomes depth of the call stack.
struct Builder<'p> {
    source: u16,
    behind: Behind<'p>,
    problems: &'p mut Problems,
    /// The lists and mappings we are inside of, outermost first.
    open: Vec<Open>,
    /// Finished values that an alias may stand for.
    anchors: HashMap<usize, Yaml>,
    /// Bytes of copies.
    copied: usize,
    root: Option<Yaml>,
}

/// A list or mapping whose end has not come yet.
struct Open {
    place: Place,
    anchor: usize,
    collection: Collection,
}

enum Collection {
    List(Vec<Yaml>),
    Mapping(OpenMapping),
}

#[derive(Default)]
struct OpenMapping {
    entries: Vec<Entry>,
    /// Where each key was written first.
    seen: HashMap<String, Place>,
    /// The key whose value comes next.
    key: Option<Key>,
    /// The mappings to merge, in their order.
    merges: Vec<Yaml>,
}

enum Key {
    Named(String, Place),
    /// `<<`: the keys of the mapping that follows count as written here.
    Merge,
    /// Reported already; the value is dropped.
    Refused,
}

impl Builder<'_> {
    fn place_of(&self, marker: Marker) -> Place {
        // The parser counts columns from zero.
        Place::new(self.source, marker.line().max(1), marker.col() + 1)
    }

    /// Whether the mapping that is open is the value of the key `targets`: what a condition is
    /// compared with there may look like a number or a boolean.
    fn in_targets(&self) -> bool {
        let outer = self
            .open
            .len()
            .checked_sub(2)
            .map(|at| &self.open[at].collection);
        let Some(Collection::Mapping(outer)) = outer else {
            return false;
        };
        matches!(&outer.key, Some(Key::Named(key, _)) if key == "targets")
    }

    /// Takes the next event. `None` if there is no going on.
    fn take(&mut self, event: Event<'_>, span: Span) -> Option<()> {
        let place = self.place_of(span.start);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                let data = self.scalar(&text, plain, tag.as_deref(), place);
                let merge = plain && text == "<<";
                let mut value = Yaml::new(place, data);
                let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                if is_block {
                    // The parser gives the place of the first line that isn't empty.
                    let empty = text.bytes().take_while(|byte| *byte == b'\n').count();
                    value.first_line = place.line.saturating_sub(empty).max(1);
                }
                if plain && span.start.line() == span.end.line() {
                    let comment = self.behind.comment(span.end.index());
                    value.comment = comment.map(Into::into);
                }
                self.put(value, anchor, merge)?;
            }
            Event::SequenceStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), "seq", place);
                self.open(place, anchor, Collection::List(Vec::new()))?;
            }
            Event::MappingStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), "map", place);
                self.open(place, anchor, Collection::Mapping(OpenMapping::default()))?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close()?,
            Event::Alias(anchor) => self.alias(anchor, place)?,
            _ => {}
        }
        Some(())
    }

    fn scalar(&mut self, text: &str, plain: bool, tag: Option<&Tag>, place: Place) -> Data {
        // `!` and `!!str` both say: a string, whatever it looks like.
        let is_string = |tag: &Tag| {
            (tag.is_yaml_core_schema() && tag.suffix == "str")
                || (tag.handle.is_empty() && tag.suffix == "!")
        };
        match tag {
            Some(tag) if is_string(tag) => return Data::Text(text.to_owned()),
            Some(tag) => self.refuse_tag(tag, place),
            None => {}
        }
        if !plain {
            return Data::Text(text.to_owned());
        }
        scalar::resolve(text).unwrap_or_else(|why| {
            let (root, path) = self.path();
            let message = match why {
                Refused::TooLarge => Large { path, digits: text }.message(root),
                Refused::NotFinite => {
                    let path = path.display(root);
                    format!("{path}: {text} is no number that JSON can hold; quote it, to pass it as text")
                }
            };
            self.problems.refuse(Code::InvalidValue, place, message);
            Data::Refused
        })
    }

    /// Where what comes next will be: the key at the top level, and the path from there.
    fn path(&self) -> (&str, Path) {
        let mut path = Path::default();
        let mut root = "value";
        for (level, open) in self.open.iter().enumerate().rev() {
            match &open.collection {
                Collection::List(items) => path.within(Step::Index(items.len() as u64 + 1)),
                Collection::Mapping(mapping) => match &mapping.key {
                    Some(Key::Named(key, _)) if level == 0 => root = key,
                    Some(Key::Named(key, _)) => path.within(Step::Key(key.clone())),
                    _ => {}
                },
            }
        }
        (root, path)
    }

    fn check_tag(&mut self, tag: Option<&Tag>, expected: &str, place: Place) {
        if let Some(tag) = tag
            && !(tag.is_yaml_core_schema() && tag.suffix == expected)
        {
            self.refuse_tag(tag, place);
        }
    }

    fn refuse_tag(&mut self, tag: &Tag, place: Place) {
        let message = format!("the tag `{tag}` means nothing here");
        self.problems.error(Code::InvalidValue, place, message);
    }

    fn open(&mut self, place: Place, anchor: usize, collection: Collection) -> Option<()> {
        if self.open.len() >= MAX_DEPTH {
            let message = format!("nested more than {MAX_DEPTH} levels deep");
            self.problems.error(Code::YamlParse, place, message);
            return None;
        }
        self.open.push(Open {
            place,
            anchor,
            collection,
        });
        Some(())
    }

    fn close(&mut self) -> Option<()> {
        let open = self.open.pop()?;
        let data = match open.collection {
            Collection::List(items) => Data::List(items),
            Collection::Mapping(mapping) => Data::Mapping(self.merged(mapping)),
        };
        self.put(Yaml::new(open.place, data), open.anchor, false)
    }

    fn alias(&mut self, anchor: usize, place: Place) -> Option<()> {
        // The parser has refused unknown names: one that isn't there is not finished.
        let Some(value) = self.anchors.get(&anchor) else {
            let message = "the alias stands for a value that it is itself part of";
            self.problems.error(Code::YamlParse, place, message);
            return None;
        };
        let (size, depth) = (value.size(), value.depth());
        self.copy(size, place)?;
        if self.open.len() + depth > MAX_DEPTH {
            let message = format!("nested more than {MAX_DEPTH} levels deep");
            self.problems.error(Code::YamlParse, place, message);
            return None;
        }
        let value = self.anchors.get(&anchor)?.clone();
        self.put(value, 0, false)
    }

    /// Pays for a copy of this many bytes.
    fn copy(&mut self, bytes: usize, place: Place) -> Option<()> {
        self.copied = self.copied.saturating_add(bytes);
        if self.copied <= MAX_COPIED {
            return Some(());
        }
        let message = format!(
            "anchors and aliases stand for more than {} MiB, each of them for a copy",
            MAX_COPIED >> 20
        );
        self.problems
            .error(Code::YamlParse, place, message)
            .with_hint("put what is used so often into `variables` or `initial_state`");
        None
    }

    /// Puts a finished value where it belongs. `None` if there is no going on.
    fn put(&mut self, value: Yaml, anchor: usize, merge: bool) -> Option<()> {
        if anchor != 0 {
            self.copy(value.size(), value.place)?;
            self.anchors.insert(anchor, value.clone());
        }
        let any_key = self.in_targets();
        match self.open.last_mut().map(|open| &mut open.collection) {
            None => self.root = Some(value),
            Some(Collection::List(items)) => items.push(value),
            Some(Collection::Mapping(mapping)) => match mapping.key.take() {
                None => mapping.key = Some(mapping.key_from(value, merge, any_key, self.problems)),
                Some(Key::Named(key, key_place)) => mapping.entries.push(Entry {
                    key,
                    key_place,
                    value,
                }),
                Some(Key::Merge) => mapping.merge(value, self.problems),
                Some(Key::Refused) => {}
            },
        }
        Some(())
    }

    /// The entries of a mapping, those of its merge keys included.
    fn merged(&mut self, mapping: OpenMapping) -> Vec<Entry> {
        let OpenMapping {
            mut entries,
            mut seen,
            merges,
            ..
        } = mapping;
        for merge in merges {
            let Data::Mapping(merged) = merge.data else {
                continue;
            };
            for entry in merged {
                // A key written here wins over a merged one, an earlier merge over a later one.
                if !seen.contains_key(&entry.key) {
                    seen.insert(entry.key.clone(), entry.key_place);
                    entries.push(entry);
                }
            }
        }
        entries
    }
}

impl OpenMapping {
    fn key_from(
        &mut self,
        value: Yaml,
        merge: bool,
        any_key: bool,
        problems: &mut Problems,
    ) -> Key {
        if merge {
            return Key::Merge;
        }
        let kind = value.kind();
        let text = match value.data {
            Data::Text(text) => Some(text),
            Data::Bool(value) if any_key => Some(value.to_string()),
            Data::Number(number) if any_key => Some(number.to_string()),
            _ => None,
        };
        let Some(key) = text else {
            problems
                .error(
                    Code::InvalidKey,
                    value.place,
                    format!("a key must be a string, not {kind}"),
                )
                .with_hint("put it in quotes");
            return Key::Refused;
        };
        if let Some(first) = self.seen.get(&key) {
            let message = format!("the key `{key}` is there already, at {first}");
            problems.error(Code::DuplicateKey, value.place, message);
            return Key::Refused;
        }
        self.seen.insert(key.clone(), value.place);
        Key::Named(key, value.place)
    }

    fn merge(&mut self, value: Yaml, problems: &mut Problems) {
        let sources = match value.data {
            Data::List(items) => items,
            _ => vec![value],
        };
        for source in sources {
            if matches!(source.data, Data::Mapping(_)) {
                self.merges.push(source);
            } else {
                let message = format!("`<<` merges mappings, not {}", source.kind());
                problems.error(Code::InvalidValue, source.place, message);
            }
        }
    }
}
