//! Parses the text of a key file: ZPL (RFC 4/ZPL) as pyzmq and czmq write it, or one line that
//! contains only a key.

use std::ops::Range;
use std::sync::Arc;

use super::super::section::Spanned;
use super::role::KeyRole;
use gateway_diagnostic::{Diagnostic, Place, SourceFile, did_you_mean};
use gateway_zmtp::curve::{PublicKey, SecretKey};
use gateway_zmtp::z85::Z85Error;

const PUBLIC: &str = "public-key";
const SECRET: &str = "secret-key";

/// The length of a key, in characters.
const KEY_LENGTH: usize = 40;

/// The content of a key file, and its faults.
#[derive(Debug, Default)]
pub(super) struct KeyText {
    pub(super) public: Option<Spanned<PublicKey>>,
    pub(super) secret: Option<Spanned<SecretKey>>,
    /// The value of `name` outside of the section `curve`.
    pub(super) name: Option<Spanned<String>>,
    pub(super) faults: Vec<Diagnostic>,
}

/// Parses the text of a key file. `file` is the copy for diagnostics, in which secrets are masked
/// and all other characters have the same places.
pub(super) fn parse(text: &str, file: &Arc<SourceFile>, role: KeyRole) -> KeyText {
    let mut reader = KeyReader {
        file,
        role,
        section: None,
        keys: KeyText::default(),
    };
    for (number, line) in text.lines().enumerate() {
        reader.line(Line { number, text: line });
    }
    reader.keys
}

struct KeyReader<'a> {
    file: &'a Arc<SourceFile>,
    role: KeyRole,
    section: Option<&'a str>,
    keys: KeyText,
}

/// A line, and its number from 0.
#[derive(Clone, Copy)]
struct Line<'a> {
    number: usize,
    text: &'a str,
}

impl Line<'_> {
    /// Returns the place of a range of bytes of the line.
    fn place(self, file: &Arc<SourceFile>, bytes: Range<usize>) -> Place {
        let characters = |text: &str| u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        let number = u32::try_from(self.number).unwrap_or(u32::MAX);
        let column = characters(&self.text[..bytes.start]);
        let width = characters(&self.text[bytes]);
        file.place(number.saturating_add(1), column.saturating_add(1), width)
    }
}

/// Returns the range of `part` in `whole`. `part` must be a slice of `whole`.
fn range(whole: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr() as usize - whole.as_ptr() as usize;
    start..start + part.len()
}

impl<'a> KeyReader<'a> {
    fn line(&mut self, line: Line<'a>) {
        let trimmed = line.text.trim();
        if trimmed.is_empty() {
            return;
        }
        // A line is tested for a key before it is tested for a comment or a pair, because Z85
        // contains # and =.
        let is_word = !trimmed.contains(char::is_whitespace);
        if is_word && trimmed.len() == KEY_LENGTH && PublicKey::from_z85(trimmed).is_ok() {
            return self.bare(line, trimmed);
        }
        if trimmed.starts_with('#') {
            return;
        }
        match line.text.split_once('=') {
            Some((name, value)) => self.pair(line, name.trim(), value),
            None if self.is_heading(trimmed) => self.section = Some(trimmed),
            None => self.bare(line, trimmed),
        }
    }

    /// Returns whether a line is the heading of a section. A heading is a plain word of less than
    /// half the length of a key, because a longer word is probably a mistyped key.
    fn is_heading(&self, word: &str) -> bool {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/');
        word.len() < KEY_LENGTH / 2 && word.chars().all(plain)
    }

    /// Reads a line that consists of a key, or of a text that was meant as a key.
    fn bare(&mut self, line: Line<'_>, word: &str) {
        let role = self.role;
        self.key(line, word, role);
    }

