//! Resolves `server`: the keys of the peers to which the gateway connects.

use super::Resolver;
use crate::config::keys::{KeyRole, Stored};
use crate::config::quoted::{quoted, quoted_path};
use crate::config::section::Spanned;
use crate::config::source::{ServerKey, ServerSource};
use crate::security::Servers;
use crate::snapshot::Endpoints;
use gateway_diagnostic::{Diagnostic, Place};
use gateway_zmtp::curve::PublicKey;

impl<'a> Resolver<'a> {
    pub(super) fn servers(
        &mut self,
        server: &'a Spanned<ServerSource>,
        endpoints: &Endpoints,
    ) -> Servers {
        if endpoints.connect.is_empty() {
            let fault = Diagnostic::error("\"server\" has no effect without \"connect\"");
            let fault = fault.at(server.place.clone()).label("remove it");
            self.found
                .push(fault.help("peers that connect are admitted by \"peers\""));
        }
        match &server.value {
            ServerSource::One(key) => match self.server_key(key, &server.place) {
                Some(key) => Servers::One(key),
                None => Servers::None,
            },
            ServerSource::Each(keys) => self.servers_by_address(keys, &server.place, endpoints),
        }
    }

    fn servers_by_address(
        &mut self,
        keys: &'a [(Spanned<String>, Spanned<ServerKey>)],
        place: &Place,
        endpoints: &Endpoints,
    ) -> Servers {
        for (address, _) in keys {
            if !endpoints.connect.contains(&address.value) {
                let wrong = format!("nothing connects to {}", quoted(&address.value));
                let fault = Diagnostic::error(wrong).at(address.place.clone());
                self.found
                    .push(fault.label("expected an address of \"connect\""));
            }
        }
        for endpoint in &endpoints.connect {
            if keys.iter().all(|(address, _)| address.value != *endpoint) {
                let wrong = format!("there is no key for {}", quoted(endpoint));
                let fault = Diagnostic::error(wrong).at(place.clone());
                self.found
                    .push(fault.label("expected the key of each address of \"connect\""));
            }
        }
        let keys = keys.iter().filter_map(|(address, key)| {
            let own = self.server_key(&key.value, &key.place)?;
            Some((address.value.clone(), own))
        });
        Servers::Each(keys.collect())
    }

    fn server_key(&mut self, key: &'a ServerKey, place: &Place) -> Option<PublicKey> {
        let path = match key {
            ServerKey::Key(key) => return Some(*key),
            ServerKey::File(path) => path,
        };
        let is_new = self.reported.insert((KeyRole::Peer, path));
        let wrong = match self.files.get(KeyRole::Peer, path)? {
            Stored::File(file) => {
                if is_new {
                    file.faults
                        .iter()
                        .for_each(|fault| self.found.push(fault.clone()));
                }
                match &file.public {
                    Some(key) => return Some(key.value),
                    None => "there is no public key in the file".to_owned(),
                }
            }
            Stored::Directory(..) => format!("{} is a directory", quoted_path(path)),
            Stored::Unreadable(why) => why.clone(),
        };
        self.unusable.servers = true;
        let fault = Diagnostic::error(wrong).at(place.clone());
        self.found
            .push(fault.label("expected a file with the peer's public key, or the key"));
        None
    }
}
