//! The key `security` of the file, of a frontend, of a pool and of a channel's side, as written.

use std::path::{Path, PathBuf};

use super::super::keys::{KeyRole, z85_fault};
use super::super::section::{Section, Spanned, read, text};
use super::super::value::AllowedNetwork;
use super::super::yaml::{Node, NodeKind};
use crate::security::{Network, principal_fault};
use crate::snapshot::EngineKind;
use gateway_diagnostic::{Diagnostic, Diagnostics, Place};
use gateway_zmtp::curve::{PublicKey, SecretKey};

/// The value of the key `security`, which may be absent.
#[derive(Debug, Default)]
pub(crate) enum SecurityKey {
    /// The key is absent.
    #[default]
    Inherited,
    /// The value is `none`, or an error in it was reported.
    None,
    /// A map.
    Some(Box<SecuritySource>),
}

/// The map of a key `security`.
#[derive(Debug)]
pub(crate) struct SecuritySource {
    /// The CURVE keys of the gateway and of its peers.
    pub curve: Option<CurveSource>,
    /// The users whose passwords are accepted.
    pub plain: Option<PlainSource>,
    /// True if peers with neither a key nor a password are admitted, too.
    pub anonymous: bool,
    /// The networks from which peers may connect, or `None` for any.
    pub from: Option<Spanned<Vec<Network>>>,
}

/// The map of a key `plain`.
#[derive(Debug)]
pub(crate) struct PlainSource {
    /// The place in the file.
    pub place: Place,
    /// The file of users.
    pub users: Option<Spanned<PathBuf>>,
}

/// The map of a key `curve`.
#[derive(Debug)]
pub(crate) struct CurveSource {
    /// The place in the file.
    pub place: Place,
    /// The files with the gateway's keys. If there are none, the files of the top-level `security`
    /// apply.
    pub secret: Vec<Spanned<PathBuf>>,
    /// The keys that are admitted.
    pub peers: Option<Spanned<PeersSource>>,
    /// The keys of peers that are CURVE servers.
    pub server: Option<Spanned<ServerSource>>,
    /// The places of secret keys that are written in routes.yaml itself. Each of these keys was
    /// reported.
    pub exposed: Vec<Place>,
}

/// The keys that are admitted.
#[derive(Debug)]
pub(crate) enum PeersSource {
    /// All keys.
    Any,
    /// The keys in a file or in a directory.
    Path(PathBuf),
    /// A list of keys, each with its principal.
    Named(Vec<(String, Spanned<PublicKey>)>),
}

/// The keys of peers that are CURVE servers.
#[derive(Debug)]
pub(crate) enum ServerSource {
    /// All servers have this key.
    One(ServerKey),
    /// The addresses of servers, each with the key of the server.
    Each(Vec<(Spanned<String>, Spanned<ServerKey>)>),
}

/// The key of a CURVE server.
#[derive(Debug)]
pub(crate) enum ServerKey {
    /// The key itself.
    Key(PublicKey),
    /// A file that contains the key.
    File(PathBuf),
}

impl SecurityKey {
    /// Returns the map, if there is one.
    pub(crate) fn map(&self) -> Option<&SecuritySource> {
        match self {
            Self::Inherited | Self::None => None,
            Self::Some(source) => Some(source),
        }
    }
}

impl SecuritySource {
    /// Returns the key files and directories of keys that this map names.
    pub(crate) fn files(&self) -> impl Iterator<Item = (KeyRole, &Path)> {
        let curve = self.curve.iter();
        curve.flat_map(|curve| {
            let ours = curve.secret.iter().map(|path| &path.value);
            let ours = ours.map(|path| (KeyRole::Gateway, path.as_path()));
            let peers = match curve.peers.as_ref().map(|peers| &peers.value) {
                Some(PeersSource::Path(path)) => Some(path),
                _ => None,
            };
            let server = curve.server.iter().flat_map(|server| server.value.files());
            let theirs = peers.into_iter().chain(server);
            ours.chain(theirs.map(|path| (KeyRole::Peer, path.as_path())))
        })
    }

    /// Returns the file of users that this map names, or `None` if it names none.
    pub(crate) fn users_file(&self) -> Option<&Path> {
        let users = self.plain.as_ref()?.users.as_ref();
        users.map(|path| path.value.as_path())
    }
}

impl ServerSource {
    fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let (one, each) = match self {
            Self::One(key) => (Some(key), None),
            Self::Each(keys) => (None, Some(keys.iter().map(|(_, key)| &key.value))),
        };
        let keys = one.into_iter().chain(each.into_iter().flatten());
        keys.filter_map(|key| match key {
            ServerKey::Key(_) => None,
            ServerKey::File(path) => Some(path),
        })
    }
}

