//! Pages that show commands and what they print: what is shown is compared with what is printed.
//! `...` stands for anything in a line, and for any number of lines where it is one.

/// The blocks of a text in Markdown: the language, and what is in it.
pub(crate) fn blocks(text: &str) -> Vec<(&str, String)> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let inside: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push((language, inside.join("\n")));
        }
    }
    blocks
}

/// Fails if `printed` isn't what `shown` says of `commands`.
#[track_caller]
pub(crate) fn assert_fits(commands: &str, shown: &str, printed: &str) {
    let lines: Vec<_> = printed.lines().collect();
    assert!(
        fits(&shown.lines().collect::<Vec<_>>(), &lines),
        "another output than that of `{commands}` is shown:\n{printed}"
    );
}

/// Whether `line` is what `shown` says.
fn line_fits(shown: &str, line: &str) -> bool {
    match shown.split_once("...") {
        None => shown == line,
        Some((before, after)) => line.strip_prefix(before).is_some_and(|rest| {
            let mut ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
            ends.any(|at| line_fits(after, &rest[at..]))
        }),
    }
}

/// Whether `lines` are what `shown` says.
fn fits(shown: &[&str], lines: &[&str]) -> bool {
    match shown {
        [] => lines.is_empty(),
        [first, rest @ ..] if first.trim() == "..." => {
            (0..=lines.len()).any(|from| fits(rest, &lines[from..]))
        }
        [first, rest @ ..] => match lines {
            [line, lines @ ..] => line_fits(first, line) && fits(rest, lines),
            [] => false,
        },
    }
}

#[test]
fn other_outputs_do_not_fit() {
    let fit = |shown: &str, printed: &str| {
        let split = |text: &str| -> Vec<String> { text.split('|').map(str::to_owned).collect() };
        let (shown, printed) = (split(shown), split(printed));
        let shown: Vec<_> = shown.iter().map(String::as_str).collect();
        let printed: Vec<_> = printed.iter().map(String::as_str).collect();
        fits(&shown, &printed)
    };
    assert!(fit("a|b", "a|b") && fit("a|...|d", "a|b|c|d") && fit("a|  ...|b", "a|b"));
    assert!(fit("n: ...,|b", "n: 12,|b") && fit("...", "a|b"));
    assert!(!fit("a|b", "a") && !fit("a", "a|b") && !fit("a|...|d", "a|b|c"));
    assert!(!fit("n: ...,", "n: 12") && !fit("n: ...,", "m: 12,") && !fit("a", "b"));
}
