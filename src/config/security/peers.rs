//! Resolves `peers`: the public keys that are admitted, and the principal of each key.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::Resolver;
use crate::config::keys::{KeyFile, KeyRole, Stored};
use crate::config::quoted::quoted;
use crate::config::section::Spanned;
use crate::config::source::PeersSource;
use crate::security::{KnownPeers, principal_fault};
use gateway_diagnostic::{Diagnostic, Place};
use gateway_zmtp::curve::PublicKey;

/// The owner of each key, with the place where the key was found first.
type Owners = HashMap<PublicKey, (Arc<str>, Place)>;

impl<'a> Resolver<'a> {
    pub(super) fn peers(&mut self, peers: &'a Spanned<PeersSource>) -> KnownPeers {
        let mut named = Owners::new();
        match &peers.value {
            PeersSource::Any => {
                let fault =
                    Diagnostic::warning("everybody who has the gateway's public key is admitted");
                let fault = fault.at(peers.place.clone());
                self.found
                    .push(fault.help("name a directory of public keys to admit their owners only"));
                return KnownPeers::Any;
            }
            PeersSource::Named(keys) => {
                for (name, key) in keys {
                    self.add(&mut named, key.value, name, &key.place);
                }
            }
            PeersSource::Path(path) => self.keys_at(path, &peers.place, &mut named),
        }
        if named.is_empty() && !self.found.has_errors() {
            let fault = Diagnostic::warning("there is no key, so no peer with a key is admitted");
            let fault = fault.at(peers.place.clone());
            self.found.push(
                fault.help("add the public key of each peer: in a directory, as a file NAME.key"),
            );
        }
        let named = named.into_iter().map(|(key, (name, _))| (key, name));
        KnownPeers::Named(named.collect())
    }

    /// Adds to `named` the key of a file, or the keys of all files in a directory.
    fn keys_at(&mut self, path: &'a Path, place: &Place, named: &mut Owners) {
        let is_new = self.reported.insert((KeyRole::Peer, path));
        match self.files.get(KeyRole::Peer, path) {
            None => {}
            Some(Stored::Unreadable(why)) if is_new => {
                self.unusable.peers = true;
                let fault = Diagnostic::error(why.clone()).at(place.clone());
                self.found
                    .push(fault.label("expected a directory of public keys"));
            }
            Some(Stored::Unreadable(_)) => self.unusable.peers = true,
            Some(Stored::File(file)) => self.key_of(file, is_new, named),
            Some(Stored::Directory(files, faults)) => {
                for fault in faults.iter().filter(|_| is_new) {
                    let fault = Diagnostic::warning(fault.clone());
                    self.left_out.push(fault.at(place.clone()));
                }
                for file in files {
                    self.key_of(file, is_new, named);
                }
            }
        }
    }

    /// Adds the key of a peer's file. If the file has an error, leaves the key out and, if
    /// `should_report` is true, reports the reason.
    fn key_of(&mut self, file: &'a KeyFile, should_report: bool, named: &mut Owners) {
        let (name, place) = match &file.name {
            Some(name) => (name.value.as_str(), name.place.clone()),
            None => (file.stem.as_str(), file.file.place(1, 1, 1)),
        };
        let mut faults = file.faults.clone();
        if let Some(fault) = principal_fault(name) {
            let wrong = Diagnostic::error(format!("{} can't be a principal", quoted(name)));
            faults.push(wrong.at(place).label(fault).help(
                "rename the file, or give the key a name: name = \"NAME\" in the section metadata",
            ));
        }
        if let Some(secret) = &file.secret {
            let fault = Diagnostic::error("a secret key is among the public keys");
            let fault = fault
                .at(secret.place.clone())
                .label("only the owner of the key should have it");
            faults.push(fault.help("put NAME.key there, not NAME.key_secret"));
        }
        match &file.public {
            Some(key) if faults.is_empty() => {
                self.add(named, key.value, name, &key.place);
            }
            None if faults.is_empty() => {
                let fault = Diagnostic::error("there is no public key in the file");
                let fault = fault.at(file.file.place(1, 1, 1));
                faults.push(fault.label("expected a line public-key = \"…\""));
            }
            _ => {}
        }
        for fault in faults.into_iter().filter(|_| should_report) {
            self.left_out
                .push(fault.note("this key is ignored, and all other keys are in force"));
        }
    }

    fn add(&mut self, named: &mut Owners, key: PublicKey, name: &str, place: &Place) {
        match named.get(&key) {
            None => {
                named.insert(key, (name.into(), place.clone()));
            }
            Some((other, first)) if **other != *name => {
                self.unusable.disputed.push(key);
                let fault = Diagnostic::error(format!("the key has two names, {other} and {name}"));
                let fault = fault.at(place.clone()).label("expected a different key");
                self.found
                    .push(fault.note_at(format!("it belongs to {other} at"), first.clone()));
            }
            Some(_) => {}
        }
    }
}
