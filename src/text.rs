//! Vietnamese text: one normal form for what is stored, one folded form for what is searched.
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// NFC, the form in which all text is stored (the same letters may arrive composed or decomposed).
pub fn nfc(text: &str) -> String {
    text.nfc().collect()
}

/// No part of one line of text: control characters, and the bidirectional controls that make a subject or a name read as
/// what it is not (Unicode TR36, "Bidirectional Text Spoofing").
pub fn breaks_a_line(letter: char) -> bool {
    is_no_text(letter) || matches!(letter, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// No part of any text that is stored: control characters, and the noncharacters, which are for a program's inside use
/// only and make XML unreadable (Unicode, section 23.7; XML 1.0, section 2.2). Tab and line feed are the caller's to allow.
pub fn is_no_text(letter: char) -> bool {
    let is_noncharacter = matches!(letter, '\u{FDD0}'..='\u{FDEF}') || u32::from(letter) & 0xFFFE == 0xFFFE;
    letter.is_control() || is_noncharacter
}

/// What nobody sees: soft hyphens, joiners, marks of direction, what has no width or only says how something else is to be
/// shown (the invisible among Unicode's Default_Ignorable_Code_Point, and the empty braille pattern). Blanks are seen.
pub fn is_unseen(letter: char) -> bool {
    matches!(
        u32::from(letter),
        0xAD | 0x34F
            | 0x61C
            | 0x115F..=0x1160
            | 0x17B4..=0x17B5
            | 0x180B..=0x180F
            | 0x200B..=0x200F
            | 0x2028..=0x202E
            | 0x2060..=0x206F
            | 0x2800
            | 0x3164
            | 0xFE00..=0xFE0F
            | 0xFEFF
            | 0xFFA0
            | 0xFFF0..=0xFFFB
            | 0x1BCA0..=0x1BCA3
            | 0x1D173..=0x1D17A
            | 0xE0000..=0xE0FFF
    )
}

/// Two addresses of mail, or names of files, that look the same must not be two.
pub fn makes_look_alikes(letter: char) -> bool {
    breaks_a_line(letter) || is_unseen(letter)
}

pub fn shows_nothing(text: &str) -> bool {
    text.chars()
        .all(|letter| letter.is_whitespace() || is_unseen(letter))
}

/// Text as people type it without accents: marks dropped, đ and its look-alikes as d, lower case, everything else a
/// single space. `đ` has no decomposition, so NFD alone leaves it (and SQLite's FTS5 does too).
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for letter in text
        .nfd()
        .filter(|letter| !is_combining_mark(*letter))
        .flat_map(char::to_lowercase)
    {
        let letter = match letter {
            'đ' | 'ð' | 'ɖ' => 'd',
            other => other,
        };
        if letter.is_alphanumeric() {
            folded.push(letter);
        } else if !folded.is_empty() && !folded.ends_with(' ') {
            folded.push(' ');
        }
    }
    folded.truncate(folded.trim_end().len());
    folded
}

/// A LIKE pattern that finds `text`'s folded form anywhere, with `\` as the escape character.
pub fn like_pattern(text: &str) -> String {
    format!(
        "%{}%",
        fold(text)
            .replace('\\', "\\\\")
            .replace('%', "\\%")
            .replace('_', "\\_")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accents_tone_placement_and_normal_form_fold_alike() {
        assert_eq!(fold("Đường Hoà Bình"), "duong hoa binh");
        assert_eq!(fold("hòa"), fold("hoà"));
        assert_eq!(fold(&"Uỷ ban".nfd().collect::<String>()), fold("Ủy ban"));
        assert_eq!(fold("  Sở TT&TT -- H57.14 "), "so tt tt h57 14");
        assert_eq!(fold("Ðà Nẵng"), "da nang");
        assert_eq!(fold("!?"), "");
    }

    #[test]
    fn noncharacters_are_no_text() {
        for letter in [
            '\0',
            '\u{7F}',
            '\u{85}',
            '\u{FDD0}',
            '\u{FDEF}',
            '\u{FFFE}',
            '\u{FFFF}',
            '\u{1FFFE}',
            '\u{10FFFF}',
        ] {
            assert!(is_no_text(letter) && breaks_a_line(letter), "{letter:?}");
        }
        for letter in [
            'a',
            'ệ',
            '\u{FDCF}',
            '\u{FDF0}',
            '\u{FFFD}',
            '\u{10000}',
            '😀',
            '\u{202E}',
        ] {
            assert!(!is_no_text(letter), "{letter:?}");
        }
    }

    #[test]
    fn what_cannot_be_seen_shows_nothing() {
        for text in [
            "",
            " ",
            "\u{200B}",
            "\u{FEFF} \u{200D}\u{2060}",
            "\u{AD}\u{3164}\u{E0041}",
            "\u{2800}",
        ] {
            assert!(shows_nothing(text), "{text:?}");
        }
        for text in ["a", "\u{200B}a", "?", "…", "👩\u{200D}💻", "đ"] {
            assert!(!shows_nothing(text), "{text:?}");
        }
    }

    #[test]
    fn decomposed_text_is_composed() {
        let decomposed: String = "Tiếng Việt".nfd().collect();
        assert_eq!(
            (decomposed.chars().count(), nfc(&decomposed).chars().count()),
            (14, 10)
        );
    }
}
