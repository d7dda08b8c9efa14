//! Resolves the `security` keys of routes.yaml and the key files into the requirements that the
//! engine checks when peers connect.
//!
//! An error in a peer's key file excludes only the key in that file; all other keys stay valid.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::keys::{FileAccess, KeyFile, KeyFiles, KeyRole, Stored, UsersFile};
use super::principals::{allowed, own_names};
use super::quoted::quoted;
use super::section::Spanned;
use super::source::{
    ChannelSource, CurveSource, FrontendSource, Named, PeersSource, PlainSource, SecurityKey,
    SecuritySource, ServerKey, ServerSource, SideSource, Source,
};
use crate::security::{Curve, KnownPeers, Security, Servers, Users, principal_fault};
use crate::snapshot::{Endpoints, Snapshot};
use gateway_diagnostic::{Diagnostic, Diagnostics, Place};
use gateway_zmtp::curve::{KeyPair, PublicKey};
use gateway_zmtp::session::NullPeers;

/// The requirements of frontends, pools and channels for their peers, in the order of the file.
pub(super) struct Secured {
    pub(super) frontends: Vec<Option<Arc<Security>>>,
    pub(super) pools: Vec<Option<Arc<Security>>>,
    /// The publishers and the subscribers of each channel.
    pub(super) channels: Vec<[Option<Arc<Security>>; 2]>,
}

impl Secured {
    /// Returns the snapshot of the next generation, which differs from `running` only in these
    /// requirements. Returns `None` if the requirements are the same. `source` is the routes.yaml
    /// of both generations.
    pub(super) fn apply(self, source: &Source, running: &Snapshot) -> Option<Snapshot> {
        let mut next = running.clone();
        next.generation += 1;
        let frontends = source
            .frontends
            .iter()
            .map(|entry| &entry.entry.frontend.name);
        for (name, security) in frontends.zip(self.frontends) {
            let mut frontends = next.frontends.values_mut();
            if let Some(frontend) = frontends.find(|frontend| frontend.name == *name) {
                frontend.security = security;
            }
        }
        let pools = source.pools.iter().map(|entry| &entry.entry.settings.name);
        for (name, security) in pools.zip(self.pools) {
            let mut pools = next.pools.values_mut();
            if let Some(pool) = pools.find(|pool| pool.name == *name && pool.security != security) {
                Arc::make_mut(pool).security = security;
            }
        }
        let channels = source
            .channels
            .iter()
            .map(|entry| &entry.entry.settings.name);
        for (name, [publishers, subscribers]) in channels.zip(self.channels) {
            let mut channels = next.channels.values_mut();
            if let Some(channel) = channels.find(|channel| channel.name == *name) {
                let channel = Arc::make_mut(channel);
                channel.publishers.security = publishers;
                channel.subscribers.security = subscribers;
            }
        }
        let is_same = next.frontends == running.frontends
            && next.pools == running.pools
            && next.channels == running.channels;
        (!is_same).then_some(next)
    }
}

/// Resolves every `security`. Errors that exclude only single keys or single users go into
/// `left_out`, and all other diagnostics into `found`.
pub(super) fn secure(
    source: &Source,
    files: &KeyFiles,
    found: &mut Diagnostics,
    left_out: &mut Diagnostics,
) -> Secured {
    let mut resolver = Resolver::new(source, files, None, found, left_out);
    let secured = resolver.all(source);
    resolver.shared_peers(source);
    if secured.frontends.iter().any(Option::is_some) {
        own_names(source, found);
    }
    allowed(source, &secured.frontends, &secured.channels, found);
    secured
}

/// Resolves every `security` of the running configuration again, because key files may have
/// changed. A `security` that cannot be resolved now stays as in `running`.
pub(super) fn secure_again(source: &Source, files: &KeyFiles, running: &Snapshot) -> Secured {
    let (mut found, mut left_out) = (Diagnostics::new(), Diagnostics::new());
    Resolver::new(source, files, Some(running), &mut found, &mut left_out).all(source)
}

struct Resolver<'a> {
    files: &'a KeyFiles,
    default: Option<&'a SecuritySource>,
    /// The running configuration. Its keys and users stay in force where a file cannot be used. If
    /// this is `None`, such a file is an error, and nothing takes effect.
    running: Option<&'a Snapshot>,
    unusable: Unusable,
    /// Key files whose faults have been reported.
    reported: BTreeSet<(KeyRole, &'a Path)>,
    /// Files of users whose faults have been reported.
    reported_users: BTreeSet<&'a Path>,
    found: &'a mut Diagnostics,
    left_out: &'a mut Diagnostics,
}

/// The parts of a `security` that could not be resolved.
#[derive(Default)]
struct Unusable {
    secret: bool,
    peers: bool,
    servers: bool,
    users: bool,
    /// The public keys to which two names were given.
    disputed: Vec<PublicKey>,
}

