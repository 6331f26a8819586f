//! The names that expressions and templates use.

use std::collections::BTreeSet;

use super::condition::Condition;
use super::engine::environment;
use super::template::Template;

/// Names that an expression takes from what it sees, with the attributes that follow them:
/// `stat.count`. What it declares itself is not among them, and neither are functions.
pub(crate) type Names = BTreeSet<String>;

impl Condition {
    /// The names that it uses.
    pub(crate) fn names(&self) -> Names {
        let mut names = Names::new();
        of_expression(self.source(), &mut names);
        names
    }
}

impl Template {
    /// The names that it uses, at any depth.
    pub(crate) fn names(&self) -> Names {
        let mut names = Names::new();
        self.collect(&mut names);
        names
    }

    fn collect(&self, names: &mut Names) {
        match self {
            Template::Fixed(_) => {}
            Template::Value(source, _) => of_expression(source, names),
            Template::Text { source, .. } => {
                // It parses, or it wouldn't be here.
                if let Ok(template) = environment().template_from_named_str("template", source) {
                    add(template.undeclared_variables(true), names);
                }
            }
            Template::List(items) => items.iter().for_each(|item| item.collect(names)),
            Template::Mapping(entries) => {
                entries.iter().for_each(|(_, value)| value.collect(names));
            }
        }
    }
}

fn of_expression(source: &str, names: &mut Names) {
    // The text as it was written: the strict one names functions that nobody wrote.
    if let Ok(expression) = environment().compile_expression(source) {
        add(expression.undeclared_variables(true), names);
    }
}

fn add(found: impl IntoIterator<Item = String>, names: &mut Names) {
    let globals: BTreeSet<&str> = environment().globals().map(|(name, _)| name).collect();
    let is_function = |name: &String| globals.contains(root(name));
    names.extend(found.into_iter().filter(|name| !is_function(name)));
}

/// The name before the first attribute.
pub(crate) fn root(name: &str) -> &str {
    name.split_once('.').map_or(name, |(root, _)| root)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("stat.count > 2", &["stat.count"])]
    #[case("!ready", &["ready"])]
    #[case("a < b.c < 3 and 'x' not in d.e.f", &["a", "b.c", "d.e.f"])]
    #[case("state['k'] == len(state.list)", &["state", "state.list"])]
    #[case("range(3) | length == 3", &[])]
    #[case("{{ x if y is defined else 'z' }}", &["x", "y"])]
    fn names_of_conditions(#[case] text: &str, #[case] expected: &[&str]) {
        let condition = Condition::parse(text).unwrap();
        let names: Vec<_> = condition.names().into_iter().collect();
        assert_eq!(names, expected);
    }

    #[rstest]
    #[case("plain", &[])]
    #[case("{{ state.a }}", &["state.a"])]
    #[case("{{ a }} and {{ b.c }}", &["a", "b.c"])]
    #[case("{% for x in list %}{{ x.y }} {{ loop.index }}{% endfor %}", &["list"])]
    #[case("{% set x = y %}{{ x }}", &["y"])]
    fn names_of_templates(#[case] text: &str, #[case] expected: &[&str]) {
        let template = Template::parse(text).unwrap();
        let names: Vec<_> = template.names().into_iter().collect();
        assert_eq!(names, expected);
    }
}
