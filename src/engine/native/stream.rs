//! Streams and listeners, each over TCP or ipc.

use std::fs;
use std::io::{self, IoSlice, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mio::event::Source;
use mio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use mio::{Interest, Registry, Token};
use socket2::{Domain, SockAddr, SockRef, Socket, TcpKeepalive, Type};

use crate::engine::native::address::{self, Address, resolve_in_time};

/// The maximum number of connections that wait to be accepted. The system may set a smaller limit.
/// All peers connect at once after the gateway restarts. If the queue is full, a peer's system
/// tries again after one second at the earliest.
const BACKLOG: i32 = 4096;

/// The silence after which the system checks whether a peer's host is still there. A client may be
/// idle for hours and has no heartbeat, so nothing else would ever show that its host, or the
/// network path to it, is gone. A shorter time would load the networks of tens of thousands of idle
/// clients.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);

/// The time between two checks of a silent host.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// The number of unanswered checks after which a host counts as lost. The silence and the checks
/// take two minutes together, which is more than a router takes to restart.
#[cfg(target_os = "linux")]
const KEEPALIVE_COUNT: u32 = 4;

/// The maximum time for which sent bytes may stay unacknowledged, or for which a peer may accept no
/// bytes. It equals the time in which the keepalive checks detect a lost host. The system's own
/// limit is a quarter of an hour, and unacknowledged answers occupy memory meanwhile.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(120);

/// True if the system gives each accepted connection the options of its listener, as Linux does.
/// That saves five system calls for each connection, which matters when many peers connect at once.
const OPTIONS_INHERITED: bool = cfg!(target_os = "linux");

/// A connection.
#[derive(Debug)]
pub(super) enum Stream {
    /// A TCP stream, and the peer's address. The address is stored, because the system no longer
    /// knows it after the connection was reset.
    Tcp(TcpStream, SocketAddr),
    Ipc(UnixStream),
}

impl Stream {
    /// Begins to connect. [`Self::outcome`] returns the outcome once the stream is writable.
    pub(super) fn connect_tcp(to: SocketAddr) -> io::Result<Self> {
        TcpStream::connect(to).map(|stream| Self::Tcp(stream, to))
    }

    /// Connects to a socket in the file system.
    pub(super) fn connect_ipc(path: &Path) -> io::Result<Self> {
        UnixStream::connect_addr(&address::unix(path)?).map(Self::Ipc)
    }

    /// Returns whether a connection that was begun is complete (true), or still in progress
    /// (false). Fails if the connection could not be made.
    pub(super) fn outcome(&self) -> io::Result<bool> {
        let error = match self {
            Self::Tcp(stream, _) => stream.take_error()?,
            Self::Ipc(stream) => stream.take_error()?,
        };
        if let Some(error) = error {
            return Err(error);
        }
        let peer = match self {
            Self::Tcp(stream, _) => stream.peer_addr().map(drop),
            Self::Ipc(stream) => stream.peer_addr().map(drop),
        };
        match peer {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Sets the options of a connected stream. An ipc stream needs none.
    pub(super) fn set_up(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream, _) => set_options(SockRef::from(stream)),
            Self::Ipc(_) => Ok(()),
        }
    }

    /// Returns the peer's address, for display.
    pub(super) fn peer(&self) -> String {
        match self {
            Self::Tcp(_, address) => format!("tcp://{address}"),
            Self::Ipc(_) => "ipc".to_owned(),
        }
    }

    /// Returns the peer's IP address, if it has one.
    pub(super) fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(_, address) => Some(address.ip().to_canonical()),
            Self::Ipc(_) => None,
        }
    }

    pub(super) fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream, _) => (&mut &*stream).read(into),
            Self::Ipc(stream) => (&mut &*stream).read(into),
        }
    }

    pub(super) fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match (self, slices) {
            (Self::Tcp(stream, _), [one]) => (&mut &*stream).write(one),
            (Self::Tcp(stream, _), _) => (&mut &*stream).write_vectored(slices),
            (Self::Ipc(stream), _) => (&mut &*stream).write_vectored(slices),
        }
    }

    /// Shuts down writing, which notifies the peer that no more bytes follow.
    pub(super) fn finish(&self) {
        // This fails only if the peer has disconnected.
        let _ = match self {
            Self::Tcp(stream, _) => stream.shutdown(Shutdown::Write),
            Self::Ipc(stream) => stream.shutdown(Shutdown::Write),
        };
    }
}

