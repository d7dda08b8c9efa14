//! Masks the secrets in the texts of key files, so that diagnostics can show the texts.

use std::sync::Arc;

use super::role::KeyRole;
use gateway_diagnostic::{Place, SourceFile};

/// The minimum length of a word that is masked in a file with secret keys, in characters. Such a
/// word may be a key, even if it is mistyped. Shorter words are shown.
const WORD_MIN: usize = 16;

/// Returns the text with secrets masked. Every other character keeps its place.
pub(super) fn masked(text: &str, role: KeyRole) -> String {
    let lines = text.split_inclusive('\n');
    lines.map(|line| masked_line(line, role)).collect()
}

/// Returns the text of a file of users with everything except the names masked. The names keep
/// their places.
pub(super) fn masked_users(text: &str) -> String {
    let masked = |line: &str| {
        // Without a colon, the line may be a password.
        let (name, hash) = line.split_at(line.find(':').map_or(0, |at| at + 1));
        name.to_owned() + &stars(hash)
    };
    text.split_inclusive('\n').map(masked).collect()
}

fn masked_line(line: &str, role: KeyRole) -> String {
    let (shown, hidden) = match line.to_ascii_lowercase().find("secret") {
        Some(at) => line.split_at(value_start(line, at)),
        None => (line, ""),
    };
    let shown = match role {
        // Any other long word may be the secret key, even after the name `public-key`.
        KeyRole::Gateway => masked_words(shown),
        KeyRole::Peer => shown.to_owned(),
    };
    shown + &stars(hidden)
}

/// Returns the position, in bytes, of the value that follows a name in a line. `name` is the
/// position of the name.
fn value_start(line: &str, name: usize) -> usize {
    let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let rest = &line[name..];
    let end = name + rest.find(|c| !named(c)).unwrap_or(rest.len());
    let value = &line[end..];
    let is_separator = |c: char| matches!(c, '=' | ':' | '"' | '\'') || c.is_whitespace();
    end + value.find(|c| !is_separator(c)).unwrap_or(value.len())
}

fn masked_words(text: &str) -> String {
    let words = text.split_inclusive(char::is_whitespace);
    let masked = |word: &str| match word.trim_end().chars().count() {
        WORD_MIN.. => stars(word),
        _ => word.to_owned(),
    };
    words.map(masked).collect()
}

/// Returns a copy of a file in which the characters at `places` are masked.
pub(in crate::config) fn masked_at(file: &SourceFile, places: &[&Place]) -> Arc<SourceFile> {
    let mut text = String::with_capacity(file.text.len());
    for (number, line) in (1..).zip(file.text.split_inclusive('\n')) {
        let here = places.iter().filter(|place| place.line == number);
        let here: Vec<_> = here
            .map(|place| place.column..place.column + place.width)
            .collect();
        for (column, c) in (1..).zip(line.chars()) {
            let is_hidden = here.iter().any(|columns| columns.contains(&column));
            text.push(if is_hidden { star(c) } else { c });
        }
    }
    SourceFile::new(file.path.clone(), text)
}

/// Returns the text with every character but whitespace replaced by `*`.
fn stars(text: &str) -> String {
    text.chars().map(star).collect()
}

fn star(c: char) -> char {
    if c.is_whitespace() { c } else { '*' }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs";
    const PUBLIC: &str = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID";

    #[test]
    fn a_secret_key_is_masked_in_every_spelling() {
        for (line, shown) in [
            (
                format!("    secret-key = \"{SECRET}\"\n"),
                "    secret-key = \"",
            ),
            (format!("secret-key {SECRET}\n"), "secret-key "),
            (format!("Secret_Key: {SECRET}"), "Secret_Key: "),
            (format!("secret-key={SECRET}"), "secret-key="),
            (SECRET.to_owned(), ""),
            (format!("  {}\n", &SECRET[..39]), "  "),
            (format!("# {SECRET}"), "# "),
            (format!("public-key = \"{SECRET}\""), "public-key = "),
        ] {
            let masked = masked(&line, KeyRole::Gateway);
            assert!(masked.starts_with(shown), "{masked}");
            assert_eq!(masked.chars().count(), line.chars().count());
            let rest = masked[shown.len()..].trim_end();
            assert!(
                !rest.is_empty() && rest.chars().all(|c| c == '*'),
                "{masked}"
            );
        }
        let line = format!("{SECRET} secret: {SECRET}");
        assert_eq!(
            masked(&line, KeyRole::Gateway).matches("secret: *").count(),
            1
        );
        assert!(!masked(&line, KeyRole::Gateway).contains("D:)"));
        let line = format!("secret-key = {SECRET}");
        assert!(!masked(&line, KeyRole::Peer).contains("D:)"));
    }

    #[test]
    fn no_hash_and_no_password_of_a_user_is_shown() {
        let text = "alice:$argon2id$v=19\na password\n# bob\n";
        let shown = "alice:**************\n* ********\n* ***\n";
        assert_eq!(masked_users(text), shown);
    }

    #[test]
    fn the_public_key_of_a_peer_is_shown() {
        let line = format!("    public-key = \"{PUBLIC}\"\n");
        assert_eq!(masked(&line, KeyRole::Peer), line);
        assert_eq!(masked(PUBLIC, KeyRole::Peer), PUBLIC);
    }
}
