//! The users of PLAIN: names and the hashes of their passwords.
//!
//! The verification of a password takes tens of milliseconds and much memory, by design, so it
//! never happens on the data thread. A keyed hash of each verified password is remembered, so that
//! a client that connects again need not wait. Neither passwords nor hashes are ever printed.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use argon2::password_hash::PasswordVerifier as _;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params};
use blake2::{Blake2b512, Digest as _};
use gateway_zmtp::plain::Credentials;
use zeroize::Zeroizing;

/// The maximum memory of one verification, in KiB. It is several times the recommendations of OWASP
/// and of RFC 9106 for machines with little memory. With this maximum, one line of a file of users
/// cannot exhaust a machine.
const MEMORY_KIB_MAX: u32 = 256 << 10;

/// The maximum number of blocks of 1 KiB that one verification computes, over all passes. Computing
/// this number of blocks takes about a second. Other verifications must wait for this second.
const BLOCKS_MAX: u64 = 1 << 20;

/// The maximum number of lanes of a hash, which is argon2's parameter `p`. Lanes are computed one
/// after the other.
const LANES_MAX: u32 = 16;

/// The length of the random salt of a new hash, in bytes, as argon2's authors recommend.
const SALT_BYTES: usize = 16;

/// A password's hash, which can be verified at a bounded cost. Clones share the hash.
#[derive(Clone, PartialEq, Eq)]
pub struct Hashed(Arc<PasswordHash>);

/// A user whose password was verified.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// The name, which is the user's principal.
    name: Arc<str>,
    /// The hash by which the password was verified.
    hashed: Hashed,
}

/// The users of a frontend, a pool or a side of a channel, and the keyed hashes of their verified
/// passwords. Comparisons ignore the keyed hashes.
pub struct Users {
    users: HashMap<Arc<str>, Hashed>,
    /// The key of the hashes in `remembered`.
    key: Zeroizing<[u8; 32]>,
    /// The keyed hash of each verified password, at most one for each user.
    remembered: Mutex<HashMap<Arc<str>, [u8; 64]>>,
}

/// The reason why credentials are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// There is no such user.
    UnknownUser,
    /// The password is wrong.
    WrongPassword,
}

/// The reason why a text is no hash by which a password can be verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashFault {
    /// The text is not a known hash, and may be the password itself.
    Unknown,
    /// The text is a hash of another function, with this name.
    Foreign(&'static str),
    /// The text begins like a hash of argon2, but is not a valid hash.
    Malformed,
    /// The verification would take too long or too much memory.
    Costly,
}

/// The prefixes of hashes that other programs write, each with the name of its hash function.
const FOREIGN: [(&str, &str); 13] = [
    ("$1$", "MD5 (crypt)"),
    ("$2a$", "bcrypt"),
    ("$2b$", "bcrypt"),
    ("$2y$", "bcrypt"),
    ("$5$", "SHA-256 (crypt)"),
    ("$6$", "SHA-512 (crypt)"),
    ("$7$", "scrypt"),
    ("$apr1$", "MD5 (Apache)"),
    ("$pbkdf2", "PBKDF2"),
    ("$scrypt$", "scrypt"),
    ("$y$", "yescrypt"),
    ("{SHA}", "SHA-1 (LDAP)"),
    ("{SSHA}", "SHA-1 (LDAP)"),
];

impl HashFault {
    /// Returns the fault of a text that is not a complete hash of argon2.
    fn of(text: &str) -> Self {
        if text.starts_with("$argon2") {
            return Self::Malformed;
        }
        let foreign = FOREIGN.iter().find(|(start, _)| text.starts_with(start));
        foreign.map_or(Self::Unknown, |(_, name)| Self::Foreign(name))
    }

    /// Returns a description of the expected text.
    pub fn expected(self) -> &'static str {
        match self {
            Self::Unknown | Self::Foreign(_) | Self::Malformed => {
                "expected a hash of argon2: $argon2id$v=19$m=…,t=…,p=…$SALT$HASH"
            }
            Self::Costly => {
                "expected m of at most 262144, m times t of at most 1048576, and p of at most 16"
            }
        }
    }
}

