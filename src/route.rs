//! The table from types to routes. An exact type takes precedence over patterns. Among patterns,
//! the longest literal prefix takes precedence.
//!
//! A look-up costs one hash, and one more for each distinct prefix length, however many routes
//! there are.

use std::sync::Arc;

use rustc_hash::FxHashMap;

/// The maximum number of bytes around a type, such as spaces and quotes, that
/// [`RouteTable::find_similar`] ignores. The bound keeps the search in a long frame short.
const WRAPPING_MAX: usize = 64;

/// The types that a key of `routes` matches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TypePattern {
    /// Exactly these bytes.
    Exact(Box<[u8]>),
    /// Everything that starts with these bytes. An empty prefix is the catch-all.
    Prefix(Box<[u8]>),
}

/// Routes by type.
#[derive(Debug)]
pub struct RouteTable<R> {
    routes: Vec<Arc<R>>,
    exact: ByBytes,
    /// The length of the longest type in `exact`, in bytes. A longer frame cannot be in `exact`, so
    /// it is not hashed. Hashing a frame of several megabytes would take milliseconds.
    longest: usize,
    /// The type in `exact` of each route, or `None` if the route has no exact type.
    kinds: Vec<Option<Box<[u8]>>>,
    /// The prefixes, grouped by their length in bytes, the longest first.
    prefixes: Vec<(usize, ByBytes)>,
    /// The types of `exact` in lower case.
    lower: ByBytes,
}

/// Clones share the routes.
impl<R> Clone for RouteTable<R> {
    fn clone(&self) -> Self {
        Self {
            routes: self.routes.clone(),
            exact: self.exact.clone(),
            longest: self.longest,
            kinds: self.kinds.clone(),
            prefixes: self.prefixes.clone(),
            lower: self.lower.clone(),
        }
    }
}

/// A route's place in its table. It is valid only for that table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoutePlace(u32);

impl RoutePlace {
    #[inline]
    fn index(self) -> usize {
        self.0 as usize
    }
}

/// A value for each route of a table, by the route's place.
#[derive(Debug)]
pub(crate) struct ByPlace<T>(Vec<T>);

impl<T> ByPlace<T> {
    /// Returns the value of the route at a place of the same table.
    #[inline]
    pub(crate) fn at(&self, place: RoutePlace) -> &T {
        &self.0[place.index()]
    }
}

type ByBytes = FxHashMap<Box<[u8]>, RoutePlace>;

impl<R> RouteTable<R> {
    /// Returns the table of these routes. If two routes have the same pattern, the later one is
    /// used.
    pub fn new(all: impl IntoIterator<Item = (TypePattern, Arc<R>)>) -> Self {
        let mut routes = Vec::new();
        let mut exact = ByBytes::default();
        let mut by_length: FxHashMap<usize, ByBytes> = FxHashMap::default();
        for (pattern, route) in all {
            let place = RoutePlace(routes.len() as u32);
            routes.push(route);
            match pattern {
                TypePattern::Exact(kind) => exact.insert(kind, place),
                TypePattern::Prefix(prefix) => by_length
                    .entry(prefix.len())
                    .or_default()
                    .insert(prefix, place),
            };
        }
        let mut prefixes: Vec<_> = by_length.into_iter().collect();
        prefixes.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
        let lower = exact
            .iter()
            .map(|(kind, place)| (kind.to_ascii_lowercase().into(), *place));
        let lower = lower.collect();
        let longest = exact.keys().map(|kind| kind.len()).max().unwrap_or(0);
        let mut kinds = vec![None; routes.len()];
        for (kind, place) in &exact {
            kinds[place.index()] = Some(kind.clone());
        }
        Self {
            routes,
            exact,
            longest,
            kinds,
            prefixes,
            lower,
        }
    }

    /// Returns the route of a known type that the sender of the unknown type `kind` may have meant,
    /// or `None`. The two types may differ in upper and lower case, in white space or a NUL at the
    /// ends of `kind`, and in quotes around `kind`. Patterns are not considered.
    #[cold]
    pub(crate) fn find_similar(&self, kind: &[u8]) -> Option<&R> {
        if kind.len() > self.longest + WRAPPING_MAX {
            return None;
        }
        let is_wrapping = |b: &u8| b.is_ascii_whitespace() || matches!(b, 0 | b'"' | b'\'');
        let start = kind.iter().position(|b| !is_wrapping(b))?;
        let end = kind.iter().rposition(|b| !is_wrapping(b))? + 1;
        let place = self.lower.get(&*kind[start..end].to_ascii_lowercase())?;
        Some(self.at(*place))
    }