impl Unusable {
    /// Returns `next`, with each part that could not be resolved replaced by the same part of
    /// `running`.
    fn replaced(self, mut next: Security, running: &Security) -> Security {
        if let (Some(curve), Some(before)) = (&mut next.curve, &running.curve) {
            if self.secret {
                curve.keys = Arc::clone(&before.keys);
            }
            if self.servers {
                curve.servers = before.servers.clone();
            }
            if self.peers {
                curve.peers = before.peers.clone();
            } else if let KnownPeers::Named(names) = &mut curve.peers {
                for key in self.disputed {
                    match &before.peers {
                        KnownPeers::Named(before) if before.contains_key(&key) => {
                            names.insert(key, Arc::clone(&before[&key]));
                        }
                        _ => drop(names.remove(&key)),
                    }
                }
            }
        }
        // If the users are equal, the users of `running` are kept, because that value remembers
        // which passwords have been verified.
        if let Some(before) = &running.plain
            && (self.users || next.plain.as_ref() == Some(before))
        {
            next.plain = Some(Arc::clone(before));
        }
        next
    }
}

/// The owner of each key, with the place where the key was found first.
type Owners = HashMap<PublicKey, (Arc<str>, Place)>;

impl<'a> Resolver<'a> {
    fn new(
        source: &'a Source,
        files: &'a KeyFiles,
        running: Option<&'a Snapshot>,
        found: &'a mut Diagnostics,
        left_out: &'a mut Diagnostics,
    ) -> Self {
        Self {
            files,
            default: source.security.map(),
            running,
            unusable: Unusable::default(),
            reported: BTreeSet::new(),
            reported_users: BTreeSet::new(),
            found,
            left_out,
        }
    }

    fn all(&mut self, source: &'a Source) -> Secured {
        Secured {
            frontends: self.frontends(source),
            pools: self.pools(source),
            channels: self.channels(source),
        }
    }

    fn frontends(&mut self, source: &'a Source) -> Vec<Option<Arc<Security>>> {
        let frontends = source.frontends.iter();
        let inherit =
            frontends.filter(|frontend| matches!(frontend.entry.security, SecurityKey::Inherited));
        let mut all = Endpoints::default();
        let mut before = None;
        for frontend in inherit {
            before = before.or_else(|| self.running_frontend(frontend));
            let Endpoints { bind, connect } = &frontend.entry.frontend.endpoints;
            all.bind.extend(bind.iter().cloned());
            all.connect.extend(connect.iter().cloned());
        }
        let default = self.default.filter(|_| all != Endpoints::default());
        let default = default.map(|default| self.security(default, &all, before));
        let mut secured = Vec::new();
        for frontend in &source.frontends {
            secured.push(match &frontend.entry.security {
                SecurityKey::Inherited => default.clone(),
                SecurityKey::None => None,
                SecurityKey::Some(own) => {
                    let endpoints = &frontend.entry.frontend.endpoints;
                    let before = self.running_frontend(frontend);
                    Some(self.security(own, endpoints, before))
                }
            });
        }
        secured
    }

    fn pools(&mut self, source: &'a Source) -> Vec<Option<Arc<Security>>> {
        let has_keys = self
            .default
            .is_some_and(|default| default.curve.is_some() || default.plain.is_some());
        let has_addresses = self.default.is_some_and(|default| default.from.is_some());
        let mut secured = Vec::new();
        for pool in &source.pools {
            secured.push(match &pool.entry.security {
                SecurityKey::Some(own) => {
                    let endpoints = &pool.entry.settings.endpoints;
                    let before = self.running.and_then(|running| {
                        let mut pools = running.pools.values();
                        let before = pools.find(|before| before.name == pool.entry.settings.name)?;
                        before.security.as_deref()
                    });
                    Some(self.security(own, endpoints, before))
                }
                SecurityKey::Inherited if has_keys => {
                    let name = &pool.entry.settings.name;
                    let fault = Diagnostic::error(format!("pool {name} does not name its workers' keys"));
                    let fault = fault.at(pool.place.clone()).label("expected security: … below");
                    self.found.push(fault.help(
                        "workers are not clients: write security: { curve: { peers: keys/workers } }, or security: none",
                    ));
                    None
                }
                SecurityKey::Inherited
                    if has_addresses && !pool.entry.settings.endpoints.bind.is_empty() =>
                {
                    let name = &pool.entry.settings.name;
                    let fault = Diagnostic::error(format!("pool {name} does not name its workers' addresses"));
                    let fault = fault.at(pool.place.clone()).label("expected security: … below");
                    self.found.push(fault.help(
                        "the `from` of the whole file applies only to clients: write security: { from: 10.1.0.0/16 }, or security: none",
                    ));
                    None
                }
                SecurityKey::Inherited | SecurityKey::None => None,
            });
        }
        secured
    }

