//! Hints about misspelt names, for as long as finding them is cheap.
//!
//! Comparing two names takes as many steps as the product of their lengths, and a file of wrong
//! names compares each of them with each of those that there are. So long names are compared
//! with nothing, and all hints about the files that are read together share one budget of steps:
//! whoever makes hundreds of mistakes gets hints about the first of them.

/// Bytes of a name that is worth comparing.
const MAX_NAME: usize = 64;

/// Steps that all comparisons together may take: a few dozen milliseconds.
const MAX_STEPS: usize = 10_000_000;

/// How many names a list of what there is may have.
const MAX_LISTED: usize = 20;

/// Finds the names that were probably meant.
#[derive(Debug)]
pub(crate) struct Suggestions {
    /// Steps that are left.
    left: usize,
}

impl Default for Suggestions {
    fn default() -> Suggestions {
        Suggestions { left: MAX_STEPS }
    }
}

impl Suggestions {
    /// The name among `candidates` that `name` is probably a misspelling of.
    pub(crate) fn nearest<'c>(
        &mut self,
        name: &str,
        candidates: impl IntoIterator<Item = &'c str>,
    ) -> Option<&'c str> {
        if name.len() > MAX_NAME {
            return None;
        }
        // One slip in a short name, two or three in a long one.
        let tolerated = (name.chars().count() / 3).clamp(1, 3);
        let mut nearest = None;
        for candidate in candidates {
            // Looking at a candidate is a step, too, even if its length alone says enough.
            self.take(1)?;
            if candidate.len() > MAX_NAME || candidate.len().abs_diff(name.len()) > 4 * tolerated {
                continue;
            }
            self.take(name.len() * candidate.len())?;
            let distance = strsim::osa_distance(name, candidate);
            if distance <= tolerated && nearest.is_none_or(|known| (distance, candidate) < known) {
                nearest = Some((distance, candidate));
            }
        }
        nearest.map(|(_, candidate)| candidate)
    }

    /// The nearest name as a hint: `did you mean ...?`.
    pub(crate) fn hint<'c>(
        &mut self,
        name: &str,
        candidates: impl IntoIterator<Item = &'c str>,
    ) -> Option<String> {
        let nearest = self.nearest(name, candidates)?;
        Some(format!("did you mean `{nearest}`?"))
    }

    /// The same, or what there is if none of it is near.
    pub(crate) fn hint_or_list<'c>(
        &mut self,
        name: &str,
        candidates: impl IntoIterator<Item = &'c str>,
    ) -> Option<String> {
        let candidates: Vec<&str> = candidates.into_iter().collect();
        if let Some(hint) = self.hint(name, candidates.iter().copied()) {
            return Some(hint);
        }
        let mut listed = String::new();
        let mut count = 0;
        for candidate in candidates {
            count += 1;
            if count > MAX_LISTED || candidate.len() > MAX_NAME {
                continue;
            }
            if !listed.is_empty() {
                listed.push_str(", ");
            }
            listed.push_str(candidate);
            self.take(candidate.len())?;
        }
        if count > MAX_LISTED {
            listed.push_str(", ...");
        }
        (!listed.is_empty()).then(|| format!("there is: {listed}"))
    }

    /// Takes `steps` of what is left; `None`, for good, if there are not as many.
    fn take(&mut self, steps: usize) -> Option<()> {
        let left = self.left.checked_sub(steps);
        self.left = left.unwrap_or(0);
        left.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slip_in_a_short_name_and_up_to_three_in_a_long_one() {
        let names = ["fetch", "total", "summarise_everything"];
        let nearest = |name: &str| Suggestions::default().nearest(name, names);
        assert_eq!(nearest("fecth"), Some("fetch"));
        assert_eq!(nearest("fxxch"), None);
        assert_eq!(nearest("sumarize_everythin"), Some("summarise_everything"));
        assert_eq!(nearest(""), None);
    }

    #[test]
    fn what_is_not_near_is_listed_up_to_a_bound() {
        let hint = |names: &[String]| {
            Suggestions::default().hint_or_list("x", names.iter().map(String::as_str))
        };
        let names = |count: usize| (0..count).map(|n| format!("name{n}")).collect::<Vec<_>>();
        assert_eq!(hint(&names(0)), None);
        assert_eq!(hint(&names(2)).unwrap(), "there is: name0, name1");
        let many = hint(&names(1000)).unwrap();
        assert!(many.ends_with("name19, ..."), "{many}");
    }

    #[test]
    fn a_name_that_is_too_long_is_compared_with_nothing() {
        let (long, just) = ("x".repeat(MAX_NAME + 1), "x".repeat(MAX_NAME));
        let mut suggestions = Suggestions::default();
        assert_eq!(suggestions.nearest(&long, [long.as_str()]), None);
        assert_eq!(suggestions.left, MAX_STEPS);
        assert_eq!(suggestions.nearest(&just, [long.as_str()]), None);
        assert_eq!(suggestions.left, MAX_STEPS - 1);
        let nearest = suggestions.nearest(&just, [just.as_str()]);
        assert_eq!(nearest, Some(just.as_str()));
    }

    #[test]
    fn all_hints_together_take_no_more_steps_than_they_may() {
        let names: Vec<String> = (0..4000).map(|n| format!("{n:060}")).collect();
        let mut suggestions = Suggestions::default();
        let mut steps = 0;
        let mut found = 0;
        for name in &names {
            let before = suggestions.left;
            let candidates = names.iter().map(String::as_str);
            found += usize::from(suggestions.nearest(name, candidates).is_some());
            steps += before - suggestions.left;
        }
        assert!(steps <= MAX_STEPS, "{steps}");
        assert_eq!(
            (suggestions.left, found),
            (0, 0),
            "nothing is said of so many"
        );
    }

    #[test]
    fn the_first_of_many_mistakes_get_hints() {
        let names: Vec<String> = (0..100).map(|n| format!("a_node_number_{n}")).collect();
        let mut suggestions = Suggestions::default();
        let hints: Vec<bool> = (0..1000)
            .map(|n| {
                let wrong = format!("a_nod_number_{}", n % 100);
                let candidates = names.iter().map(String::as_str);
                suggestions.nearest(&wrong, candidates).is_some()
            })
            .collect();
        let first_without = hints.iter().position(|hint| !hint).unwrap();
        assert!(first_without >= 10, "{first_without}");
        assert!(hints[first_without..].iter().all(|hint| !hint));
    }
}
