//! Resolves `plain`: the users whose passwords are accepted.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use super::Resolver;
use crate::config::keys::{FileAccess, UsersFile};
use crate::config::section::Spanned;
use crate::config::source::PlainSource;
use crate::security::Users;
use crate::snapshot::Endpoints;
use gateway_diagnostic::Diagnostic;

impl<'a> Resolver<'a> {
    /// Returns the users whose passwords are accepted. After an error, which is reported, the
    /// result has no users.
    pub(super) fn plain(
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
