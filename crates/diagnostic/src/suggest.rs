//! Suggestions for misspelt names, and lists of the expected names.

/// The maximum number of edits between a name and its suggestion. A name that needs more edits is
/// more likely a different name than a misspelling.
const SUGGESTION_DISTANCE_MAX: usize = 2;

/// The maximum length of a name for which a suggestion is searched, in bytes. Comparing two names
/// takes time in proportion to the product of their lengths, and longer names are generated rather
/// than misspelt.
const SUGGESTION_MAX: usize = 128;

/// Words of other languages and formats, each with the corresponding name here. A name is suggested
/// only if it is among the known names.
const OTHER_WORDS: [(&str, &str); 32] = [
    ("backend", "pools"),
    ("backends", "pools"),
    ("boolean", "bool"),
    ("byte", "bytes"),
    ("float32", "float"),
    ("float64", "double"),
    ("int", "int32"),
    ("integer", "int32"),
    ("length", "len"),
    ("listeners", "frontends"),
    ("long", "int64"),
    ("max", "lte"),
    ("max_length", "max_len"),
    ("max_size", "max_items"),
    ("maximum", "lte"),
    ("message_pack", "msgpack"),
    ("messagepack", "msgpack"),
    ("min", "gte"),
    ("min_length", "min_len"),
    ("min_size", "min_items"),
    ("minimum", "gte"),
    ("pb", "protobuf"),
    ("proto", "protobuf"),
    ("regex", "pattern"),
    ("servers", "pools"),
    ("services", "pools"),
    ("str", "string"),
    ("text", "string"),
    ("uint", "uint32"),
    ("upstreams", "pools"),
    ("worker_pools", "pools"),
    ("workers", "pools"),
];

/// Returns the name in `known` that is nearest to the misspelt name `found`. Returns `None` if no
/// name is near, if `known` contains `found`, or if `found` is longer than 128 bytes.
///
/// Words of other languages, such as `integer` for `int32`, are recognized too.
pub fn did_you_mean<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if found.len() > SUGGESTION_MAX {
        return None;
    }
    let lower = found.to_ascii_lowercase();
    let means = |name: &str| OTHER_WORDS.contains(&(lower.as_str(), name));
    let distance = |name: &str| match () {
        () if name.eq_ignore_ascii_case(found) => Some(0),
        () if means(name) => Some(0),
        () => near(found, name),
    };
    let mut nearest: Option<(usize, &str)> = None;
    for name in known {
        if name == found {
            // The name is not misspelt.
            return None;
        }
        let candidate = distance(name).map(|distance| (distance, name));
        nearest = nearest.into_iter().chain(candidate).min();
    }
    nearest.map(|(_, name)| name)
}

/// Returns the qualified name in `known` that `found` may mean, or `None` if no name is near.
///
/// The first parts of dotted names are often omitted or misspelt. The first candidate is therefore
/// a name that ends in `found` after a dot. The second candidate is the name that is nearest as a
/// whole, and the third is a name whose last part is nearest to the last part of `found`.
pub fn did_you_mean_qualified<'a>(found: &str, known: &[&'a str]) -> Option<&'a str> {
    let ends = |name: &&&str| {
        name.strip_suffix(found)
            .is_some_and(|scope| scope.ends_with('.'))
    };
    let whole = || did_you_mean(found, known.iter().copied());
    let by_last = || {
        let last = last_part(found);
        let same = known.iter().filter(|name| last_part(name) == last).min();
        same.copied().or_else(|| {
            let near = did_you_mean(last, known.iter().map(|name| last_part(name)))?;
            known
                .iter()
                .filter(|name| last_part(name) == near)
                .min()
                .copied()
        })
    };
    let ending = known.iter().filter(ends).min().copied();
    ending.or_else(whole).or_else(by_last)
}

fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// Returns the names as part of a sentence: `"a", "b" or "c"`, or `nothing` if there are none.
pub fn one_of<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<_> = names.into_iter().map(|name| format!("{name:?}")).collect();
    match quoted.split_last() {
        None => "nothing".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

/// Returns the number of edits between two names, or `None` if it is too large for a misspelling.
/// The maximum is one edit for every three characters of `found`, but at least one edit and at most
/// [`SUGGESTION_DISTANCE_MAX`]. If `found` has one character, no edit is allowed. Names longer than
/// [`SUGGESTION_MAX`] are never near.
fn near(found: &str, name: &str) -> Option<usize> {
    let length = found.chars().count();
    let allowed = match length {
        0 | 1 => 0,
        _ => (length / 3).clamp(1, SUGGESTION_DISTANCE_MAX),
    };
    // The length alone rules out most names.
    let possible = name.len() <= SUGGESTION_MAX && name.chars().count().abs_diff(length) <= allowed;
    let distance = possible.then(|| edit_distance(found, name))?;
    (distance <= allowed).then_some(distance)
}

/// Returns the Levenshtein distance in characters. Exchanging two adjacent characters is one edit.
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1; b.len() + 1];
        for j in 0..b.len() {
            let substituted = last[j] + usize::from(a[i] != b[j]);
            row[j + 1] = substituted.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                row[j + 1] = row[j + 1].min(before[j - 1] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_near_names_are_suggested() {
        assert_eq!(did_you_mean("pol", ["pool", "proto"]), Some("pool"));
        assert_eq!(did_you_mean("POOL", ["pool"]), Some("pool"));
        assert_eq!(did_you_mean("Emial", ["Email", "Mail"]), Some("Email"));
        assert_eq!(did_you_mean("x", ["a", "b"]), None);
        assert_eq!(did_you_mean("Foo", ["bool", "Bar"]), None);
        assert_eq!(did_you_mean("frontend", ["pools"]), None);
        assert_eq!(did_you_mean("same", ["sam", "same", "some"]), None);
        assert_eq!(one_of(["a", "b", "c"]), r#""a", "b" or "c""#);
    }

    #[test]
    fn words_of_other_languages_suggest_a_known_name() {
        assert_eq!(
            did_you_mean("messagepack", ["json", "msgpack"]),
            Some("msgpack")
        );
        assert_eq!(did_you_mean("int", ["bool", "int32"]), Some("int32"));
        assert_eq!(did_you_mean("int", ["pool"]), None);
    }

    #[test]
    fn long_names_are_not_compared() {
        let (long, longer) = ("x".repeat(1 << 20), "x".repeat((1 << 20) + 1));
        assert_eq!(did_you_mean(&long, [&*longer]), None);
    }

    #[test]
    fn names_with_dots_are_found_by_their_last_part() {
        let known = ["demo.Persn", "demo.Address", "shop.v1.Order"];
        let near = |found| did_you_mean_qualified(found, &known);
        assert_eq!(near("Address"), Some("demo.Address"));
        assert_eq!(near("Person"), Some("demo.Persn"));
        assert_eq!(near("shop.v2.Order"), Some("shop.v1.Order"));
        assert_eq!(near("v1.Ordr"), Some("shop.v1.Order"));
        assert_eq!(near("shop.Receipt"), None);
    }
}