/// Reads `security` of `what`.
pub(super) fn security(
    section: &mut Section<'_>,
    what: &str,
    engine: EngineKind,
    found: &mut Diagnostics,
) -> SecurityKey {
    let Some(node) = section.node("security") else {
        return SecurityKey::Inherited;
    };
    if node.text() == "none" || node.is_unknown() {
        return SecurityKey::None;
    }
    if engine == EngineKind::Libzmq {
        found.push(no_security(node.place.clone()));
        return SecurityKey::None;
    }
    let NodeKind::Map(pairs) = &node.kind else {
        let fault = Diagnostic::error(format!("\"security\" can't be {}", node.found()));
        let fault = fault
            .at(node.place.clone())
            .label("expected a map, or none");
        let help = "security: { curve: { secret: keys/gateway.key_secret, peers: keys/clients } }";
        found.push(fault.help(help));
        return SecurityKey::None;
    };
    let is_empty = pairs.is_empty();
    let mut security = Section::open(node, format!("security of {what}"), &[], found);
    let node_of_curve = security.node("curve").filter(|node| !node.is_unknown());
    let curve = node_of_curve.map(|node| curve(node, what, found));
    let node_of_plain = security.node("plain").filter(|node| !node.is_unknown());
    let plain = node_of_plain.map(|node| plain(node, what, found));
    let switch = [("true", true), ("false", false)];
    let anonymous = security.word("anonymous", &switch, found);
    let from_place = security.node("from").map(|node| node.place.clone());
    let from = security.some(
        "from",
        "leave the key out for all networks",
        found,
        read::<AllowedNetwork>,
    );
    let from = from.zip(from_place).map(|(networks, place)| Spanned {
        value: networks
            .into_iter()
            .map(|spanned| spanned.value.0)
            .collect(),
        place,
    });
    let has_proof = security.has("curve") || security.has("plain");
    if let Some(anonymous) = anonymous.as_ref().filter(|_| !has_proof) {
        let fault = Diagnostic::error("\"anonymous\" has no effect without \"curve\" or \"plain\"");
        let fault = fault.at(anonymous.place.clone()).label("remove it");
        found.push(fault.help("without keys and passwords, every peer is anonymous"));
    }
    security.close(found);
    if is_empty {
        let fault = Diagnostic::error("\"security\" can't be an empty map");
        let fault = fault
            .at(node.place.clone())
            .label("expected curve, plain or from");
        found.push(fault.help("to admit every peer, write security: none"));
    }
    SecurityKey::Some(Box::new(SecuritySource {
        curve,
        plain,
        anonymous: anonymous.is_some_and(|spanned| spanned.value),
        from,
    }))
}

/// Returns the fault of `security` under engine libzmq, which is built without CURVE.
fn no_security(place: Place) -> Diagnostic {
    Diagnostic::error("\"security\" is not supported by engine libzmq")
        .at(place)
        .label("remove it")
        .help("use engine native: the published libzmq has no CURVE")
}

fn curve(node: &Node, what: &str, found: &mut Diagnostics) -> CurveSource {
    let mut curve = Section::open(node, format!("curve of {what}"), &[], found);
    let exposed = curve.node("secret").map(exposed).unwrap_or_default();
    let secret = curve.some("secret", "expected a file", found, secret_file);
    let peers = curve.node("peers");
    let peers = peers.and_then(|node| {
        let value = peers_of(node, found)?;
        let place = node.place.clone();
        Some(Spanned { value, place })
    });
    let server = curve.node("server");
    let server = server.and_then(|node| {
        let value = server_of(node, found)?;
        let place = node.place.clone();
        Some(Spanned { value, place })
    });
    curve.close(found);
    CurveSource {
        place: node.place.clone(),
        secret: secret.unwrap_or_default(),
        peers,
        server,
        exposed,
    }
}

fn plain(node: &Node, what: &str, found: &mut Diagnostics) -> PlainSource {
    let mut plain = Section::open(node, format!("plain of {what}"), &[], found);
    let users = plain.node("users").filter(|node| !node.is_unknown());
    let is_missing = users.is_none() && !plain.has("users");
    let users = users.and_then(|node| text(node, "users", found));
    plain.close(found);
    if is_missing {
        let fault = Diagnostic::error("\"plain\" has no \"users\"").at(node.place.clone());
        let fault = fault.label("expected users: FILE");
        found.push(
            fault.help(
                "the file has one line per user: gateway keygen --user NAME prints such a line",
            ),
        );
    }
    PlainSource {
        place: node.place.clone(),
        users: users.map(|path| Spanned {
            value: path.value.into(),
            place: path.place,
        }),
    }
}

