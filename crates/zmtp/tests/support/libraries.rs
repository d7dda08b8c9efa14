//! Seals and opens the boxes of CURVE with three libraries that share no code. All three must
//! return the same result.

use crypto_box::aead::Aead;
use crypto_box::{PublicKey, SalsaBox, SecretKey};
use dryoc::classic::crypto_box as dryoc_box;

pub type Key = [u8; 32];
pub type Nonce = [u8; 24];

/// The number of bytes by which a box exceeds its content.
pub const TAG: usize = 16;

/// Seals content for the owner of a public key with a secret key, and a nonce.
type Seal = fn(&Key, &Key, &Nonce, &[u8]) -> Vec<u8>;

/// Opens a box from the owner of a public key with a secret key, and the nonce of the box. Returns
/// `None` if the box cannot be opened.
type Open = fn(&Key, &Key, &Nonce, &[u8]) -> Option<Vec<u8>>;

/// One of the libraries. A box consists of a tag and the sealed content.
struct Library {
    name: &'static str,
    public_key: fn(&Key) -> Key,
    seal: Seal,
    open: Open,
}

const LIBRARIES: [Library; 3] = [
    Library {
        name: "libsodium",
        public_key: sodium::public_key,
        seal: sodium::seal,
        open: sodium::open,
    },
    Library {
        name: "crypto_box",
        public_key: |secret| SecretKey::from(*secret).public_key().to_bytes(),
        seal: |public, secret, nonce, content| {
            let sealed = rust_box(public, secret).encrypt(nonce.into(), content);
            sealed.expect("content of any size")
        },
        open: |public, secret, nonce, sealed| {
            rust_box(public, secret).decrypt(nonce.into(), sealed).ok()
        },
    },
    Library {
        name: "dryoc",
        public_key: |secret| {
            let mut public = Key::default();
            dryoc::classic::crypto_core::crypto_scalarmult_base(&mut public, secret);
            public
        },
        seal: |public, secret, nonce, content| {
            let key = dryoc_box::crypto_box_beforenm(public, secret).expect("a strong key");
            let mut sealed = vec![0; TAG + content.len()];
            dryoc_box::crypto_box_easy_afternm(&mut sealed, content, nonce, &key)
                .expect("room for the box");
            sealed
        },
        open: |public, secret, nonce, sealed| {
            let key = dryoc_box::crypto_box_beforenm(public, secret).expect("a strong key");
            let (tag, content) = sealed.split_first_chunk::<TAG>()?;
            let mut content = content.to_vec();
            dryoc_box::crypto_box_open_detached_afternm_inplace(&mut content, tag, nonce, &key)
                .ok()?;
            Some(content)
        },
    },
];

fn rust_box(public: &Key, secret: &Key) -> SalsaBox {
    SalsaBox::new(&PublicKey::from(*public), &SecretKey::from(*secret))
}

/// Returns the public key of a secret key. Asserts that all libraries compute the same key.
pub fn public_key(secret: &Key) -> Key {
    agreed(|library| (library.public_key)(secret))
}

/// Returns the box of the content. Asserts that all libraries seal the same box.
pub fn seal(public: &Key, secret: &Key, nonce: &Nonce, content: &[u8]) -> Vec<u8> {
    agreed(|library| (library.seal)(public, secret, nonce, content))
}

/// Returns the content of a box. Asserts that all libraries return the same content, and that none
/// of them opens the box after a change.
pub fn open(public: &Key, secret: &Key, nonce: &Nonce, sealed: &[u8]) -> Vec<u8> {
    for at in [0, TAG - 1, TAG, sealed.len() - 1] {
        let mut changed = sealed.to_vec();
        changed[at] ^= 1;
        let opened = agreed(|library| (library.open)(public, secret, nonce, &changed));
        assert_eq!(opened, None, "a box whose byte {at} was changed");
    }
    let opened = agreed(|library| (library.open)(public, secret, nonce, sealed));
    opened.expect("a box that every library opens")
}

/// Returns the result of the libraries. Asserts that it is the same for all of them.
fn agreed<T: PartialEq>(result: impl Fn(&Library) -> T) -> T {
    let [first, others @ ..] = &LIBRARIES;
    let expected = result(first);
    for other in others {
        let (first, other_name) = (first.name, other.name);
        assert!(result(other) == expected, "{first} and {other_name} differ");
    }
    expected
}

mod sodium {
    #![expect(unsafe_code, reason = "libsodium is a library in C")]

    use libsodium_sys::{
        crypto_box_easy, crypto_box_open_easy, crypto_scalarmult_base, sodium_init,
    };

    use super::{Key, Nonce, TAG};

    pub fn public_key(secret: &Key) -> Key {
        let mut public = Key::default();
        // SAFETY: both are arrays of the 32 bytes that the function reads or writes.
        unsafe {
            sodium_init();
            crypto_scalarmult_base(public.as_mut_ptr(), secret.as_ptr());
        }
        public
    }

    pub fn seal(public: &Key, secret: &Key, nonce: &Nonce, content: &[u8]) -> Vec<u8> {
        let mut sealed = vec![0; TAG + content.len()];
        // SAFETY: the function reads the arrays and the content within their lengths, and writes
        // the box within the length of `sealed`.
        let code = unsafe {
            sodium_init();
            crypto_box_easy(
                sealed.as_mut_ptr(),
                content.as_ptr(),
                content.len() as u64,
                nonce.as_ptr(),
                public.as_ptr(),
                secret.as_ptr(),
            )
        };
        assert_eq!(code, 0);
        sealed
    }

    pub fn open(public: &Key, secret: &Key, nonce: &Nonce, sealed: &[u8]) -> Option<Vec<u8>> {
        let mut content = vec![0; sealed.len().checked_sub(TAG)?];
        // SAFETY: the function reads the arrays and the box within their lengths, and writes the
        // content within the length of `content`.
        let code = unsafe {
            sodium_init();
            crypto_box_open_easy(
                content.as_mut_ptr(),
                sealed.as_ptr(),
                sealed.len() as u64,
                nonce.as_ptr(),
                public.as_ptr(),
                secret.as_ptr(),
            )
        };
        (code == 0).then_some(content)
    }
}