    /// Returns the security of the publishers and the subscribers of each channel. Like workers,
    /// publishers and subscribers are not clients, so the `security` of the whole file does not
    /// apply to them.
    fn channels(&mut self, source: &'a Source) -> Vec<[Option<Arc<Security>>; 2]> {
        let mut secured = Vec::new();
        for channel in &source.channels {
            let ChannelSource {
                settings,
                publishers,
                subscribers,
            } = &channel.entry;
            let sides = [
                ("publishers", publishers, &settings.publishers.endpoints),
                ("subscribers", subscribers, &settings.subscribers.endpoints),
            ];
            secured
                .push(sides.map(|(who, side, endpoints)| {
                    self.channel_side(channel, who, side, endpoints)
                }));
        }
        secured
    }

    fn channel_side(
        &mut self,
        channel: &Named<ChannelSource>,
        who: &str,
        side: &'a SideSource,
        endpoints: &Endpoints,
    ) -> Option<Arc<Security>> {
        let default = self.default;
        let has_keys =
            default.is_some_and(|default| default.curve.is_some() || default.plain.is_some());
        let has_addresses = default.is_some_and(|default| default.from.is_some());
        let lacks = match &side.security {
            SecurityKey::Some(own) => {
                let before = self.running.and_then(|running| {
                    let mut channels = running.channels.values();
                    let before =
                        channels.find(|before| before.name == channel.entry.settings.name)?;
                    let side = match who {
                        "publishers" => &before.publishers,
                        _ => &before.subscribers,
                    };
                    side.security.as_deref()
                });
                return Some(self.security(own, endpoints, before));
            }
            SecurityKey::None => return None,
            SecurityKey::Inherited if has_keys => "keys",
            SecurityKey::Inherited if has_addresses && !endpoints.bind.is_empty() => "addresses",
            SecurityKey::Inherited => return None,
        };
        let name = &channel.entry.settings.name;
        let fault = Diagnostic::error(format!("channel {name} does not name its {who}' {lacks}"));
        let fault = fault.at(channel.place.clone());
        let fault = fault.label(format!("expected {who}: {{ security: … }} below"));
        self.found.push(fault.help(format!(
            "the `security` of the whole file applies only to clients: write one for the {who}, or security: none"
        )));
        None
    }

