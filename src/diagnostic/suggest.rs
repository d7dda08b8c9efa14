//! Names for sentences: what was expected, and what a misspelt one may have meant.

/// Names further than this many edits apart are not suggested for each other.
const SUGGESTION_DISTANCE: usize = 2;

/// Names longer than this, in bytes, are compared with none: it takes time in proportion to both lengths,
/// which whoever wrote the names chose.
const LONGEST: usize = 100;

/// A help line for a misspelt name: the nearest of `known`, if any is near.
pub fn did_you_mean<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = found.chars().count();
    let allowed = SUGGESTION_DISTANCE.min(length.saturating_sub(1));
    let near = |name: &&str| name.chars().count().abs_diff(length) <= allowed;
    known
        .into_iter()
        .filter(|name| found.len().max(name.len()) <= LONGEST)
        .filter(near)
        .map(|name| {
            let alike = name.eq_ignore_ascii_case(found);
            (if alike { 0 } else { edit_distance(found, name) }, name)
        })
        .filter(|(distance, name)| *distance <= allowed && *name != found)
        .min()
        .map(|(_, name)| name)
}

/// `"a", "b" or "c"`, for a sentence.
pub fn one_of<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<_> = names.into_iter().map(|name| format!("{name:?}")).collect();
    match quoted.split_last() {
        None => "nothing".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

/// Levenshtein's distance, in characters.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_near_names_only() {
        assert_eq!(did_you_mean("pol", ["pool", "proto"]), Some("pool"));
        assert_eq!(did_you_mean("POOL", ["pool"]), Some("pool"));
        assert_eq!(did_you_mean("x", ["a", "b"]), None);
        assert_eq!(did_you_mean("frontend", ["pools"]), None);
        assert_eq!(one_of(["a", "b", "c"]), r#""a", "b" or "c""#);
    }
}
