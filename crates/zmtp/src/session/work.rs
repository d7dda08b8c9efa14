//! The costly steps of a handshake, which may be taken on any thread.

use std::fmt;

use crate::command::Ready;
use crate::curve::{
    AwaitsInitiate, AwaitsReady, AwaitsWelcome, Client, CurveError, Introduced, Server,
};

/// A step of a handshake that needs key agreements, which take about 50 µs each. The step may be
/// taken on any thread. The content is boxed, so that the events of a session stay small.
pub struct HandshakeWork(Box<Step>);

pub(super) enum Step {
    Hello(Client),
    Welcome(Server, Vec<u8>),
    Initiate(AwaitsWelcome, Vec<u8>, &'static str),
    Introduce(AwaitsInitiate, Vec<u8>),
}

/// The result of a costly step.
pub struct HandshakeResult(Result<Done, CurveError>);

pub(super) enum Done {
    Hello(AwaitsWelcome, Vec<u8>),
    Welcome(AwaitsInitiate, Vec<u8>),
    Initiate(AwaitsReady, Vec<u8>),
    Introduce(Introduced),
}

/// Writes only the name of the step, because keys must not get into a log.
impl fmt::Debug for HandshakeWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self.0 {
            Step::Hello(_) => "Work(Hello)",
            Step::Welcome(..) => "Work(Welcome)",
            Step::Initiate(..) => "Work(Initiate)",
            Step::Introduce(..) => "Work(Introduce)",
        })
    }
}

impl fmt::Debug for HandshakeResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HandshakeResult")
            .field(&self.0.is_ok())
            .finish()
    }
}

impl HandshakeWork {
    pub(super) fn new(step: Step) -> Self {
        Self(Box::new(step))
    }

    /// Takes the step, and returns its result.
    pub fn run(self) -> HandshakeResult {
        HandshakeResult(match *self.0 {
            Step::Hello(client) => client.hello().map(|(next, body)| Done::Hello(next, body)),
            Step::Welcome(server, body) => server
                .hello(&body)
                .map(|(next, body)| Done::Welcome(next, body)),
            Step::Initiate(client, body, socket_type) => {
                let ours = Ready {
                    socket_type: socket_type.into(),
                    ..Ready::default()
                };
                let initiate = client.welcome(&body, &ours);
                initiate.map(|(next, body)| Done::Initiate(next, body))
            }
            Step::Introduce(server, body) => server.initiate(&body).map(Done::Introduce),
        })
    }
}

impl HandshakeResult {
    pub(super) fn into_done(self) -> Result<Done, CurveError> {
        self.0
    }
}
