//! Resolves `curve`, and reads the gateway's own keys.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::Resolver;
use crate::config::keys::{FileAccess, KeyFile, KeyRole, Stored};
use crate::config::quoted::quoted_path;
use crate::config::section::Spanned;
use crate::config::source::CurveSource;
use crate::security::{Curve, KnownPeers, Servers};
use crate::snapshot::Endpoints;
use gateway_diagnostic::Diagnostic;
use gateway_zmtp::curve::KeyPair;

impl<'a> Resolver<'a> {
    pub(super) fn curve(&mut self, source: &'a CurveSource, endpoints: &Endpoints) -> Curve {
        let default = self.default.and_then(|default| default.curve.as_ref());
        let secret = match source.secret.as_slice() {
            [] => default.map_or(&[][..], |default| &default.secret),
            own => own,
        };
        if secret.is_empty() && source.exposed.is_empty() {
            let fault = Diagnostic::error("\"curve\" has no \"secret\"").at(source.place.clone());
            let fault = fault.label("expected secret: FILE");
            self.found.push(
                fault.help(
                    "`gateway keygen gateway` makes the keys: write secret: gateway.key_secret",
                ),
            );
        }
        let keys: Arc<[KeyPair]> = secret.iter().filter_map(|path| self.ours(path)).collect();
        self.unusable.secret |= keys.len() < secret.len();
        let servers = match &source.server {
            Some(server) => self.servers(server, endpoints),
            None => Servers::None,
        };
        let peers = match &source.peers {
            Some(peers) => self.peers(peers),
            None => {
                if !endpoints.bind.is_empty() || servers == Servers::None {
                    let fault = Diagnostic::error("\"curve\" has no \"peers\"");
                    let fault = fault.at(source.place.clone());
                    let fault = fault.label("expected the keys that are admitted");
                    self.found.push(fault.help(
                        "peers: DIRECTORY of public keys, { NAME: \"KEY\" }, or any for everybody",
                    ));
                }
                KnownPeers::Named(HashMap::new())
            }
        };
        Curve {
            keys,
            peers,
            servers,
        }
    }

    /// Returns the gateway's key pair in a file, or `None` if the file cannot be read or has no
    /// secret key. Errors of the file are reported only once.
    fn ours(&mut self, path: &'a Spanned<PathBuf>) -> Option<KeyPair> {
        let file = self.file(KeyRole::Gateway, path)?;
        let secret = file.secret.as_ref();
        let is_new = self.reported.insert((KeyRole::Gateway, &path.value));
        if is_new {
            file.faults
                .iter()
                .for_each(|fault| self.found.push(fault.clone()));
        }
        let Some(secret) = secret else {
            if is_new && file.faults.is_empty() {
                let fault = Diagnostic::error("there is no secret key in the file");
                let fault = fault
                    .at(file.file.place(1, 1, 1))
                    .label("expected a line secret-key = \"…\"");
                self.found
                    .push(fault.help("name the file with both keys: NAME.key_secret"));
            }
            return None;
        };
        let keys = KeyPair::new(secret.value.clone());
        if is_new && file.access == FileAccess::Everybody {
            let shown = file.file.path.display();
            let fault = Diagnostic::warning("everybody on this machine can read the secret key");
            let fault = fault.at(path.place.clone()).label("expected mode 0600");
            self.found.push(fault.help(format!("chmod 600 {shown}")));
        }
        let other = file
            .public
            .as_ref()
            .filter(|spanned| spanned.value != keys.public());
        self.unusable.secret |= other.is_some() || !file.faults.is_empty();
        if let Some(public) = other
            && is_new
        {
            let fault = Diagnostic::error("the public key does not belong to the secret key");
            let fault = fault.at(public.place.clone());
            self.found
                .push(fault.label(format!("expected {}", keys.public())));
        }
        Some(keys)
    }

    /// Returns the key file at a path. If the path is a directory or cannot be read, reports the
    /// error once and returns `None`.
    fn file(&mut self, role: KeyRole, path: &'a Spanned<PathBuf>) -> Option<&'a KeyFile> {
        let wrong = match self.files.get(role, &path.value)? {
            Stored::File(file) => return Some(file),
            Stored::Directory(..) => format!("{} is a directory", quoted_path(&path.value)),
            Stored::Unreadable(why) => why.clone(),
        };
        if self.reported.insert((role, &path.value)) {
            let fault = Diagnostic::error(wrong).at(path.place.clone());
            self.found.push(fault.label("expected a key file"));
        }
        None
    }
}
