//! The server's side of CURVE. The server must own the key that clients expect, and receives HELLO
//! and INITIATE.

use std::sync::Arc;

use super::crypto::{self, BoxKey as _, Forged, KEY, SharedKey, TAG};
use super::error::CurveError;
use super::keys::{KeyPair, PublicKey};
use super::layout::{self, Fields};
use super::nonce::{self, Incoming, Outgoing};
use super::traffic::{Connected, Opener, Sealer};
use crate::command::{self, Ready};
use subtle::ConstantTimeEq;

/// A server before HELLO.
#[derive(Debug)]
pub struct Server {
    keys: Arc<[KeyPair]>,
}

/// A server that has sent WELCOME.
pub struct AwaitsInitiate {
    /// The public key that opened the HELLO: one of the long-term keys of this server.
    addressed: PublicKey,
    /// The client's short-term key, C'.
    client: PublicKey,
    /// The short-term keys of this side, s' and S'.
    short_term: KeyPair,
    cookie: [u8; layout::COOKIE],
}

/// A client that has proved its identity. The user of this crate decides whether to admit the
/// client.
pub struct Introduced {
    client: PublicKey,
    metadata: Ready,
    agreed: SharedKey,
    seen: Incoming,
}

impl Server {
    /// Returns a server that accepts a HELLO for any of `keys`. The server tries the keys in order
    /// until one opens the HELLO. Each attempt costs one key agreement.
    pub const fn new(keys: Arc<[KeyPair]>) -> Self {
        Self { keys }
    }

    /// Takes the body of a HELLO command. Returns the next state, and the body of the WELCOME that
    /// answers the HELLO.
    ///
    /// This costs a key agreement for each key tried and, if the HELLO is valid, the creation of a
    /// key pair: about 50 µs each.
    ///
    /// # Errors
    ///
    /// Fails with [`CurveError::Malformed`], with [`CurveError::WrongServerKey`] if none of the
    /// keys opens the HELLO, with [`CurveError::WeakKey`] if the client's short-term key has a
    /// small order, or with [`CurveError::NoRandomness`].
    pub fn hello(self, body: &[u8]) -> Result<(AwaitsInitiate, Vec<u8>), CurveError> {
        let hello = Hello::read(body).ok_or(CurveError::Malformed("a malformed HELLO"))?;
        if *hello.version != layout::VERSION {
            return Err(CurveError::Malformed(
                "a HELLO of another version of CurveZMQ",
            ));
        }
        let client = PublicKey::from_bytes(*hello.client);
        let nonce = nonce::short(layout::HELLO_NONCE, hello.nonce);
        let mut addressed = None;
        for keys in &*self.keys {
            let agreed = keys.agree(&client)?;
            let mut sealed = *hello.sealed;
            if matches!(agreed.open(&nonce, &mut sealed), Ok(zeros) if *zeros == [0; layout::SIGNATURE])
            {
                addressed = Some((keys.public(), agreed));
                break;
            }
        }
        let (addressed, agreed) = addressed.ok_or(CurveError::WrongServerKey)?;
        let next = AwaitsInitiate {
            addressed,
            client,
            short_term: KeyPair::generate()?,
            // The RFC describes servers without state, whose cookies hold the keys. This server
            // keeps the keys, so the cookie only has to be unpredictable.
            cookie: crypto::random()?,
        };
        let welcome = next.welcome(&agreed)?;
        Ok((next, welcome))
    }
}

/// The fields of a HELLO.
struct Hello<'a> {
    version: &'a [u8; 2],
    client: &'a [u8; KEY],
    nonce: &'a [u8; nonce::SHORT],
    sealed: &'a [u8; TAG + layout::SIGNATURE],
}

