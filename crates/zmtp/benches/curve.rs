//! Measures the time to seal and to open a frame with the library of this crate and with dryoc. The
//! library of this crate is libsodium with `--features sodium`, and crypto_box otherwise.
//!
//! ```console
//! $ cargo bench --package gateway-zmtp --features sodium
//! $ cargo bench --package gateway-zmtp
//! ```

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dryoc::classic::crypto_box::{
    crypto_box_detached_afternm_inplace, crypto_box_open_detached_afternm_inplace,
};
use gateway_zmtp::command::Ready;
use gateway_zmtp::curve::{Client, Connected, CurveError, FrameKind, KeyPair, OVERHEAD, Server};

/// The sizes of the frames, in bytes.
const SIZES: [usize; 3] = [60, 1 << 10, 8 << 10];

/// The number of frames in a round.
const FRAMES: usize = 1 << 14;

/// The number of rounds. Only the minimum of each time counts, because other programs can only slow
/// down a round.
const ROUNDS: usize = 20;

fn main() -> Result<(), CurveError> {
    let library = if cfg!(feature = "sodium") {
        "libsodium"
    } else {
        "crypto_box"
    };
    println!("| library | frame | to seal | to open |");
    println!("|---|---|---|---|");
    for size in SIZES {
        print(library, size, this_crate(size)?);
        print("dryoc", size, dryoc(size));
    }
    Ok(())
}

fn print(library: &str, size: usize, [seal, open]: [Duration; 2]) {
    let per_frame = |all: Duration| all.as_nanos() / FRAMES as u128;
    println!(
        "| {library} | {size} B | {} ns | {} ns |",
        per_frame(seal),
        per_frame(open)
    );
}

/// Returns the minimum of each of the two times over all rounds.
fn fastest(mut round: impl FnMut() -> [Duration; 2]) -> [Duration; 2] {
    let rounds = (0..ROUNDS).map(|_| round());
    rounds.fold([Duration::MAX; 2], |least, times| {
        [least[0].min(times[0]), least[1].min(times[1])]
    })
}

/// Returns the time to seal and the time to open all frames of a round with this crate. The times
/// include the work around each box, such as the header and the nonce of the frame.
fn this_crate(size: usize) -> Result<[Duration; 2], CurveError> {
    let (mut client, mut server) = connected()?;
    let data = vec![7; size];
    let mut wire = Vec::with_capacity(FRAMES * (size + OVERHEAD + 9));
    Ok(fastest(|| {
        wire.clear();
        let mut ends = Vec::with_capacity(FRAMES);
        let before = Instant::now();
        for _ in 0..FRAMES {
            let sealed = client.sealer.seal(FrameKind::Last, &data, &mut wire);
            assert!(sealed.is_ok());
            ends.push(wire.len());
        }
        let seal = before.elapsed();
        let before = Instant::now();
        for end in ends {
            let body = &mut wire[end - size - OVERHEAD..end];
            assert!(black_box(server.opener.open(body)).is_ok());
        }
        [seal, before.elapsed()]
    }))
}

/// Returns both sides of a connection: the client and the server.
fn connected() -> Result<(Connected, Connected), CurveError> {
    let keys = KeyPair::generate()?;
    let metadata = Ready::default();
    let client = Client::new(KeyPair::generate()?, keys.public());
    let (client, hello) = client.hello()?;
    let (server, welcome) = Server::new(Arc::from([keys])).hello(&hello)?;
    let (client, initiate) = client.welcome(&welcome, &metadata)?;
    let (server, ready) = server.initiate(&initiate)?.accept(&metadata)?;
    Ok((client.ready(&ready)?.0, server))
}

/// Returns the time to seal and the time to open the boxes of all frames of a round with dryoc.
fn dryoc(size: usize) -> [Duration; 2] {
    // A box contains one byte of flags before the frame.
    let mut boxes = vec![7; FRAMES * (size + 1)];
    let mut tags = vec![[0; 16]; FRAMES];
    let (key, mut nonce) = ([7; 32], [0; 24]);
    fastest(|| {
        let [seal, open] = [true, false].map(|seals| {
            let before = Instant::now();
            let boxes = boxes.chunks_exact_mut(size + 1).zip(&mut tags);
            for (n, (content, tag)) in boxes.enumerate() {
                nonce[16..].copy_from_slice(&n.to_be_bytes());
                if seals {
                    crypto_box_detached_afternm_inplace(content, tag, &nonce, &key);
                } else {
                    let opened =
                        crypto_box_open_detached_afternm_inplace(content, tag, &nonce, &key);
                    assert!(opened.is_ok());
                }
            }
            before.elapsed()
        });
        [seal, open]
    })
}
