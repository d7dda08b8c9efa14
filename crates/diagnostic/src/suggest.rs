//! Names for sentences: what was expected, and what a misspelt one may have meant.

/// Names further than this many edits apart are not suggested for each other.
const SUGGESTION_DISTANCE: usize = 2;

/// Longest name that a suggestion is looked for, in bytes: to compare two takes time that grows with the product
/// of their lengths, and people don't misspell longer ones, they generate them.
const SUGGESTION_MAX: usize = 128;

/// What people write who know a thing by another word, and the word for it here. A word may stand for several
/// things: what is meant is the one that is known at the place.
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

/// Returns the name among `known` that the misspelt name `found` is nearest to, if any name is near.
///
/// Also knows words of other languages, such as `integer` for `int32`.
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
            // It isn't misspelt.
            return None;
        }
        let here = distance(name).map(|distance| (distance, name));
        nearest = nearest.into_iter().chain(here).min();
    }
    nearest.map(|(_, name)| name)
}

/// Returns the qualified name among `known` that `found` may mean.
///
/// People omit or misspell the first parts of names with dots, so this is a name that ends in `found`, or the
/// nearest as a whole, or the nearest by the last part.
pub fn did_you_mean_qualified<'a>(found: &str, known: &[&'a str]) -> Option<&'a str> {
    let ends = |name: &&&str| name.strip_suffix(found).is_some_and(|it| it.ends_with('.'));
    let whole = || did_you_mean(found, known.iter().copied());
    let by_last = || {
        let last = last_part(found);
        let same = known.iter().filter(|name| last_part(name) == last).min();
        same.copied().or_else(|| {
            let near = did_you_mean(last, known.iter().map(|name| last_part(name)))?;
            known
                .iter()
                .filter(|it| last_part(it) == near)
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

/// Returns the names as part of a sentence: `"a", "b" or "c"`, and `nothing` for no names.
pub fn one_of<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<_> = names.into_iter().map(|name| format!("{name:?}")).collect();
    match quoted.split_last() {
        None => "nothing".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

/// How many edits apart two names are, if so few that one may be meant by the other: one in three characters.
fn near(found: &str, name: &str) -> Option<usize> {
    let length = found.chars().count();
    let allowed = match length {
        0 | 1 => 0,
        _ => (length / 3).clamp(1, SUGGESTION_DISTANCE),
    };
    // By length alone most are ruled out.
    let possible = name.len() <= SUGGESTION_MAX && name.chars().count().abs_diff(length) <= allowed;
    let distance = possible.then(|| edit_distance(found, name))?;
    (distance <= allowed).then_some(distance)
}

/// Levenshtein's distance, in characters, where to exchange two neighbours is one edit.
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
    fn suggests_near_names_only() {
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
    fn words_of_other_languages_are_known_where_they_have_a_meaning() {
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
    fn names_with_dots_are_known_by_their_last_part() {
        let known = ["demo.Persn", "demo.Address", "shop.v1.Order"];
        let near = |found| did_you_mean_qualified(found, &known);
        assert_eq!(near("Address"), Some("demo.Address"));
        assert_eq!(near("Person"), Some("demo.Persn"));
        assert_eq!(near("shop.v2.Order"), Some("shop.v1.Order"));
        assert_eq!(near("v1.Ordr"), Some("shop.v1.Order"));
        assert_eq!(near("shop.Receipt"), None);
    }
}