impl fmt::Display for HashFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("this is not the hash of a password"),
            Self::Foreign(name) => {
                write!(
                    f,
                    "this is a hash of {name}, and only hashes of argon2 are supported"
                )
            }
            Self::Malformed => f.write_str("this is not a valid hash of argon2"),
            Self::Costly => f.write_str("verifying this hash takes too long or too much memory"),
        }
    }
}

impl Hashed {
    /// Reads a hash as `gateway keygen --user` writes it: the PHC string of argon2.
    ///
    /// # Errors
    ///
    /// Fails if the text is not such a hash, or if its verification would cost too much.
    pub fn parse(text: &str) -> Result<Self, HashFault> {
        let fault = || HashFault::of(text);
        let hash = PasswordHash::new(text).map_err(|_| fault())?;
        let is_whole = hash.salt.is_some() && hash.hash.is_some();
        if Algorithm::try_from(hash.algorithm.as_str()).is_err() || !is_whole {
            return Err(fault());
        }
        let params = Params::try_from(&hash).map_err(|_| fault())?;
        let blocks = u64::from(params.m_cost()) * u64::from(params.t_cost());
        if params.m_cost() > MEMORY_KIB_MAX || blocks > BLOCKS_MAX || params.p_cost() > LANES_MAX {
            return Err(HashFault::Costly);
        }
        Ok(Self(Arc::new(hash)))
    }

    /// Returns the hash of a password, with a random salt and the default cost.
    ///
    /// # Errors
    ///
    /// Fails if the system provides no random bytes.
    pub(crate) fn of(password: &[u8]) -> Result<Self, String> {
        use argon2::password_hash::PasswordHasher as _;
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt).map_err(|error| error.to_string())?;
        let hashed = Argon2::default().hash_password_with_salt(password, &salt);
        let hashed = hashed.map_err(|error| error.to_string())?;
        Ok(Self(Arc::new(hashed)))
    }

    /// Returns the text that [`Self::parse`] reads.
    pub(crate) fn text(&self) -> String {
        self.0.to_string()
    }

    fn verifies(&self, password: &[u8]) -> bool {
        let verified = Argon2::default().verify_password(password, &*self.0);
        verified.is_ok()
    }
}

impl fmt::Debug for Hashed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hashed")
    }
}

impl User {
    /// Returns the name, which is the user's principal.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("User").field(&self.name).finish()
    }
}

