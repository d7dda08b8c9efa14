//! Table: type → route. Exact beats pattern; of patterns, the longer literal prefix wins.
//!
//! A look-up costs one hash, and one more for each distinct prefix length, however many routes.

use std::sync::Arc;

use rustc_hash::FxHashMap;

/// What a key of `routes` matches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pattern {
    /// These bytes.
    Exact(Box<[u8]>),
    /// Whatever starts with these bytes; none is the catch-all.
    Prefix(Box<[u8]>),
}

/// Routes by type.
#[derive(Debug)]
pub struct Table<R> {
    exact: ByBytes<R>,
    /// By prefix length, the longest first.
    prefixes: Vec<(usize, ByBytes<R>)>,
}

type ByBytes<R> = FxHashMap<Box<[u8]>, Arc<R>>;

impl<R> Table<R> {
    /// The table of these routes; of two with the same pattern the later one stands.
    pub fn new(routes: impl IntoIterator<Item = (Pattern, Arc<R>)>) -> Self {
        let mut exact = ByBytes::default();
        let mut by_length: FxHashMap<usize, ByBytes<R>> = FxHashMap::default();
        for (pattern, route) in routes {
            match pattern {
                Pattern::Exact(kind) => exact.insert(kind, route),
                Pattern::Prefix(prefix) => by_length
                    .entry(prefix.len())
                    .or_default()
                    .insert(prefix, route),
            };
        }
        let mut prefixes: Vec<_> = by_length.into_iter().collect();
        prefixes.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
        Self { exact, prefixes }
    }

    /// Every pattern and its route, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (Pattern, &Arc<R>)> {
        let exact = self.exact.iter();
        let exact = exact.map(|(kind, route)| (Pattern::Exact(kind.clone()), route));
        let prefixes = self.prefixes.iter().flat_map(|(_, routes)| routes);
        exact.chain(prefixes.map(|(prefix, route)| (Pattern::Prefix(prefix.clone()), route)))
    }

    /// The route of a message of type `kind`.
    pub fn get(&self, kind: &[u8]) -> Option<&Arc<R>> {
        self.exact.get(kind).or_else(|| {
            self.prefixes
                .iter()
                .find_map(|(length, routes)| routes.get(kind.get(..*length)?))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(keys: &[&str]) -> Table<String> {
        Table::new(keys.iter().map(|key| {
            let pattern = match key.strip_suffix('*') {
                Some(prefix) => Pattern::Prefix(prefix.as_bytes().into()),
                None => Pattern::Exact(key.as_bytes().into()),
            };
            (pattern, Arc::new((*key).to_owned()))
        }))
    }

    #[test]
    fn exact_then_longest_prefix_then_catch_all() {
        let table = table(&["order.new", "order.*", "order.new.*", "*"]);
        let get = |kind: &str| table.get(kind.as_bytes()).map(|route| route.as_str());
        assert_eq!(get("order.new"), Some("order.new"));
        assert_eq!(get("order.old"), Some("order.*"));
        assert_eq!(get("order."), Some("order.*"));
        assert_eq!(get("order.new.eu"), Some("order.new.*"));
        assert_eq!(get("order"), Some("*"));
    }

    #[test]
    fn nothing_matches_without_a_catch_all() {
        let table = table(&["a", "b*"]);
        assert!(table.get(b"").is_none());
        assert!(table.get(b"aa").is_none());
        assert!(table.get(b"b").is_some());
    }
}