impl<'a> Hello<'a> {
    fn read(body: &'a [u8]) -> Option<Self> {
        let mut fields = Fields::of_command(body, layout::HELLO)?;
        let version = fields.take()?;
        let _: &[u8; layout::PADDING] = fields.take()?;
        Some(Self {
            version,
            client: fields.take()?,
            nonce: fields.take()?,
            sealed: fields.last()?,
        })
    }
}

impl AwaitsInitiate {
    fn welcome(&self, agreed: &SharedKey) -> Result<Vec<u8>, CurveError> {
        let long = crypto::random()?;
        let mut body = [layout::WELCOME, &long].concat();
        let inside = [self.short_term.public_bytes(), &self.cookie];
        agreed.seal_onto(
            &nonce::long(layout::WELCOME_NONCE, &long),
            &inside,
            &mut body,
        );
        Ok(body)
    }

    /// Takes the body of an INITIATE command, and returns the client that it introduces.
    ///
    /// This costs at most two key agreements if the cookie is right, and none otherwise.
    ///
    /// # Errors
    ///
    /// Fails if the command, its cookie, its boxes or its metadata is not valid.
    pub fn initiate(self, body: &[u8]) -> Result<Introduced, CurveError> {
        const MALFORMED: CurveError = CurveError::Malformed("a malformed INITIATE");
        let mut fields = Fields::of_command(body, layout::INITIATE).ok_or(MALFORMED)?;
        let cookie: &[u8; layout::COOKIE] = fields.take().ok_or(MALFORMED)?;
        let short = fields.take().ok_or(MALFORMED)?;
        if !bool::from(cookie[..].ct_eq(&self.cookie)) {
            return Err(CurveError::WrongCookie);
        }
        let agreed = self.short_term.agree(&self.client)?;
        let mut sealed = fields.rest().to_vec();
        let inside = agreed
            .open(&nonce::short(layout::INITIATE_NONCE, short), &mut sealed)
            .map_err(|forged| forged.into_error("INITIATE"))?;
        let mut fields = Fields::of_box(inside);
        let client = PublicKey::from_bytes(*fields.take().ok_or(MALFORMED)?);
        self.check_vouch(&client, fields.take().ok_or(MALFORMED)?)?;
        let metadata = command::metadata(fields.rest()).map_err(CurveError::Malformed)?;
        Ok(Introduced {
            client,
            metadata,
            agreed,
            // HELLO and INITIATE are sealed with different keys, so the client may begin with any
            // nonce.
            seen: Incoming::after(*short),
        })
    }

    /// Checks the vouch, by which the owner of the client's long-term key confirms the client's
    /// short-term key to one server. That server must be this one. libzmq checks only the
    /// short-term key.
    fn check_vouch(
        &self,
        client: &PublicKey,
        vouch: &[u8; layout::VOUCH],
    ) -> Result<(), CurveError> {
        let mut fields = Fields::of_box(vouch);
        let long = fields.take().ok_or(CurveError::WrongVouch)?;
        let mut sealed = fields.rest().to_vec();
        let inside = self
            .short_term
            .agree(client)?
            .open(&nonce::long(layout::VOUCH_NONCE, long), &mut sealed)
            .map_err(|Forged| CurveError::NotAPair)?;
        let (short_term, server) = inside.split_at(KEY);
        // The second key is compared even if the first differs, so that the time does not depend on
        // the first result.
        if self.client.equals(short_term) & self.addressed.equals(server) {
            Ok(())
        } else {
            Err(CurveError::WrongVouch)
        }
    }
}

impl Introduced {
    /// Returns the long-term public key, which identifies the client.
    pub const fn client(&self) -> PublicKey {
        self.client
    }

    /// Returns the client's metadata.
    pub const fn metadata(&self) -> &Ready {
        &self.metadata
    }

