//! The client's side of CURVE. The client must know the server's key, and sends HELLO and INITIATE.

use super::crypto::{self, BoxKey as _, SharedKey, TAG};
use super::error::CurveError;
use super::keys::{KeyPair, PublicKey};
use super::layout::{self, Fields};
use super::nonce::{self, Incoming, Outgoing};
use super::traffic::{Connected, Opener, Sealer};
use crate::bytes::Bytes;
use crate::command::{self, Command, Ready};

/// A client before HELLO.
#[derive(Debug)]
pub struct Client {
    keys: KeyPair,
    server: PublicKey,
}

/// A client that has sent HELLO.
pub struct AwaitsWelcome {
    keys: KeyPair,
    server: PublicKey,
    short_term: KeyPair,
    /// The shared key of the client's short-term key and the server's long-term key.
    agreed: SharedKey,
    nonces: Outgoing,
}

/// A client that has sent INITIATE.
pub struct AwaitsReady {
    agreed: SharedKey,
    nonces: Outgoing,
}

impl Client {
    /// Returns a client that has the key pair `keys` and expects a server with the key `server`.
    pub const fn new(keys: KeyPair, server: PublicKey) -> Self {
        Self { keys, server }
    }

    /// Returns the next state, and the body of the HELLO command that begins the handshake.
    ///
    /// # Errors
    ///
    /// Fails with [`CurveError::WeakKey`] if the server's key has a small order, and with
    /// [`CurveError::NoRandomness`] if the system provides no random bytes.
    pub fn hello(self) -> Result<(AwaitsWelcome, Vec<u8>), CurveError> {
        let short_term = KeyPair::generate()?;
        let agreed = short_term.agree(&self.server)?;
        let mut nonces = Outgoing::default();
        let short = nonces.next()?;
        let mut body = layout::HELLO.to_vec();
        body.extend_from_slice(&layout::VERSION);
        body.extend_from_slice(&[0; layout::PADDING]);
        body.extend_from_slice(short_term.public().bytes());
        body.extend_from_slice(&short);
        let nonce = nonce::short(layout::HELLO_NONCE, &short);
        agreed.seal_onto(&nonce, &[&[0; layout::SIGNATURE]], &mut body);
        let next = AwaitsWelcome {
            keys: self.keys,
            server: self.server,
            short_term,
            agreed,
            nonces,
        };
        Ok((next, body))
    }
}

impl AwaitsWelcome {
    /// Takes the body of a WELCOME command. Returns the next state, and the body of the INITIATE
    /// that answers the WELCOME. The INITIATE contains `ours`, the metadata of this side.
    ///
    /// # Errors
    ///
    /// Fails if the command is not valid. Fails with [`CurveError::Refused`] if the command is an
    /// ERROR, and with [`CurveError::NoRandomness`] if the system provides no random bytes.
    pub fn welcome(
        mut self,
        body: &[u8],
        ours: &Ready,
    ) -> Result<(AwaitsReady, Vec<u8>), CurveError> {
        const MALFORMED: CurveError = CurveError::Malformed("a malformed WELCOME");
        let mut fields =
            Fields::of_command(body, layout::WELCOME).ok_or_else(|| refusal(body, MALFORMED))?;
        let long = fields.take().ok_or(MALFORMED)?;
        let sealed = fields.last().ok_or(MALFORMED)?;
        let mut sealed: [u8; TAG + crypto::KEY + layout::COOKIE] = *sealed;
        let inside = self
            .agreed
            .open(&nonce::long(layout::WELCOME_NONCE, long), &mut sealed)
            .map_err(|forged| forged.into_error("WELCOME"))?;
        let mut fields = Fields::of_box(inside);
        let server = PublicKey::from_bytes(*fields.take().ok_or(MALFORMED)?);
        let cookie: &[u8; layout::COOKIE] = fields.last().ok_or(MALFORMED)?;
        let agreed = self.short_term.agree(&server)?;

        let short = self.nonces.next()?;
        let mut initiate = [layout::INITIATE, cookie, &short].concat();
        let mut metadata = Vec::new();
        command::put_metadata(&mut metadata, ours);
        let vouch = self.vouch(&server)?;
        let inside = [self.keys.public_bytes(), &vouch, &metadata];
        let nonce = nonce::short(layout::INITIATE_NONCE, &short);
        agreed.seal_onto(&nonce, &inside, &mut initiate);
        let nonces = self.nonces;
        Ok((AwaitsReady { agreed, nonces }, initiate))
    }

    /// Returns the vouch, which proves that the owner of the client's long-term key also owns the
    /// client's short-term key. Only the server that sent the WELCOME can open the vouch.
    fn vouch(&self, short_term_of_server: &PublicKey) -> Result<Vec<u8>, CurveError> {
        let long = crypto::random()?;
        let mut vouch = long.to_vec();
        let inside = [self.short_term.public_bytes(), &self.server.bytes()[..]];
        let nonce = nonce::long(layout::VOUCH_NONCE, &long);
        let agreed = self.keys.agree(short_term_of_server)?;
        agreed.seal_onto(&nonce, &inside, &mut vouch);
        Ok(vouch)
    }
}

impl AwaitsReady {
    /// Takes the body of a READY command, and returns the connection and the server's metadata.
    ///
    /// # Errors
    ///
    /// Fails if the command is not valid. Fails with [`CurveError::Refused`] if the command is an
    /// ERROR.
    pub fn ready(self, body: &[u8]) -> Result<(Connected, Ready), CurveError> {
        const MALFORMED: CurveError = CurveError::Malformed("a malformed READY");
        let mut fields =
            Fields::of_command(body, layout::READY).ok_or_else(|| refusal(body, MALFORMED))?;
        let short = fields.take().ok_or(MALFORMED)?;
        let mut sealed = fields.rest().to_vec();
        let inside = self
            .agreed
            .open(&nonce::short(layout::READY_NONCE, short), &mut sealed)
            .map_err(|forged| forged.into_error("READY"))?;
        let metadata = command::metadata(inside).map_err(CurveError::Malformed)?;
        let connected = Connected {
            sealer: Sealer::new(self.agreed.direction(layout::CLIENT_NONCE), self.nonces),
            opener: Opener::new(
                self.agreed.direction(layout::SERVER_NONCE),
                Incoming::after(*short),
            ),
        };
        Ok((connected, metadata))
    }
}

/// Returns the error with the reason in an ERROR command, or `otherwise` for any other command.
fn refusal(body: &[u8], otherwise: CurveError) -> CurveError {
    match command::parse(&Bytes::from(body.to_vec())) {
        Ok(Command::Error(reason)) => CurveError::Refused(reason),
        _ => otherwise,
    }
}