    /// Returns the security of a frontend in the running configuration.
    fn running_frontend(&self, frontend: &Named<FrontendSource>) -> Option<&'a Security> {
        let mut frontends = self.running?.frontends.values();
        let before = frontends.find(|before| before.name == frontend.entry.frontend.name)?;
        before.security.as_deref()
    }

    /// Resolves a `security`. `before` is the same `security` in the running configuration.
    fn security(
        &mut self,
        source: &'a SecuritySource,
        endpoints: &Endpoints,
        before: Option<&Security>,
    ) -> Arc<Security> {
        self.unusable = Unusable::default();
        let next = self.resolved(source, endpoints);
        let unusable = std::mem::take(&mut self.unusable);
        Arc::new(match before {
            Some(before) => unusable.replaced(next, before),
            None => next,
        })
    }

    fn resolved(&mut self, source: &'a SecuritySource, endpoints: &Endpoints) -> Security {
        if let Some(from) = &source.from
            && endpoints.bind.is_empty()
        {
            let fault = Diagnostic::error("\"from\" has no effect without \"bind\"");
            let fault = fault.at(from.place.clone()).label("remove it");
            self.found
                .push(fault.help("`from` applies to peers that connect to \"bind\", not to the addresses in \"connect\""));
        }
        let from = source.from.as_ref();
        Security {
            curve: source
                .curve
                .as_ref()
                .map(|curve| self.curve(curve, endpoints)),
            plain: source
                .plain
                .as_ref()
                .map(|plain| self.plain(plain, source.curve.is_some(), endpoints)),
            null: if source.anonymous {
                NullPeers::Admitted
            } else {
                NullPeers::Refused
            },
            from: from.map_or_else(Arc::default, |from| from.value.as_slice().into()),
        }
    }

    /// Returns the users whose passwords are accepted. After an error, which is reported, the
    /// result has no users.
    fn plain(
        &mut self,
        source: &'a PlainSource,
        has_curve: bool,
        endpoints: &Endpoints,
    ) -> Arc<Users> {
        let nowhere = endpoints.bind.is_empty() || (!has_curve && !endpoints.connect.is_empty());
        if nowhere {
            let fault = Diagnostic::error("\"plain\" is not supported with \"connect\"");
            let fault = fault.at(source.place.clone()).label("remove it");
            self.found.push(fault.help(
                "passwords are accepted only from peers that connect: use `curve` for the addresses in \"connect\"",
            ));
        }
        let is_open = endpoints.bind.iter().any(|address| !is_local(address));
        if is_open && !has_curve {
            let fault = Diagnostic::warning("passwords go over the network in clear text");
            let fault = fault.at(source.place.clone());
            self.found.push(
                fault.help("PLAIN encrypts nothing: add `curve`, or listen on a loopback address"),
            );
        }
        let users = source.users.as_ref().and_then(|path| self.users(path));
        let users = users.map(|file| file.users.clone()).unwrap_or_default();
        let users = Users::new(users).unwrap_or_else(|error| {
            let fault = Diagnostic::error(format!("the system provides no random bytes: {error}"));
            self.found.push(fault.at(source.place.clone()));
            self.unusable.users = true;
            Users::empty()
        });
        Arc::new(users)
    }

    /// Returns the file of users at a path, or `None` if the file cannot be read. Errors of the
    /// file are reported only once.
    fn users(&mut self, path: &'a Spanned<PathBuf>) -> Option<&'a UsersFile> {
        let is_new = self.reported_users.insert(&path.value);
        let file = match self.files.users(&path.value)? {
            Ok(file) => file,
            Err(why) => {
                self.unusable.users = true;
                if is_new {
                    let fault = Diagnostic::error(why.clone()).at(path.place.clone());
                    self.found.push(fault.label("expected a file of users"));
                }
                return None;
            }
        };
        if is_new {
            for fault in &file.faults {
                self.left_out.push(fault.clone());
            }
            if file.access == FileAccess::Everybody {
                let shown = file.file.path.display();
                let fault =
                    Diagnostic::warning("everybody on this machine can read the password hashes");
                let fault = fault.at(path.place.clone()).label("expected mode 0600");
                self.found.push(fault.help(format!("chmod 600 {shown}")));
            }
            if file.users.is_empty() && file.faults.is_empty() {
                let fault = Diagnostic::warning("the file has no user, so every password is wrong");
                let fault = fault.at(path.place.clone());
                self.found.push(
                    fault.help("add a line for each user: gateway keygen --user NAME prints it"),
                );
            }
        }
        Some(file)
    }

    fn curve(&mut self, source: &'a CurveSource, endpoints: &Endpoints) -> Curve {
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

    fn peers(&mut self, peers: &'a Spanned<PeersSource>) -> KnownPeers {
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
                fault.help("add the public key of each peer: in a directory, a file NAME.key"),
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
                .label("only its owner should have it");
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
                let fault = fault.at(place.clone()).label("expected a key of its own");
                self.found
                    .push(fault.note_at(format!("it belongs to {other} at"), first.clone()));
            }
            Some(_) => {}
        }
    }

    fn servers(&mut self, server: &'a Spanned<ServerSource>, endpoints: &Endpoints) -> Servers {
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

    /// Warns about each pool that admits clients as workers. Such a pool names the same path of
    /// peers' keys or of users as a frontend or the `security` of the whole file.
    fn shared_peers(&mut self, source: &Source) {
        let clients: Vec<_> = source
            .frontends
            .iter()
            .map(|entry| &entry.entry.security)
            .collect();
        let clients = clients.into_iter().chain([&source.security]);
        let clients: BTreeSet<&Path> = clients
            .flat_map(peers_paths)
            .map(|(path, _)| path)
            .collect();
        let workers = source.pools.iter();
        for (path, place) in workers.flat_map(|pool| peers_paths(&pool.entry.security)) {
            if clients.contains(path) {
                let fault = Diagnostic::warning("clients are admitted as workers");
                let fault = fault
                    .at(place.clone())
                    .label("a frontend names the same peers");
                self.found
                    .push(fault.help("give workers a directory or a file of their own"));
            }
        }
    }
}

/// Returns the path of the peers' keys and the path of the file of users, each with its place.
fn peers_paths(security: &SecurityKey) -> impl Iterator<Item = (&Path, &Place)> {
    let source = security.map();
    let curve = source.and_then(|source| source.curve.as_ref());
    let peers = curve.and_then(|curve| curve.peers.as_ref());
    let keys = peers.and_then(|peers| match &peers.value {
        PeersSource::Path(path) => Some((path.as_path(), &peers.place)),
        PeersSource::Any | PeersSource::Named(_) => None,
    });
    let plain = source.and_then(|source| source.plain.as_ref());
    let users = plain.and_then(|plain| plain.users.as_ref());
    let users = users.map(|users| (users.value.as_path(), &users.place));
    keys.into_iter().chain(users)
}

/// Returns whether only peers on this machine can connect to an address.
fn is_local(endpoint: &str) -> bool {
    let Some(address) = endpoint.strip_prefix("tcp://") else {
        return true;
    };
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_matches(['[', ']']);
    let ip: Result<IpAddr, _> = host.parse();
    host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
}

fn quoted_path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}
