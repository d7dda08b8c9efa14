//! The admin thread, its listener and its connections. The connections are bounded in number, size
//! and duration.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream as StdTcpStream};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Socket, Type};
use tokio::net::TcpStream;
use tokio::runtime;
use tokio::sync::mpsc::{Sender, UnboundedReceiver, UnboundedSender, channel, unbounded_channel};
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

use super::answer::answer;
use super::connections::{Activity, Connections, Room, SharedActivity};
use super::guarded::guarded;
use super::sampler::Sampler;
use super::sources::AdminSources;
use crate::priority;
use crate::snapshot::AdminSettings;

/// The maximum number of connections at once. A scraper, a probe and a few people need fewer than
/// ten connections. When the maximum is reached, a new connection closes an old one. The maximum is
/// so large that the gateway serves a client that sends its request at once, before a flood of new
/// connections closes the client's connection.
const CONNECTIONS_MAX: usize = 64;

/// The maximum time for receiving a request's head, and the maximum time between two requests of a
/// connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// The maximum duration of a connection. A client that reads slowly, or not at all, is then
/// disconnected. This time exceeds the maximum wait for a reload.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(120);

/// The maximum size of a request's head, in bytes. It also bounds a connection's buffer, since
/// bodies are not read.
const HEAD_MAX: usize = 16 << 10;

/// The maximum number of connections that wait to be accepted. The system may lower this number. If
/// the queue is full, a client tries again after a second, which is too late for many health
/// checks.
const BACKLOG: i32 = 4096;

/// The maximum number of connections that are accepted in one turn, before they are served. It is
/// half of [`CONNECTIONS_MAX`], so that no connection is closed for another connection of the same
/// turn.
const ACCEPTS_PER_TURN_MAX: usize = CONNECTIONS_MAX / 2;

/// The pause in accepting while all connections answer health checks. The next sample completes
/// these health checks.
const PROBE_PAUSE: Duration = Duration::from_millis(1);

/// The maximum time for answers in progress after the listener is closed.
const CLOSING_TIMEOUT: Duration = Duration::from_secs(5);

/// The pause after accepting or binding has failed, before the next attempt. Accepting fails when
/// there are no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The maximum time for the thread to close its listener or to open it again. The thread has hardly
/// any other work.
const ORDER_TIMEOUT: Duration = Duration::from_secs(1);

/// A listener that serves. Dropping this value closes the listener.
#[derive(Debug)]
pub(super) struct Serving {
    pub(super) settings: AdminSettings,
    /// The address of the listener. If the configuration has port 0, this is the port that the
    /// system chose.
    pub(super) address: SocketAddr,
    orders: UnboundedSender<Order>,
}

/// An order to a serving thread. Each order contains a sender, on which the thread reports that the
/// order is carried out. The thread ends once all senders of orders are dropped.
#[derive(Debug)]
enum Order {
    /// Closes the listener. Answers in progress continue.
    Suspend(mpsc::Sender<()>),
    /// Listens again at the same address.
    Listen(mpsc::Sender<()>),
}

impl Serving {
    /// Closes the listener temporarily, so that another listener can be bound to the same port.
    /// Returns `None` if the thread has not closed the listener within [`ORDER_TIMEOUT`].
    pub(super) fn suspend(&self) -> Option<Suspended> {
        // `suspended` is created first, so that dropping it opens the listener again even if the
        // thread closes the listener after the time limit.
        let suspended = Suspended(Some(self.orders.clone()));
        carry_out(&self.orders, Order::Suspend).then_some(suspended)
    }
}

/// A listener that is temporarily closed. Dropping this value opens the listener again.
#[derive(Debug)]
pub(super) struct Suspended(Option<UnboundedSender<Order>>);

impl Suspended {
    /// Leaves the listener closed.
    pub(super) fn keep_closed(mut self) {
        self.0 = None;
    }
}

impl Drop for Suspended {
    fn drop(&mut self) {
        if let Some(orders) = &self.0 {
            carry_out(orders, Order::Listen);
        }
    }
}