impl Source for Stream {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        match self {
            Self::Tcp(stream, _) => stream.register(registry, token, interest),
            Self::Ipc(stream) => stream.register(registry, token, interest),
        }
    }

    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        match self {
            Self::Tcp(stream, _) => stream.reregister(registry, token, interest),
            Self::Ipc(stream) => stream.reregister(registry, token, interest),
        }
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Self::Tcp(stream, _) => stream.deregister(registry),
            Self::Ipc(stream) => stream.deregister(registry),
        }
    }
}

/// A listener for connections. Dropping a listener closes its socket.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    Ipc(UnixListener, IpcPath),
}

impl Listener {
    /// Listens on an address, or on the first usable address of a name. Removes the socket file
    /// that a dead process has left at an ipc address.
    pub(super) fn bind(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp { host, port } => {
                let mut failed = io::Error::new(io::ErrorKind::NotFound, "no such host");
                for at in ipv4_first(resolve_in_time(host, *port)?) {
                    match listen(at) {
                        Ok(listener) => return Ok(Self::Tcp(listener)),
                        Err(error) => failed = error,
                    }
                }
                Err(failed)
            }
            Address::Ipc(path) => {
                remove_stale(path)?;
                // For ipc, the standard library uses the longest backlog that the system allows.
                let listener = StdUnixListener::bind_addr(&address::unix(path)?)?;
                listener.set_nonblocking(true)?;
                let path = IpcPath::new(path)?;
                Ok(Self::Ipc(UnixListener::from_std(listener), path))
            }
        }
    }

    /// Returns the address of the listener, as the system resolved it.
    pub(super) fn endpoint(&self) -> io::Result<String> {
        Ok(match self {
            Self::Tcp(listener) => format!("tcp://{}", listener.local_addr()?),
            Self::Ipc(_, path) => address::ipc(&path.path),
        })
    }

    /// Accepts the next connection.
    pub(super) fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept()?;
                let stream = Stream::Tcp(stream, address);
                if !OPTIONS_INHERITED {
                    // This fails only if the peer has disconnected.
                    let _ = stream.set_up();
                }
                Ok(stream)
            }
            Self::Ipc(listener, _) => listener.accept().map(|(stream, _)| Stream::Ipc(stream)),
        }
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => listener.register(registry, token, Interest::READABLE),
            Self::Ipc(listener, _) => listener.register(registry, token, Interest::READABLE),
        }
    }
}

/// Sorts the addresses of a name so that IPv4 addresses come first. The gateway listens on the
/// first usable address. Peers that use the same name, in particular peers with libzmq, look for
/// IPv4 addresses.
pub(super) fn ipv4_first(mut found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    found.sort_by_key(SocketAddr::is_ipv6);
    found
}

/// Listens on a TCP address. The socket is created with `socket2`, because a listener of mio or of
/// the standard library has a backlog of only 128.
fn listen(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    // Connections of an earlier gateway may still occupy the address.
    socket.set_reuse_address(true)?;
    socket.bind(&at.into())?;
    socket.listen(BACKLOG)?;
    if OPTIONS_INHERITED {
        set_options(SockRef::from(&socket))?;
    }
    Ok(TcpListener::from_std(socket.into()))
}

/// Sets the options of a TCP socket: small messages are sent at once, and the silent loss of a
/// peer's host is detected.
fn set_options(socket: SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    let probes = TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL);
    #[cfg(target_os = "linux")]
    let probes = probes.with_retries(KEEPALIVE_COUNT);
    socket.set_tcp_keepalive(&probes)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX))?;
    Ok(())
}

/// The file of a listening socket. The file is removed when the listener is dropped, unless another
/// program has replaced the file.
#[derive(Debug)]
pub(super) struct IpcPath {
    path: PathBuf,
    /// The device and inode of the file that the gateway created, or `None` for an abstract name.
    file: Option<(u64, u64)>,
}

impl IpcPath {
    fn new(path: &Path) -> io::Result<Self> {
        let file = match address::is_abstract(path) {
            true => None,
            false => {
                let meta = fs::symlink_metadata(path)?;
                Some((meta.dev(), meta.ino()))
            }
        };
        let path = path.to_owned();
        Ok(Self { path, file })
    }
}

impl Drop for IpcPath {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|meta| Some((meta.dev(), meta.ino())) == self.file);
        if ours {
            // A failure does no harm, since the next program to bind removes a stale file.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes the socket file that a dead process has left, and no other file.
fn remove_stale(path: &Path) -> io::Result<()> {
    let socket = fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
    if !socket || address::is_abstract(path) {
        // There is no socket file to remove. If the path is another file, the bind fails.
        return Ok(());
    }
    match try_to_connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            let why = "another process listens there and accepts no connections: its queue is full";
            Err(io::Error::new(io::ErrorKind::AddrInUse, why))
        }
        _ => Err(io::ErrorKind::AddrInUse.into()),
    }
}