    fn pair(&mut self, line: Line<'_>, name: &str, value: &str) {
        let value = unquoted(value);
        match name {
            PUBLIC => self.key(line, value, KeyRole::Peer),
            SECRET => self.key(line, value, KeyRole::Gateway),
            "name" if self.section != Some("curve") => {
                let place = line.place(self.file, range(line.text, value));
                let value = value.to_owned();
                self.keys.name = Some(Spanned { value, place });
            }
            _ if self.section == Some("metadata") => {}
            _ => {
                let Some(meant) = did_you_mean(name, [PUBLIC, SECRET]) else {
                    return;
                };
                let place = line.place(self.file, range(line.text, name));
                let fault = Diagnostic::error(format!("a key file has no {name:?}"));
                let fault = fault.at(place).label("expected public-key or secret-key");
                let fault = fault.help(format!("did you mean {meant:?}?"));
                self.keys.faults.push(fault);
            }
        }
    }

    /// Reads a key, which is secret for [`KeyRole::Gateway`] and public for [`KeyRole::Peer`].
    fn key(&mut self, line: Line<'_>, text: &str, role: KeyRole) {
        let place = line.place(self.file, range(line.text, text));
        let earlier = match role {
            KeyRole::Gateway => self.keys.secret.as_ref().map(|key| &key.place),
            KeyRole::Peer => self.keys.public.as_ref().map(|key| &key.place),
        };
        if let Some(earlier) = earlier {
            let fault =
                Diagnostic::error("a key file has at most one public and one secret key").at(place);
            let fault = fault.label("this is the second");
            let fault = fault.note_at("the first is at", earlier.clone());
            self.keys.faults.push(fault);
            return;
        }
        let read = match role {
            KeyRole::Gateway => SecretKey::from_z85(text).map(|value| {
                let place = place.clone();
                self.keys.secret = Some(Spanned { value, place });
            }),
            KeyRole::Peer => PublicKey::from_z85(text).map(|value| {
                let place = place.clone();
                self.keys.public = Some(Spanned { value, place });
            }),
        };
        if let Err(error) = read {
            let start = range(line.text, text).start;
            self.keys
                .faults
                .push(z85_fault(&error, role, place, |bytes| {
                    line.place(self.file, start + bytes.start..start + bytes.end)
                }));
        }
    }
}

/// Returns the text between quotes or, without quotes, up to the first whitespace.
fn unquoted(value: &str) -> &str {
    let value = value.trim();
    for quote in ['"', '\''] {
        if let Some(rest) = value.strip_prefix(quote) {
            let end = rest.find(quote).unwrap_or(rest.len());
            return &rest[..end];
        }
    }
    let end = value.find(char::is_whitespace).unwrap_or(value.len());
    &value[..end]
}