/// Sends an order and waits until it is carried out. Returns whether that happened within
/// [`ORDER_TIMEOUT`].
fn carry_out(orders: &UnboundedSender<Order>, order: fn(mpsc::Sender<()>) -> Order) -> bool {
    let (done, is_done) = mpsc::channel();
    orders.send(order(done)).is_ok() && is_done.recv_timeout(ORDER_TIMEOUT).is_ok()
}

/// A bound listener, and a thread that waits to serve on it. Dropping this value closes the
/// listener and ends the thread.
#[derive(Debug)]
pub(super) struct Opening {
    settings: AdminSettings,
    address: SocketAddr,
    listener: TcpListener,
    start: mpsc::Sender<(TcpListener, UnboundedReceiver<Order>)>,
}

impl Opening {
    /// Prepares to serve on `listener`. Every step that can fail is done here, and none in
    /// [`Self::serve`].
    pub(super) fn new(
        settings: AdminSettings,
        listener: TcpListener,
        sources: AdminSources,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let runtime = runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()?;
        let (start, started) = mpsc::channel();
        std::thread::Builder::new()
            .name("admin".into())
            .spawn(move || {
                priority::lower();
                if let Ok((listener, orders)) = started.recv() {
                    runtime.block_on(run(listener, address, sources, orders));
                }
            })?;
        Ok(Self {
            settings,
            address,
            listener,
            start,
        })
    }

    /// Starts serving.
    pub(super) fn serve(self) -> Serving {
        let (orders, receiver) = unbounded_channel();
        // This cannot fail, because the thread waits for this message.
        let _ = self.start.send((self.listener, receiver));
        Serving {
            settings: self.settings,
            address: self.address,
            orders,
        }
    }
}

/// Serves until all senders of orders are dropped.
async fn run(
    listener: TcpListener,
    address: SocketAddr,
    sources: AdminSources,
    mut orders: UnboundedReceiver<Order>,
) {
    let Ok(sampler) = Sampler::start(sources.observer.clone()) else {
        return;
    };
    let context = Arc::new((sources, sampler));
    let connections = Arc::new(Connections::new(CONNECTIONS_MAX));
    // Each connection holds a clone of `open`, so all connections have ended once the last clone is
    // dropped.
    let (open, mut all_ended) = channel::<()>(1);
    let accept_on = |listener: Option<TcpListener>| {
        let (context, connections, open) =
            (Arc::clone(&context), Arc::clone(&connections), open.clone());
        tokio::spawn(async move {
            let mut listener = listener;
            loop {
                let accepts = accept(listener.take(), address, &context, &connections, &open);
                if guarded(accepts).await.is_some() {
                    return;
                }
            }
        })
    };
    let mut accepting = accept_on(Some(listener));
    while let Some(order) = orders.recv().await {
        let done = match order {
            Order::Suspend(done) => {
                accepting.abort();
                // Once the task has ended, its listener is closed.
                let _ = (&mut accepting).await;
                done
            }
            Order::Listen(done) => {
                accepting.abort();
                accepting = accept_on(listen(address).ok());
                done
            }
        };
        // The sender of the order may have stopped waiting.
        let _ = done.send(());
    }
    accepting.abort();
    drop(open);
    let _ = timeout(CLOSING_TIMEOUT, all_ended.recv()).await;
}

