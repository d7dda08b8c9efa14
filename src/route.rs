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
    routes: Vec<Arc<R>>,
    exact: ByBytes,
    /// By prefix length, the longest first.
    prefixes: Vec<(usize, ByBytes)>,
}

/// A route's place in its table, and in no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoutePlace(usize);

type ByBytes = FxHashMap<Box<[u8]>, RoutePlace>;

impl<R> Table<R> {
    /// The table of these routes; of two with the same pattern the later one stands.
    pub fn new(all: impl IntoIterator<Item = (Pattern, Arc<R>)>) -> Self {
        let mut routes = Vec::new();
        let mut exact = ByBytes::default();
        let mut by_length: FxHashMap<usize, ByBytes> = FxHashMap::default();
        for (pattern, route) in all {
            let place = RoutePlace(routes.len());
            routes.push(route);
            match pattern {
                Pattern::Exact(kind) => exact.insert(kind, place),
                Pattern::Prefix(prefix) => by_length
                    .entry(prefix.len())
                    .or_default()
                    .insert(prefix, place),
            };
        }
        let mut prefixes: Vec<_> = by_length.into_iter().collect();
        prefixes.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
        Self {
            routes,
            exact,
            prefixes,
        }
    }

    /// Every pattern and its route, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (Pattern, &Arc<R>)> {
        let exact = self.exact.iter();
        let exact = exact.map(|(kind, place)| (Pattern::Exact(kind.clone()), *place));
        let prefixes = self.prefixes.iter().flat_map(|(_, places)| places);
        let prefixes = prefixes.map(|(prefix, place)| (Pattern::Prefix(prefix.clone()), *place));
        exact
            .chain(prefixes)
            .map(|(pattern, place)| (pattern, &self.routes[place.0]))
    }

    /// The route of a message of type `kind`.
    pub fn get(&self, kind: &[u8]) -> Option<&Arc<R>> {
        self.find(kind).map(|place| &self.routes[place.0])
    }

    /// The place of the route of a message of type `kind`, for [`Self::at`].
    pub fn find(&self, kind: &[u8]) -> Option<RoutePlace> {
        let exact = self.exact.get(kind);
        let place = exact.or_else(|| {
            let mut prefixes = self.prefixes.iter();
            prefixes.find_map(|(length, places)| places.get(kind.get(..*length)?))
        });
        place.copied()
    }

    /// Whether a route names the type `kind`, or a prefix of it; the catch-all names none.
    pub fn knows(&self, kind: &[u8]) -> bool {
        let mut prefixes = self.prefixes.iter().filter(|(length, _)| *length > 0);
        self.exact.contains_key(kind)
            || prefixes.any(|(length, places)| {
                kind.get(..*length)
                    .is_some_and(|prefix| places.contains_key(prefix))
            })
    }

    /// The route at a place that [`Self::find`] of this table gave.
    pub fn at(&self, place: RoutePlace) -> &R {
        &self.routes[place.0]
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
