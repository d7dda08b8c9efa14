//! The counters of principals, which outlive the connections of their clients.
//!
//! The operator's files name the principals, and peers never do. Many edits of these files may name
//! many principals over time, so [`PRINCIPALS_COUNTED`] bounds the number of counters.

use std::collections::HashMap;
use std::sync::Arc;

use super::peers::{Client, NameSource, PrincipalPlace};
use crate::frame::printable;
use crate::ledger::{OTHER_PRINCIPALS, PrincipalCounters, PrincipalSample};

/// The maximum number of principals with their own counters, over the life of the process. Each
/// such principal takes about 400 bytes on the data thread, and a line of /metrics. The principals
/// beyond this number are counted together.
const PRINCIPALS_COUNTED: usize = 1_000;

/// The index that all principals beyond [`PRINCIPALS_COUNTED`] share.
const OTHERS: PrincipalPlace = PrincipalPlace(0);

/// The counters of all principals that have had a client.
#[derive(Debug)]
pub(super) struct Principals {
    /// The counters, by [`PrincipalPlace`]. The counters at [`OTHERS`] always exist.
    all: Vec<PrincipalSample>,
    places: HashMap<Arc<str>, PrincipalPlace>,
}

impl Default for Principals {
    fn default() -> Self {
        Self {
            all: vec![PrincipalSample::new(OTHER_PRINCIPALS.into())],
            places: HashMap::new(),
        }
    }
}

impl Principals {
    /// Counts a client that connected or became anonymous, and stores the index of its principal's
    /// counters in the client. Does nothing for a client without a principal.
    pub(super) fn client_connected(&mut self, client: &mut Client) {
        if client.name_source == NameSource::Peer {
            return;
        }
        let place = self.place(&printable(&client.name.bare));
        client.principal = Some(place);
        let counters = &mut self.all[place.0].counters;
        counters.clients += 1;
        counters.open += u64::from(client.open());
    }

    /// Removes a client that has disconnected, with its open requests, from the gauges of its
    /// principal.
    pub(super) fn client_disconnected(&mut self, client: &Client) {
        if let Some(counters) = self.counters(client) {
            counters.clients -= 1;
            counters.open -= u64::from(client.open());
        }
    }

    /// Counts a message of a client.
    #[inline]
    pub(super) fn received(&mut self, client: &Client) {
        if let Some(counters) = self.counters(client) {
            counters.requests += 1;
        }
    }

    /// Counts a request of a client that was opened.
    #[inline]
    pub(super) fn opened(&mut self, client: &Client) {
        if let Some(counters) = self.counters(client) {
            counters.open += 1;
        }
    }

    /// Counts the end of an open request of a connected client.
    #[inline]
    pub(super) fn closed(&mut self, client: &Client) {
        if let Some(counters) = self.counters(client) {
            counters.open -= 1;
        }
    }

    /// Counts a rejection for a connected client.
    pub(super) fn rejected(&mut self, client: &Client) {
        if let Some(counters) = self.counters(client) {
            counters.rejected += 1;
        }
    }

    /// Returns a copy of the counters of all principals that have had a client, in no particular
    /// order.
    pub(super) fn sample(&self) -> Vec<PrincipalSample> {
        let is_used = |sample: &&PrincipalSample| sample.counters != PrincipalCounters::default();
        self.all.iter().filter(is_used).cloned().collect()
    }

    #[inline]
    fn counters(&mut self, client: &Client) -> Option<&mut PrincipalCounters> {
        let sample = self.all.get_mut(client.principal?.0)?;
        Some(&mut sample.counters)
    }

    /// Returns the index of a principal's counters. Adds counters for a new principal. Returns
    /// [`OTHERS`] instead if [`PRINCIPALS_COUNTED`] principals have counters already.
    fn place(&mut self, name: &str) -> PrincipalPlace {
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        if self.places.len() >= PRINCIPALS_COUNTED {
            return OTHERS;
        }
        let name: Arc<str> = name.into();
        let place = PrincipalPlace(self.all.len());
        self.all.push(PrincipalSample::new(Arc::clone(&name)));
        self.places.insert(name, place);
        place
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::core::peers::FrontendState;
    use crate::core::token::Name;
    use crate::peer::ClientKind;
    use crate::reply::ErrorEncoding;
    use crate::snapshot::FrontendId;

    fn client(name: &str, name_source: NameSource) -> Client {
        let name = Rc::new(Name::new(name.into()));
        let (kind, state) = (ClientKind::Dealer, FrontendState::Configured);
        let mut client = Client::new(FrontendId(0), kind, name, state, ErrorEncoding::Json);
        client.name_source = name_source;
        client
    }

    fn shown(principals: &Principals) -> Vec<(String, PrincipalCounters)> {
        let all = principals.sample().into_iter();
        all.map(|sample| (sample.name.to_string(), sample.counters))
            .collect()
    }

    #[test]
    fn a_principal_keeps_the_counts_of_all_its_clients_after_they_disconnect() {
        let mut principals = Principals::default();
        let mut both = [(); 2].map(|()| client("alice", NameSource::Principal));
        for client in &mut both {
            principals.client_connected(client);
            principals.received(client);
            principals.opened(client);
            client.opened(1);
        }
        let [first, second] = &mut both;
        principals.closed(first);
        first.closed(1);
        principals.rejected(first);
        let mut counters = PrincipalCounters {
            requests: 2,
            rejected: 1,
            clients: 2,
            open: 1,
        };
        assert_eq!(shown(&principals), [("alice".into(), counters.clone())]);
        principals.client_disconnected(second);
        (counters.clients, counters.open) = (1, 0);
        assert_eq!(shown(&principals), [("alice".into(), counters.clone())]);
        principals.client_disconnected(first);
        counters.clients = 0;
        assert_eq!(shown(&principals), [("alice".into(), counters)]);
    }

    #[test]
    fn a_client_that_chose_its_name_is_not_counted_until_it_is_anonymous() {
        let mut principals = Principals::default();
        let mut client = client("alice", NameSource::Peer);
        principals.client_connected(&mut client);
        principals.received(&client);
        client.opened(1);
        principals.opened(&client);
        assert_eq!(shown(&principals), []);
        client.become_anonymous();
        principals.client_connected(&mut client);
        let counters = PrincipalCounters {
            clients: 1,
            open: 1,
            ..PrincipalCounters::default()
        };
        assert_eq!(shown(&principals), [("anonymous".into(), counters)]);
    }

    #[test]
    fn principals_beyond_the_bound_are_counted_together() {
        let mut principals = Principals::default();
        for n in 0..PRINCIPALS_COUNTED + 5 {
            let mut client = client(&format!("owner-{n}"), NameSource::Principal);
            principals.client_connected(&mut client);
        }
        let shown = shown(&principals);
        assert_eq!(shown.len(), 1 + PRINCIPALS_COUNTED);
        let (name, counters) = &shown[0];
        assert_eq!((&**name, counters.clients), (OTHER_PRINCIPALS, 5));
    }
}