/// Binds a listener that does not block.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // Connections of an earlier listener may still be closing.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Accepts connections. If there is no listener, first tries to bind the address until that
/// succeeds. A listener is missing if another program has taken the address, or if a panic has
/// dropped the listener.
async fn accept(
    mut listener: Option<TcpListener>,
    address: SocketAddr,
    context: &Arc<(AdminSources, Sampler)>,
    connections: &Connections,
    open: &Sender<()>,
) {
    let listener = loop {
        match listener.take() {
            Some(listener) => break listener,
            None => sleep(ACCEPT_PAUSE).await,
        }
        listener = listen(address).ok();
    };
    // This fails only if the system cannot watch another descriptor.
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
        return;
    };
    let mut taken = 0;
    loop {
        let accepted = listener.accept().await;
        match accepted.and_then(|(stream, _)| stream.into_std()) {
            Ok(stream) => taken += usize::from(take(stream, context, connections, open).await),
            Err(_) => {
                // There may be no descriptors left.
                connections.close_one();
                sleep(ACCEPT_PAUSE).await;
            }
        }
        if taken == ACCEPTS_PER_TURN_MAX {
            taken = 0;
            // Requests that have arrived are served before further connections are accepted.
            yield_now().await;
        }
    }
}

/// Serves a connection on a task of its own, unless the client has closed the connection already or
/// the connection is refused. Returns whether the connection is served.
async fn take(
    stream: StdTcpStream,
    context: &Arc<(AdminSources, Sampler)>,
    connections: &Connections,
    open: &Sender<()>,
) -> bool {
    let Some(first) = first_activity(&stream) else {
        return false;
    };
    loop {
        match connections.room_for(first) {
            Room::Free => break,
            Room::Soon => sleep(PROBE_PAUSE).await,
            Room::Refused => return false,
        }
    }
    let (context, open) = (Arc::clone(context), open.clone());
    connections.take(first, |activity| {
        tokio::spawn(async move {
            let _ = timeout(
                CONNECTION_TIME_MAX,
                serve_connection(stream, context, activity),
            )
            .await;
            drop(open);
        })
    });
    true
}

/// Returns the activity with which a connection begins, by the bytes that have arrived. Returns
/// `None` if the client has closed the connection without a request.
fn first_activity(stream: &StdTcpStream) -> Option<Activity> {
    let mut head = [0; 1024];
    match stream.peek(&mut head) {
        Ok(0) => None,
        Ok(n) => Some(activity_of(&head[..n])),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Some(Activity::New),
        Err(_) => None,
    }
}

/// Returns the activity of a connection with these first bytes. Only a head that has arrived as a
/// whole counts, so that no client stays connected by sending only a part of a health check.
fn activity_of(bytes: &[u8]) -> Activity {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Activity::New;
    };
    // The path ends at a space or, if there is a query, at a question mark.
    let mut words = bytes[..end].split(|byte| matches!(byte, b' ' | b'?'));
    Activity::of_path(words.nth(1).unwrap_or_default())
}

async fn serve_connection(
    stream: StdTcpStream,
    context: Arc<(AdminSources, Sampler)>,
    activity: SharedActivity,
) {
    // This fails only if the system cannot watch another descriptor.
    let Ok(stream) = TcpStream::from_std(stream) else {
        return;
    };
    let local = stream.local_addr().is_ok_and(|at| at.ip().is_loopback());
    let service = service_fn(move |request: Request<Incoming>| {
        let context = Arc::clone(&context);
        let activity = activity.clone();
        async move {
            let path = request.uri().path().as_bytes();
            let _answering = activity.begin(Activity::of_path(path));
            answer(&request, &context.0, &context.1, local).await
        }
    });
    // If a connection fails, only its client is affected.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_MAX)
        // A client that has closed its sending half is still answered.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_request_determines_the_first_activity() {
        for (head, activity) in [
            ("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", Activity::Probe),
            ("GET /readyz?verbose HTTP/1.1\r\n\r\n", Activity::Probe),
            ("GET /healthz HTTP/1.1\r\nHost: a\r\n", Activity::New),
            ("POST /reload HTTP/1.1\r\nHost: a\r\n\r\n", Activity::Reload),
            ("GET /metrics HTTP/1.1\r\n\r\n", Activity::Page),
            ("\r\n\r\n", Activity::Page),
            ("\r\n\r\nGET /healthz HTTP/1.1\r\n", Activity::Page),
        ] {
            assert_eq!(activity_of(head.as_bytes()), activity, "{head:?}");
        }
    }
}
