//! The keys and the arguments of `secured_client` and `secured_worker`.

use std::error::Error;

/// Returns a DEALER socket that is connected to a gateway with keys, and the address of the
/// gateway. The arguments of the program are the file of the program's keys, the file of the
/// gateway's key, and the address. `usual` contains the values of missing arguments.
///
/// # Errors
///
/// Fails if a file cannot be read or has no such key, if libzmq has no CURVE, or if the address is
/// not valid.
pub fn connected(usual: [&str; 3]) -> Result<(zmq::Socket, String), Box<dyn Error>> {
    let mut given = std::env::args().skip(1);
    let [own, gateways, address] = usual.map(|usual| given.next().unwrap_or(usual.into()));
    let [own, gateways] = [own, gateways].map(std::fs::read_to_string);
    let (own, gateways) = (own?, gateways?);
    if zmq::has("curve") != Some(true) {
        return Err("this libzmq has no CURVE: see .cargo/config.toml".into());
    }
    let socket = zmq::Context::new().socket(zmq::DEALER)?;
    socket.set_curve_publickey(key(&own, "public-key")?)?;
    socket.set_curve_secretkey(key(&own, "secret-key")?)?;
    socket.set_curve_serverkey(key(&gateways, "public-key")?)?;
    socket.connect(&address)?;
    Ok((socket, address))
}

/// Returns the key with this name in the text of a file of `gateway keygen`.
fn key<'a>(file: &'a str, name: &str) -> Result<&'a [u8], String> {
    let start = format!("{name} = \"");
    let mut keys = file.lines().filter_map(|line| {
        let key = line.trim().strip_prefix(&start)?.strip_suffix('"')?;
        Some(key.as_bytes())
    });
    keys.next().ok_or_else(|| format!("there is no {name}"))
}