    /// Returns every pattern and its route, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (TypePattern, &Arc<R>)> {
        let exact = self.exact.iter();
        let exact = exact.map(|(kind, place)| (TypePattern::Exact(kind.clone()), *place));
        let prefixes = self.prefixes.iter().flat_map(|(_, places)| places);
        let prefixes =
            prefixes.map(|(prefix, place)| (TypePattern::Prefix(prefix.clone()), *place));
        exact
            .chain(prefixes)
            .map(|(pattern, place)| (pattern, &self.routes[place.index()]))
    }

    /// Returns the result of `value` for each route.
    pub(crate) fn map<T>(&self, value: impl FnMut(&Arc<R>) -> T) -> ByPlace<T> {
        ByPlace(self.routes.iter().map(value).collect())
    }

    /// Returns the route of a message of type `kind`, or `None` if no route matches the type.
    pub fn get(&self, kind: &[u8]) -> Option<&Arc<R>> {
        self.find(kind).map(|place| &self.routes[place.index()])
    }

    /// Returns the place of the route of a message of type `kind`, for [`Self::at`], or `None` if
    /// no route matches the type.
    pub fn find(&self, kind: &[u8]) -> Option<RoutePlace> {
        let place = self.find_exact(kind).or_else(|| {
            let mut prefixes = self.prefixes.iter();
            prefixes.find_map(|(length, places)| places.get(kind.get(..*length)?))
        });
        place.copied()
    }

    /// Returns whether any route except the catch-all matches the type `kind`.
    pub fn knows(&self, kind: &[u8]) -> bool {
        let mut prefixes = self.prefixes.iter().filter(|(length, _)| *length > 0);
        self.find_exact(kind).is_some()
            || prefixes.any(|(length, places)| {
                kind.get(..*length)
                    .is_some_and(|prefix| places.contains_key(prefix))
            })
    }

    #[inline]
    fn find_exact(&self, kind: &[u8]) -> Option<&RoutePlace> {
        if kind.len() > self.longest {
            return None;
        }
        self.exact.get(kind)
    }

    /// Returns the result of [`Self::find`]. `near` is a guess of the place, and may come from
    /// another table. A correct guess saves the look-up.
    #[inline]
    pub(crate) fn find_near(&self, kind: &[u8], near: Option<RoutePlace>) -> Option<RoutePlace> {
        let is_near = |near: &RoutePlace| matches!(self.kinds.get(near.index()), Some(Some(exact)) if **exact == *kind);
        near.filter(is_near).or_else(|| self.find(kind))
    }

    /// Returns the route at a place that [`Self::find`] of this table returned.
    pub fn at(&self, place: RoutePlace) -> &R {
        &self.routes[place.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(keys: &[&str]) -> RouteTable<String> {
        RouteTable::new(keys.iter().map(|key| {
            let pattern = match key.strip_suffix('*') {
                Some(prefix) => TypePattern::Prefix(prefix.as_bytes().into()),
                None => TypePattern::Exact(key.as_bytes().into()),
            };
            (pattern, Arc::new((*key).to_owned()))
        }))
    }

    #[test]
    fn an_exact_type_precedes_prefixes_and_the_longest_prefix_precedes_the_catch_all() {
        let table = table(&["order.new", "order.*", "order.new.*", "*"]);
        let get = |kind: &str| table.get(kind.as_bytes()).map(|route| route.as_str());
        assert_eq!(get("order.new"), Some("order.new"));
        assert_eq!(get("order.old"), Some("order.*"));
        assert_eq!(get("order."), Some("order.*"));
        assert_eq!(get("order.new.eu"), Some("order.new.*"));
        assert_eq!(get("order"), Some("*"));
        for kind in ["order.new", "order.old", "order.new.eu", "order"] {
            for near in (0..5).map(RoutePlace).map(Some).chain([None]) {
                let found = table.find_near(kind.as_bytes(), near);
                assert_eq!(found, table.find(kind.as_bytes()), "{kind} from {near:?}");
            }
        }
    }

    #[test]
    fn a_look_up_does_not_hash_all_bytes_of_a_long_unknown_type() {
        let table = table(&["person", "order.*"]);
        let long = [b"order.".as_slice(), &[b' '; 16 << 20]].concat();
        let began = std::time::Instant::now();
        for _ in 0..100 {
            assert_eq!(table.find(&long), table.find(b"order.new"));
            assert_eq!(table.find(&long[6..]), None);
            assert!(table.knows(&long) && !table.knows(&long[6..]));
            assert!(table.find_similar(&long[6..]).is_none());
        }
        // Hashing all of the bytes each time would take several seconds.
        assert!(began.elapsed() < std::time::Duration::from_secs(1));
    }

    #[test]
    fn a_type_that_differs_only_in_case_space_nul_or_quotes_is_similar() {
        let table = table(&["PERSON", "order.new", "b*"]);
        let similar = |kind: &[u8]| table.find_similar(kind).map(String::as_str);
        for kind in [
            &b"person"[..],
            b"Person",
            b"PERSON\0",
            b" person\r\n",
            b"\"PERSON\"",
        ] {
            assert_eq!(similar(kind), Some("PERSON"), "{kind:?}");
        }
        assert_eq!(similar(b"ORDER.NEW"), Some("order.new"));
        for kind in [&b""[..], b" ", b"PERSONS", b"B*", b"\xff"] {
            assert_eq!(similar(kind), None, "{kind:?}");
        }
    }

    #[test]
    fn an_unknown_type_has_no_route_without_a_catch_all() {
        let table = table(&["a", "b*"]);
        assert!(table.get(b"").is_none());
        assert!(table.get(b"aa").is_none());
        assert!(table.get(b"b").is_some());
    }
}