/// Connects to a socket in the file system without waiting for room in its queue.
fn try_to_connect(path: &Path) -> io::Result<()> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipc_path_is_taken_over_only_from_a_dead_process() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let address = Address::Ipc(path.clone());
        let first = Listener::bind(&address).unwrap();
        let taken = Listener::bind(&address).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        // The file stays, as if the process had died.
        let Listener::Ipc(listener, file) = first else {
            panic!("{first:?}");
        };
        drop(listener);
        std::mem::forget(file);
        assert!(path.exists());
        let second = Listener::bind(&address).unwrap();
        drop(second);
        assert!(!path.exists(), "the file is removed with its listener");
        fs::write(&path, "precious").unwrap();
        assert!(Listener::bind(&address).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn bind_does_not_wait_for_a_process_whose_queue_is_full() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let full = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        full.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        full.listen(0).unwrap();
        let mut waiting = Vec::new();
        let error = loop {
            match Stream::connect_ipc(&path) {
                Ok(stream) => waiting.push(stream),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        let taken = Listener::bind(&Address::Ipc(path.clone())).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        assert!(taken.to_string().contains("queue is full"), "{taken}");
        assert!(path.exists());
    }

    /// Opens more connections than mio's own TCP listener would queue, and far fewer than the
    /// system's usual bound.
    #[test]
    fn hundreds_of_peers_may_connect_before_any_is_accepted() {
        let timeout = std::time::Duration::from_secs(20);
        let listener = Listener::bind(&Address::parse("tcp://127.0.0.1:0").unwrap()).unwrap();
        let endpoint = listener.endpoint().unwrap();
        let at = endpoint.strip_prefix("tcp://").unwrap().parse().unwrap();
        let connect = |_| std::net::TcpStream::connect_timeout(&at, timeout).unwrap();
        let connected: Vec<_> = (0..300).map(connect).collect();
        for _ in &connected {
            listener.accept().unwrap();
        }
        let none = listener.accept().unwrap_err();
        assert_eq!(none.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_name_with_addresses_of_both_kinds_is_bound_to_ipv4() {
        let [six, four, other] =
            ["[::1]:7", "127.0.0.1:7", "10.0.0.1:7"].map(|at| at.parse().unwrap());
        assert_eq!(ipv4_first(vec![six, four, other]), [four, other, six]);
        assert_eq!(ipv4_first(vec![six]), [six]);
        let listener = Listener::bind(&Address::parse("tcp://localhost:0").unwrap()).unwrap();
        let endpoint = listener.endpoint().unwrap();
        let found = address::resolve("localhost", 0).unwrap();
        if found.iter().any(SocketAddr::is_ipv4) {
            assert!(endpoint.starts_with("tcp://127."), "{endpoint}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn both_ends_of_a_connection_have_the_options_that_detect_a_lost_host() {
        let listener = Listener::bind(&Address::parse("tcp://127.0.0.1:0").unwrap()).unwrap();
        let at = listener.endpoint().unwrap();
        let at = at.strip_prefix("tcp://").unwrap().parse().unwrap();
        let called = Stream::connect_tcp(at).unwrap();
        let taken = loop {
            match listener.accept() {
                Ok(stream) => break stream,
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        };
        called.set_up().unwrap();
        for stream in [called, taken] {
            let Stream::Tcp(stream, _) = &stream else {
                panic!("{stream:?}");
            };
            let socket = SockRef::from(stream);
            assert!(stream.nodelay().unwrap() && socket.keepalive().unwrap());
            assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE_IDLE);
            assert_eq!(socket.tcp_keepalive_interval().unwrap(), KEEPALIVE_INTERVAL);
            assert_eq!(socket.tcp_keepalive_retries().unwrap(), KEEPALIVE_COUNT);
            let timeout = socket.tcp_user_timeout().unwrap();
            assert_eq!(timeout, Some(UNACKNOWLEDGED_MAX));
        }
        assert_eq!(
            UNACKNOWLEDGED_MAX,
            KEEPALIVE_IDLE + KEEPALIVE_COUNT * KEEPALIVE_INTERVAL,
            "TCP_USER_TIMEOUT overrides the number of checks"
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_abstract_name_is_no_file() {
        let name = format!("@gateway test {}", std::process::id());
        let address = Address::Ipc(name.clone().into());
        let listener = Listener::bind(&address).unwrap();
        assert_eq!(listener.endpoint().unwrap(), format!("ipc://{name}"));
        assert!(!Path::new(&name).exists());
        let taken = Listener::bind(&address).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        Stream::connect_ipc(Path::new(&name)).unwrap();
        drop(listener);
        assert!(Stream::connect_ipc(Path::new(&name)).is_err());
    }
}