/// Reads the path of a file with a secret key. Reports a secret key in place of the path, and
/// returns `None`.
fn secret_file(node: &Node, key: &str, found: &mut Diagnostics) -> Option<Spanned<PathBuf>> {
    if is_secret(node) {
        found.push(
            Diagnostic::error("a secret key is written in the file itself")
                .at(node.place.clone())
                .label("expected the path of a file")
                .help("others can read this file: put the key into a file of its own with mode 0600, or make a new key with `gateway keygen`"),
        );
        return None;
    }
    let path = text(node, key, found)?;
    Some(Spanned {
        value: PathBuf::from(path.value),
        place: path.place,
    })
}

/// Returns the places of secret keys that are written where paths are expected.
fn exposed(node: &Node) -> Vec<Place> {
    let nodes = match &node.kind {
        NodeKind::List(nodes) => nodes.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let secrets = nodes.iter().filter(|node| is_secret(node));
    secrets.map(|node| node.place.clone()).collect()
}

/// Returns whether a text is a secret key rather than a path. About one key in 35,000 consists only
/// of characters that are common in paths, and is taken for a path.
fn is_secret(node: &Node) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'-');
    SecretKey::from_z85(node.text()).is_ok() && !node.text().bytes().all(plain)
}

fn peers_of(node: &Node, found: &mut Diagnostics) -> Option<PeersSource> {
    match &node.kind {
        NodeKind::Map(pairs) => Some(PeersSource::Named(named(pairs, found))),
        NodeKind::Scalar(text, _) if text == "any" => Some(PeersSource::Any),
        NodeKind::Scalar(..) if PublicKey::from_z85(node.text()).is_ok() => {
            let fault = Diagnostic::error("a key among \"peers\" has no name");
            let fault = fault
                .at(node.place.clone())
                .label("expected a directory, a map or any");
            found.push(fault.help("write { NAME: \"KEY\" }"));
            None
        }
        NodeKind::Unknown => None,
        NodeKind::Scalar(..) => {
            let path = text(node, "peers", found)?;
            Some(PeersSource::Path(path.value.into()))
        }
        NodeKind::List(_) => {
            let fault = Diagnostic::error("\"peers\" can't be a list");
            let fault = fault.at(node.place.clone());
            found.push(
                fault.label("expected a directory of public keys, a map of names and keys, or any"),
            );
            None
        }
    }
}

/// Reads a map from principals to their keys.
fn named(pairs: &[(Node, Node)], found: &mut Diagnostics) -> Vec<(String, Spanned<PublicKey>)> {
    let mut all = Vec::new();
    for (name, node) in pairs {
        if let Some(fault) = principal_fault(name.text()) {
            let wrong = format!("{} can't be a principal", name.found());
            found.push(Diagnostic::error(wrong).at(name.place.clone()).label(fault));
            continue;
        }
        let keys = match &node.kind {
            NodeKind::List(items) => items.iter().collect(),
            _ => vec![node],
        };
        let keys = keys.into_iter().filter_map(|node| public_key(node, found));
        all.extend(keys.map(|key| (name.text().to_owned(), key)));
    }
    all
}

fn public_key(node: &Node, found: &mut Diagnostics) -> Option<Spanned<PublicKey>> {
    let place = node.place.clone();
    let text = match &node.kind {
        NodeKind::Scalar(text, _) => text,
        NodeKind::Unknown => return None,
        NodeKind::List(_) | NodeKind::Map(_) => {
            let fault = Diagnostic::error(format!("a key can't be {}", node.found()));
            found.push(
                fault
                    .at(place)
                    .label("expected 40 characters of Z85")
                    .help(QUOTE_HELP),
            );
            return None;
        }
    };
    match PublicKey::from_z85(text) {
        Ok(value) => Some(Spanned { value, place }),
        Err(error) => {
            let fault = z85_fault(&error, KeyRole::Peer, place.clone(), |_| place);
            found.push(fault.help(QUOTE_HELP));
            None
        }
    }
}

const QUOTE_HELP: &str =
    "keys contain characters with a meaning in YAML: write them between double quotes, as \"…\"";

fn server_of(node: &Node, found: &mut Diagnostics) -> Option<ServerSource> {
    let NodeKind::Map(pairs) = &node.kind else {
        return server_key(node, found).map(|key| ServerSource::One(key.value));
    };
    let keys = pairs.iter().filter_map(|(address, node)| {
        let key = server_key(node, found)?;
        let value = address.text().to_owned();
        let place = address.place.clone();
        Some((Spanned { value, place }, key))
    });
    Some(ServerSource::Each(keys.collect()))
}

fn server_key(node: &Node, found: &mut Diagnostics) -> Option<Spanned<ServerKey>> {
    let text = text(node, "server", found)?;
    let value = match PublicKey::from_z85(&text.value) {
        Ok(key) => ServerKey::Key(key),
        Err(_) => ServerKey::File(text.value.into()),
    };
    Some(Spanned {
        value,
        place: text.place,
    })
}