    /// Admits the client. Returns the connection, and the body of the READY command, which
    /// completes the handshake.
    ///
    /// # Errors
    ///
    /// Fails with [`CurveError::NoncesExhausted`], which cannot happen here, because READY takes
    /// the first nonce.
    pub fn accept(self, ours: &Ready) -> Result<(Connected, Vec<u8>), CurveError> {
        let mut nonces = Outgoing::default();
        let short = nonces.next()?;
        let mut body = [layout::READY, &short].concat();
        let mut metadata = Vec::new();
        command::put_metadata(&mut metadata, ours);
        let nonce = nonce::short(layout::READY_NONCE, &short);
        self.agreed.seal_onto(&nonce, &[&metadata], &mut body);
        let connected = Connected {
            sealer: Sealer::new(self.agreed.direction(layout::SERVER_NONCE), nonces),
            opener: Opener::new(self.agreed.direction(layout::CLIENT_NONCE), self.seen),
        };
        Ok((connected, body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curve::Client;

    /// A client's vouch is known to the server that the client connected to. If that server passes
    /// the vouch to another server, the other server must refuse it.
    #[test]
    fn a_vouch_for_another_server_or_another_connection_is_refused() {
        let keys = || KeyPair::generate().expect("random bytes");
        type Change = fn(&mut AwaitsInitiate, PublicKey);
        let cases: [(Change, _); 3] = [
            (|_, _| {}, Ok(())),
            (
                |state, other| state.addressed = other,
                Err(CurveError::WrongVouch),
            ),
            (
                |state, other| state.client = other,
                Err(CurveError::WrongVouch),
            ),
        ];
        for (change, expected) in cases {
            let server = keys();
            let client = Client::new(keys(), server.public());
            let (client, hello) = client.hello().expect("a HELLO");
            let (mut state, welcome) = Server::new(Arc::from([server]))
                .hello(&hello)
                .expect("a WELCOME");
            let (_, initiate) = client
                .welcome(&welcome, &Ready::default())
                .expect("an INITIATE");
            let (client, vouch) = opened(&state, &initiate);
            change(&mut state, keys().public());
            assert_eq!(state.check_vouch(&client, &vouch), expected);
        }
    }

    /// A client has the public key of one pair and the secret key of another, or pretends to have
    /// the key of another client.
    #[test]
    fn a_vouch_by_another_key_is_refused() {
        let keys = || KeyPair::generate().expect("random bytes");
        let (server, other) = (keys(), keys().public());
        let client = Client::new(keys(), server.public());
        let (client, hello) = client.hello().expect("a HELLO");
        let (waits, welcome) = Server::new(Arc::from([server]))
            .hello(&hello)
            .expect("a WELCOME");
        let (_, initiate) = client
            .welcome(&welcome, &Ready::default())
            .expect("an INITIATE");
        let (_, vouch) = opened(&waits, &initiate);
        let refused = waits.check_vouch(&other, &vouch);
        assert_eq!(refused, Err(CurveError::NotAPair));
        // Everybody could seal a vouch for a key of a small order.
        let weak = PublicKey::from_bytes([0; KEY]);
        let refused = waits.check_vouch(&weak, &vouch);
        assert_eq!(refused, Err(CurveError::WeakKey));
    }

    /// Returns the client's key and the client's vouch from the box of an INITIATE.
    fn opened(state: &AwaitsInitiate, body: &[u8]) -> (PublicKey, [u8; layout::VOUCH]) {
        let agreed = state.short_term.agree(&state.client).expect("a key");
        let mut fields = Fields::of_command(body, layout::INITIATE).expect("an INITIATE");
        let _: &[u8; layout::COOKIE] = fields.take().expect("a cookie");
        let short = fields.take().expect("a nonce");
        let mut sealed = fields.rest().to_vec();
        let nonce = nonce::short(layout::INITIATE_NONCE, short);
        let inside = agreed.open(&nonce, &mut sealed).expect("an honest client");
        let mut fields = Fields::of_box(inside);
        let client = PublicKey::from_bytes(*fields.take().expect("a key"));
        let vouch = *fields.take().expect("a vouch");
        (client, vouch)
    }
}