impl Users {
    /// Returns a set of these users. No password is verified yet.
    ///
    /// # Errors
    ///
    /// Fails if the system provides no random bytes.
    pub fn new(users: HashMap<Arc<str>, Hashed>) -> Result<Self, String> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *key).map_err(|error| error.to_string())?;
        Ok(Self {
            users,
            key,
            remembered: Mutex::default(),
        })
    }

    /// Returns an empty set of users.
    pub(crate) fn empty() -> Self {
        Self {
            users: HashMap::new(),
            key: Zeroizing::default(),
            remembered: Mutex::default(),
        }
    }

    /// Returns the names of all users, in no particular order.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.users.keys()
    }

    /// Returns the principal of a user whose password was verified, perhaps before an edit. Returns
    /// `None` if the user no longer exists or has another password now.
    pub fn principal(&self, user: &User) -> Option<Arc<str>> {
        let (name, hashed) = self.users.get_key_value(&user.name)?;
        (*hashed == user.hashed).then(|| Arc::clone(name))
    }

    /// Returns the user if the password was verified before, and otherwise `None`. The look-up
    /// takes a few microseconds and never waits: it also returns `None` while another thread holds
    /// the lock, and the password must then be verified again.
    pub(crate) fn remembered(&self, credentials: &Credentials) -> Option<User> {
        // The tag is computed for unknown users, too, so that the refusal of an unknown user takes
        // as long as the refusal of a wrong password.
        let tag = self.tag(credentials.user(), credentials.password());
        let (name, hashed) = self.find(credentials)?;
        // The data thread must not wait while another thread remembers a password.
        let remembered = self.remembered.try_lock().ok()?;
        // The time of the comparison reveals nothing useful, because the key is secret.
        (remembered.get(name) == Some(&tag)).then(|| user(name, hashed))
    }

    /// Verifies a password. This takes tens of milliseconds whether the user exists or not, unless
    /// the same password was verified before. Where the hashes of all users have the same cost, the
    /// time does not reveal which users exist.
    ///
    /// # Errors
    ///
    /// Fails with the reason why the credentials are refused.
    pub fn verify(&self, credentials: &Credentials) -> Result<User, Denied> {
        // The same password may have been verified for another connection meanwhile.
        if let Some(user) = self.remembered(credentials) {
            return Ok(user);
        }
        let password = credentials.password();
        let Some((name, hashed)) = self.find(credentials) else {
            // The time of the answer must not reveal which users exist.
            if let Some(other) = self.users.values().next() {
                std::hint::black_box(other.verifies(password));
            }
            return Err(Denied::UnknownUser);
        };
        if !hashed.verifies(password) {
            return Err(Denied::WrongPassword);
        }
        let tag = self.tag(name.as_bytes(), password);
        let mut remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        remembered.insert(Arc::clone(name), tag);
        Ok(user(name, hashed))
    }

    fn find(&self, credentials: &Credentials) -> Option<(&Arc<str>, &Hashed)> {
        let name = std::str::from_utf8(credentials.user()).ok()?;
        self.users.get_key_value(name)
    }

    /// Returns the keyed hash of a user's password. BLAKE2 with the key before the text is a
    /// pseudo-random function. The length of the name separates the name from the password.
    fn tag(&self, name: &[u8], password: &[u8]) -> [u8; 64] {
        let mut hasher = Blake2b512::new();
        hasher.update(self.key.as_slice());
        hasher.update((name.len() as u64).to_le_bytes());
        hasher.update(name);
        hasher.update(password);
        // The hash is computed in place, because moving the hasher would leave a copy of its state
        // in memory, which contains the password.
        hasher.finalize_reset().into()
    }
}

fn user(name: &Arc<str>, hashed: &Hashed) -> User {
    User {
        name: Arc::clone(name),
        hashed: hashed.clone(),
    }
}

impl PartialEq for Users {
    fn eq(&self, other: &Self) -> bool {
        self.users == other.users
    }
}