/// Returns the error of a text that is not a key. `part` returns the place of a range of bytes of
/// the text.
pub(in crate::config) fn z85_fault(
    error: &Z85Error,
    role: KeyRole,
    place: Place,
    part: impl FnOnce(Range<usize>) -> Place,
) -> Diagnostic {
    let kind = match role {
        KeyRole::Gateway => "secret",
        KeyRole::Peer => "public",
    };
    let fault = Diagnostic::error(format!("this is not a {kind} key"));
    match error {
        // The error of a secret key must not show any part of the key.
        Z85Error::Character { found, at } => {
            let place = part(*at..*at + found.len_utf8());
            let label = match role {
                KeyRole::Gateway => "this character does not occur in Z85".to_owned(),
                KeyRole::Peer => error.to_string(),
            };
            fault.at(place).label(label)
        }
        Z85Error::Length { .. } => fault.at(place).label(error.to_string()),
        Z85Error::Overflow { at } => fault.at(part(*at..*at + 5)).label(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC_KEY: &str = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID";
    const SECRET_KEY: &str = "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs";

    fn read(text: &str, role: KeyRole) -> KeyText {
        parse(text, &SourceFile::new("a.key", text), role)
    }

    /// The files that pyzmq's `create_certificates` and czmq's `zcert_save` write.
    #[test]
    fn files_of_pyzmq_and_czmq_are_read() {
        let pyzmq = format!(
            "#   ****  Generated on 2026-11-29 by pyzmq  ****\n#   ZeroMQ CURVE **Secret** Certificate\n\n\
             metadata\ncurve\n    public-key = \"{PUBLIC_KEY}\"\n    secret-key = \"{SECRET_KEY}\"\n"
        );
        let czmq = format!(
            "#   ****  Generated by CZMQ  ****\r\n\r\nmetadata\r\n    name = \"alice\"\r\n    email = \"a@b\"\r\n\
             curve\r\n    public-key = '{PUBLIC_KEY}'\r\n    secret-key = {SECRET_KEY}\r\n"
        );
        for (text, name) in [(pyzmq, None), (czmq, Some("alice"))] {
            let keys = read(&text, KeyRole::Gateway);
            assert!(keys.faults.is_empty(), "{:?}", keys.faults);
            assert_eq!(keys.public.unwrap().value.to_string(), PUBLIC_KEY);
            assert_eq!(keys.secret.unwrap().value.to_z85().as_str(), SECRET_KEY);
            assert_eq!(keys.name.map(|name| name.value).as_deref(), name);
        }
    }

    #[test]
    fn a_line_with_only_a_key_is_the_key_of_the_expected_role() {
        let keys = read(&format!("{PUBLIC_KEY}\n"), KeyRole::Peer);
        assert_eq!(keys.public.unwrap().value.to_string(), PUBLIC_KEY);
        let keys = read(&format!("# ours\n  {SECRET_KEY}"), KeyRole::Gateway);
        assert_eq!(keys.secret.unwrap().value.to_z85().as_str(), SECRET_KEY);
        // The first key looks like a comment, and the second key looks like a pair.
        for key in ["#".repeat(39) + "0", "0".repeat(20) + "=" + &"0".repeat(19)] {
            let sound = PublicKey::from_z85(&key).is_ok();
            assert_eq!(read(&key, KeyRole::Peer).public.is_some(), sound, "{key}");
        }
    }

    #[test]
    fn each_fault_has_its_place() {
        let short = &PUBLIC_KEY[1..];
        let comma = PUBLIC_KEY.replace('$', ",");
        for (text, place, label) in [
            (
                format!("public-key = \"{short}\""),
                "a.key:1:15",
                "found 39",
            ),
            (short.to_owned(), "a.key:1:1", "found 39"),
            (
                format!("curve\n  public-key = \"{comma}\""),
                "a.key:2:21",
                "does not occur",
            ),
            (
                format!("curve\n  public_key = \"{PUBLIC_KEY}\""),
                "a.key:2:3",
                "expected public-key",
            ),
            (
                format!("{PUBLIC_KEY}\n{PUBLIC_KEY}"),
                "a.key:2:1",
                "the second",
            ),
            ("public-key =".to_owned(), "a.key:1:13", "found 0"),
        ] {
            let keys = read(&text, KeyRole::Peer);
            let [fault] = &keys.faults[..] else {
                panic!("{text}: {:?}", keys.faults);
            };
            assert_eq!(fault.place.as_ref().unwrap().to_string(), place, "{text}");
            assert!(fault.label.contains(label), "{text}: {}", fault.label);
        }
    }

    #[test]
    fn any_text_is_read_without_a_panic() {
        let mut random = fastrand::Rng::with_seed(7);
        let words = [
            "public-key",
            "secret-key",
            " = ",
            "\"",
            "'",
            "#",
            "\n",
            PUBLIC_KEY,
            "é",
            "\t",
            "name",
        ];
        for _ in 0..20_000 {
            let count = random.usize(..12);
            let text: String = (0..count)
                .map(|_| *random.choice(&words).unwrap())
                .collect();
            read(&text, KeyRole::Peer);
            read(&text, KeyRole::Gateway);
        }
    }
}
