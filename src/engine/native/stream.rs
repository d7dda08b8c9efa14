//! TCP and ipc sockets under one name.

use std::fs;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::{Path, PathBuf};

use mio::event::Source;
use mio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use mio::{Interest, Registry, Token};
use socket2::{Domain, Socket, Type};

use super::address::{self, Address, resolve};

/// Connections that may wait to be taken in; the system may have a lower bound of its own. All peers come at
/// once after a restart, and one that finds no room tries again only after a second, then after three.
const BACKLOG: i32 = 4096;

/// A connection.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Ipc(UnixStream),
}

impl Stream {
    /// Begins to connect; whether that worked, [`Self::outcome`] tells once it is writable.
    pub(super) fn connect_tcp(to: SocketAddr) -> io::Result<Self> {
        TcpStream::connect(to).map(Self::Tcp)
    }

    /// Connects to a socket in the file system.
    pub(super) fn connect_ipc(path: &Path) -> io::Result<Self> {
        UnixStream::connect_addr(&address::unix(path)?).map(Self::Ipc)
    }

    /// Whether a connection that was begun is there (true), or still on its way (false).
    pub(super) fn outcome(&self) -> io::Result<bool> {
        let error = match self {
            Self::Tcp(stream) => stream.take_error()?,
            Self::Ipc(stream) => stream.take_error()?,
        };
        if let Some(error) = error {
            return Err(error);
        }
        let peer = match self {
            Self::Tcp(stream) => stream.peer_addr().map(drop),
            Self::Ipc(stream) => stream.peer_addr().map(drop),
        };
        match peer {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Has small messages leave at once; ipc always does.
    pub(super) fn set_nodelay(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_nodelay(true),
            Self::Ipc(_) => Ok(()),
        }
    }

    /// The other end, for people.
    pub(super) fn peer(&self) -> String {
        match self {
            Self::Tcp(stream) => match stream.peer_addr() {
                Ok(address) => format!("tcp://{address}"),
                Err(_) => "tcp://".to_owned(),
            },
            Self::Ipc(_) => "ipc".to_owned(),
        }
    }

    pub(super) fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => (&mut &*stream).read(into),
            Self::Ipc(stream) => (&mut &*stream).read(into),
        }
    }

    pub(super) fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match (self, slices) {
            (Self::Tcp(stream), [one]) => (&mut &*stream).write(one),
            (Self::Tcp(stream), _) => (&mut &*stream).write_vectored(slices),
            (Self::Ipc(stream), _) => (&mut &*stream).write_vectored(slices),
        }
    }

    /// Tells the peer that nothing more comes.
    pub(super) fn finish(&self) {
        // It fails only where there is no peer any more.
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Ipc(stream) => stream.shutdown(Shutdown::Write),
        };
    }
}

impl Source for Stream {
    fn register(&mut self, registry: &Registry, token: Token, to: Interest) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.register(registry, token, to),
            Self::Ipc(stream) => stream.register(registry, token, to),
        }
    }

    fn reregister(&mut self, registry: &Registry, token: Token, to: Interest) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.reregister(registry, token, to),
            Self::Ipc(stream) => stream.reregister(registry, token, to),
        }
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.deregister(registry),
            Self::Ipc(stream) => stream.deregister(registry),
        }
    }
}

/// Where connections come in. Dropped, it listens no more.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    Ipc(UnixListener, IpcPath),
}

impl Listener {
    /// Listens on an address.
    pub(super) fn bind(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp { host, port } => {
                let mut failed = io::Error::new(io::ErrorKind::NotFound, "no such host");
                for at in resolve(host, *port)? {
                    match listen(at) {
                        Ok(listener) => return Ok(Self::Tcp(listener)),
                        Err(error) => failed = error,
                    }
                }
                Err(failed)
            }
            Address::Ipc(path) => {
                remove_stale(path)?;
                // The standard library's has as long a queue as the system lets it, unlike mio's.
                let listener = StdUnixListener::bind_addr(&address::unix(path)?)?;
                listener.set_nonblocking(true)?;
                let path = IpcPath::new(path)?;
                Ok(Self::Ipc(UnixListener::from_std(listener), path))
            }
        }
    }

    /// Where it listens, as the system resolved it.
    pub(super) fn endpoint(&self) -> io::Result<String> {
        Ok(match self {
            Self::Tcp(listener) => format!("tcp://{}", listener.local_addr()?),
            Self::Ipc(_, path) => address::ipc(&path.path),
        })
    }

    /// The next connection that came.
    pub(super) fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(listener) => listener.accept().map(|(stream, _)| Stream::Tcp(stream)),
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

/// Listens on a TCP address. By hand, since a listener of mio's or the standard library's has a queue of 128.
fn listen(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    // Connections of an earlier gateway may linger.
    socket.set_reuse_address(true)?;
    socket.bind(&at.into())?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// A socket's file, which goes with its listener unless somebody else has put another in its place.
#[derive(Debug)]
pub(super) struct IpcPath {
    path: PathBuf,
    /// Device and inode: the file that is ours. An abstract name has none.
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
            // Nothing depends on it: whoever binds next removes what is left.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes the socket that a process which died has left, and nothing else.
fn remove_stale(path: &Path) -> io::Result<()> {
    let socket = fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
    if !socket || address::is_abstract(path) {
        // Nothing there, or something that binding will complain of.
        return Ok(());
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        _ => Err(io::ErrorKind::AddrInUse.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipc_path_is_taken_over_from_the_dead_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let address = Address::Ipc(path.clone());
        let first = Listener::bind(&address).unwrap();
        let taken = Listener::bind(&address).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        // As if its process had died: the file stays.
        let Listener::Ipc(listener, file) = first else {
            panic!("{first:?}");
        };
        drop(listener);
        std::mem::forget(file);
        assert!(path.exists());
        let second = Listener::bind(&address).unwrap();
        drop(second);
        assert!(!path.exists(), "it goes with its listener");
        fs::write(&path, "precious").unwrap();
        assert!(Listener::bind(&address).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }

    /// More than mio's own listener holds, in far less than the system's bound of today.
    #[test]
    fn hundreds_may_connect_before_any_is_taken_in() {
        let patience = std::time::Duration::from_secs(20);
        let listener = Listener::bind(&Address::parse("tcp://127.0.0.1:0").unwrap()).unwrap();
        let endpoint = listener.endpoint().unwrap();
        let at = endpoint.strip_prefix("tcp://").unwrap().parse().unwrap();
        let connect = |_| std::net::TcpStream::connect_timeout(&at, patience).unwrap();
        let there: Vec<_> = (0..300).map(connect).collect();
        for _ in &there {
            listener.accept().unwrap();
        }
        let none = listener.accept().unwrap_err();
        assert_eq!(none.kind(), io::ErrorKind::WouldBlock);
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