impl Eq for Users {}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.users.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use argon2::password_hash::PasswordHasher as _;
    use gateway_zmtp::plain::{Client, hello};

    /// Returns a hash that costs little.
    fn cheap(password: &[u8]) -> Hashed {
        let params = Params::new(8, 1, 1, None).unwrap();
        let hashed = Argon2::from(params).hash_password_with_salt(password, &[7; SALT_BYTES]);
        Hashed(Arc::new(hashed.unwrap()))
    }

    fn credentials(user: &str, password: &str) -> Credentials {
        hello(&Client::hello(user, password).unwrap().1).unwrap()
    }

    fn users(all: &[(&str, &str)]) -> Users {
        let all = all
            .iter()
            .map(|(name, password)| ((*name).into(), cheap(password.as_bytes())));
        Users::new(all.collect()).unwrap()
    }

    #[test]
    fn a_verified_password_is_remembered() {
        let users = users(&[("alice", "secret"), ("bob", "other")]);
        let right = credentials("alice", "secret");
        assert_eq!(users.remembered(&right), None);
        let alice = users.verify(&right).unwrap();
        assert_eq!(**alice.name(), *"alice");
        assert_eq!(users.remembered(&right), Some(alice));
        for (user, password, denied) in [
            ("alice", "other", Denied::WrongPassword),
            ("alice", "", Denied::WrongPassword),
            ("bob", "secret", Denied::WrongPassword),
            ("carol", "secret", Denied::UnknownUser),
            ("", "", Denied::UnknownUser),
        ] {
            let wrong = credentials(user, password);
            assert_eq!(users.verify(&wrong), Err(denied), "{user}");
            assert_eq!(users.remembered(&wrong), None, "{user}");
        }
        // After a wrong password, the right one is still remembered.
        assert!(users.remembered(&right).is_some());
    }

    /// The test measures the processor time of the thread several times, and compares the shortest
    /// times. The machine's load changes them little. Without the work for unknown users, one time
    /// would be a thousand times the other.
    #[test]
    fn an_unknown_user_takes_as_long_as_a_wrong_password() {
        let params = Params::new(1024, 2, 1, None).unwrap();
        let hashed = Argon2::from(params).hash_password_with_salt(b"secret", &[7; SALT_BYTES]);
        let hashed = Hashed(Arc::new(hashed.unwrap()));
        let users = Users::new([("alice".into(), hashed)].into()).unwrap();
        let on_processor = || {
            let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
            Duration::try_from(time).unwrap()
        };
        let least = |user: &str| {
            let wrong = credentials(user, "wrong");
            let times = [(); 21].map(|()| {
                let begin = on_processor();
                assert!(users.verify(&wrong).is_err());
                on_processor() - begin
            });
            times.into_iter().min().unwrap()
        };
        let (known, unknown) = (least("alice"), least("bob"));
        assert!(
            known < 10 * unknown && unknown < 10 * known,
            "{known:?} {unknown:?}"
        );
    }

    #[test]
    fn a_verified_user_is_unknown_after_a_new_password_or_a_removal() {
        let alice = |password| users(&[("alice", password)]);
        let verified = alice("secret")
            .verify(&credentials("alice", "secret"))
            .unwrap();
        assert_eq!(alice("secret").principal(&verified), Some("alice".into()));
        assert_eq!(alice("other").principal(&verified), None);
        assert_eq!(users(&[("bob", "secret")]).principal(&verified), None);
        assert_eq!(alice("secret"), alice("secret"));
        assert_ne!(alice("secret"), alice("other"));
    }

    #[test]
    fn a_generated_hash_is_read_back_and_any_other_text_is_refused() {
        let hashed = Hashed::of(b"secret").unwrap();
        let again = Hashed::parse(&hashed.text()).unwrap();
        assert!(again == hashed && again.verifies(b"secret") && !again.verifies(b"Secret"));
        assert_ne!(Hashed::of(b"secret").unwrap().text(), hashed.text());
        let text = cheap(b"secret").text();
        assert!(Hashed::parse(&text).is_ok());
        const BCRYPT: &str = "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW";
        for (wrong, fault) in [
            ("", HashFault::Unknown),
            ("secret", HashFault::Unknown),
            ("$9$secret", HashFault::Unknown),
            (BCRYPT, HashFault::Foreign("bcrypt")),
            ("$6$salt$hash", HashFault::Foreign("SHA-512 (crypt)")),
            ("{SSHA}c29tZQ==", HashFault::Foreign("SHA-1 (LDAP)")),
            (
                "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHRzb21lc2FsdA",
                HashFault::Malformed,
            ),
            ("$argon2id$v=19$m=8,t=1,p=1", HashFault::Malformed),
            (&text.replace("argon2id", "argon3"), HashFault::Unknown),
            (&text.replace("m=8", "m=1"), HashFault::Malformed),
            (&text.replace("m=8", "m=262145"), HashFault::Costly),
            (&text.replace("m=8,t=1", "m=262144,t=5"), HashFault::Costly),
            (&text.replace("t=1", "t=4294967295"), HashFault::Costly),
            (
                &text.replace("m=8,t=1,p=1", "m=1024,t=1,p=17"),
                HashFault::Costly,
            ),
        ] {
            assert_eq!(Hashed::parse(wrong).err(), Some(fault), "{wrong}");
        }
        let foreign = HashFault::Foreign("bcrypt").to_string();
        assert_eq!(
            foreign,
            "this is a hash of bcrypt, and only hashes of argon2 are supported"
        );
    }

    #[test]
    fn no_printed_text_contains_a_hash() {
        let users = users(&[("alice", "secret")]);
        let user = users.verify(&credentials("alice", "secret")).unwrap();
        let printed = format!("{users:?} {user:?} {:?}", cheap(b"secret"));
        assert!(
            printed.contains("alice") && !printed.contains("argon2"),
            "{printed}"
        );
    }
}
