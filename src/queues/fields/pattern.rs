//! Patterns of texts: what every reader of JSON Schema reads as this house does, and nothing else.
//!
//! A schema's patterns are ECMA-262's with the flag `u` (JSON Schema 2020-12, core, section 6.4). Of these the part is
//! taken that also `regex-lite` has; `.` and the classes `\d \w \s`, which engines read differently, are said in full. Refuses
//! flags, names, nested sets, look-around, back references and everything that one of the two would take for something else.
use regex_syntax::ast::parse::Parser;
use regex_syntax::ast::{
    AssertionKind, Ast, ClassPerl, ClassPerlKind, ClassSet, ClassSetItem, GroupKind, HexLiteralKind, Literal,
    LiteralKind, Repetition, Span, SpecialLiteralKind, Visitor, visit,
};

/// What may stand in a pattern.
pub const IN_WORDS: &str = "It is no regular expression that every program reads alike. There may be characters, `.`, \
    `\\d`, `\\w`, `\\s`, `\\D`, `\\W`, `\\S`, sets such as `[a-z,]` and `[^a-z]`, groups `( )` and `(?: )`, `|`, the \
    repetitions `*`, `+`, `?` and `{2,3}`, `^`, `$`, `\\b`, `\\B`, and as escapes `\\t`, `\\n`, `\\v`, `\\f`, `\\r`, \
    `\\x41`, `\\u0041` and `\\` before one of `^$\\.*+?()[]{}|/`, in sets also before `-`.";

/// The members of classes, as they stand inside a set; white space as ECMA-262 has it.
const DIGITS: &str = "0-9";
const WORD: &str = "0-9A-Z_a-z";
const SPACE: &str = r"\t-\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff";
const LINE_ENDS: &str = r"\n\r\u2028\u2029";
/// What ECMA-262 lets be escaped under `u`.
/// RE2 and Go's `regexp` take no larger count.
const MOST_COUNTED: u32 = 1000;
const SYNTAX_CHARACTERS: &str = r"^$\.*+?()[]{}|/";

/// The expression that finds a text all of which matches, the same to every reader.
pub fn whole(pattern: &str) -> Option<String> {
    let ast = Parser::new().parse(pattern).ok()?;
    let reader = Reader {
        pattern,
        said_in_full: Vec::new(),
    };
    let said_in_full = visit(&ast, reader).ok()?;
    let mut whole = String::from("^(?:");
    let mut read = 0;
    for (span, members) in said_in_full {
        whole.push_str(pattern.get(read..span.start.offset)?);
        whole.push_str(&members);
        read = span.end.offset;
    }
    whole.push_str(pattern.get(read..)?);
    whole.push_str(")$");
    Some(whole)
}

/// It is not read alike.
struct Refused;

type Read = Result<(), Refused>;

fn allow(is_allowed: bool) -> Read {
    if is_allowed { Ok(()) } else { Err(Refused) }
}

struct Reader<'a> {
    pattern: &'a str,
    /// In their order, as the pattern is walked.
    said_in_full: Vec<(Span, String)>,
}

impl Visitor for Reader<'_> {
    type Output = Vec<(Span, String)>;
    type Err = Refused;

    fn finish(self) -> Result<Self::Output, Refused> {
        Ok(self.said_in_full)
    }

    fn visit_pre(&mut self, ast: &Ast) -> Read {
        match ast {
            Ast::Empty(_) | Ast::Alternation(_) | Ast::Concat(_) => Ok(()),
            Ast::Flags(_) | Ast::ClassUnicode(_) => Err(Refused),
            Ast::Literal(literal) => literal_outside(literal),
            Ast::Dot(span) => {
                self.said_in_full.push((**span, format!("[^{LINE_ENDS}]")));
                Ok(())
            }
            Ast::Assertion(assertion) => allow(matches!(
                assertion.kind,
                AssertionKind::StartLine
                    | AssertionKind::EndLine
                    | AssertionKind::WordBoundary
                    | AssertionKind::NotWordBoundary
            )),
            Ast::ClassPerl(class) => {
                let opposite = if class.negated { "^" } else { "" };
                let members = format!("[{opposite}{}]", members(class));
                self.said_in_full.push((class.span, members));
                Ok(())
            }
            Ast::ClassBracketed(set) => {
                allow(matches!(set.kind, ClassSet::Item(_)))?;
                // Operations to one of them, to the other members and ranges.
                let text = self.text(&set.span)?;
                allow(!["--", "&&", "~~"].iter().any(|doubled| text.contains(doubled)))
            }
            Ast::Repetition(repetition) => self.repetition(repetition),
            Ast::Group(group) => allow(match &group.kind {
                GroupKind::CaptureIndex(_) => true,
                GroupKind::NonCapturing(flags) => flags.items.is_empty(),
                GroupKind::CaptureName { .. } => false,
            }),
        }
    }

    fn visit_class_set_item_pre(&mut self, item: &ClassSetItem) -> Read {
        match item {
            ClassSetItem::Empty(_) | ClassSetItem::Union(_) => Ok(()),
            ClassSetItem::Literal(literal) => literal_inside(literal),
            ClassSetItem::Range(range) => {
                literal_inside(&range.start)?;
                literal_inside(&range.end)
            }
            // The opposite of a class has no members to put in its place.
            ClassSetItem::Perl(class) if !class.negated => {
                self.said_in_full.push((class.span, members(class).to_owned()));
                Ok(())
            }
            ClassSetItem::Perl(_)
            | ClassSetItem::Ascii(_)
            | ClassSetItem::Unicode(_)
            | ClassSetItem::Bracketed(_) => Err(Refused),
        }
    }
}

impl Reader<'_> {
    fn text(&self, span: &Span) -> Result<&str, Refused> {
        self.pattern
            .get(span.start.offset..span.end.offset)
            .ok_or(Refused)
    }

    /// Of something that takes room, once.
    fn repetition(&self, repetition: &Repetition) -> Read {
        let of_nothing = matches!(
            *repetition.ast,
            Ast::Empty(_) | Ast::Flags(_) | Ast::Assertion(_) | Ast::Repetition(_)
        );
        allow(!of_nothing)?;
        let operator = self.text(&repetition.op.span)?;
        let operator = operator
            .strip_suffix('?')
            .filter(|rest| !rest.is_empty())
            .unwrap_or(operator);
        let counts = operator.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let Some(counts) = counts else {
            return allow(["*", "+", "?"].contains(&operator));
        };
        let (least, most) = counts.split_once(',').unwrap_or((counts, ""));
        let is_count = |text: &str| {
            let are_digits = text.bytes().all(|byte| byte.is_ascii_digit());
            are_digits && text.parse::<u32>().is_ok_and(|count| count <= MOST_COUNTED)
        };
        allow(is_count(least) && (most.is_empty() || is_count(most)))
    }
}

fn members(class: &ClassPerl) -> &'static str {
    match class.kind {
        ClassPerlKind::Digit => DIGITS,
        ClassPerlKind::Space => SPACE,
        ClassPerlKind::Word => WORD,
    }
}

fn literal_outside(literal: &Literal) -> Read {
    match literal.kind {
        LiteralKind::Verbatim => allow(!['{', '}', ']'].contains(&literal.c)),
        _ => escaped(literal, SYNTAX_CHARACTERS),
    }
}

fn literal_inside(literal: &Literal) -> Read {
    match literal.kind {
        LiteralKind::Verbatim => allow(!['[', ']'].contains(&literal.c)),
        _ if literal.c == '-' => Ok(()),
        _ => escaped(literal, SYNTAX_CHARACTERS),
    }
}

fn escaped(literal: &Literal, may_be: &str) -> Read {
    allow(match &literal.kind {
        LiteralKind::Verbatim => true,
        LiteralKind::Meta | LiteralKind::Superfluous => may_be.contains(literal.c),
        LiteralKind::HexFixed(kind) => matches!(kind, HexLiteralKind::X | HexLiteralKind::UnicodeShort),
        LiteralKind::Special(kind) => !matches!(kind, SpecialLiteralKind::Bell | SpecialLiteralKind::Space),
        LiteralKind::Octal | LiteralKind::HexBrace(_) => false,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_every_reader_of_json_schema_reads_alike_is_a_pattern() {
        for pattern in [
            "H-[0-9]+",
            r"\d{2}/\d{2,}/\d{4,4}?",
            r"[\w.-]+@[^@\s]+",
            "(a|b|)*(?:c)??",
            r"\^\$\\\.\*\+\?\(\)\[\]\{\}\|\/",
            r"[\-\]\[a-f^]",
            r"\x41\u0110\t\n\v\f\r",
            r"^\bĐơn\B .*$",
            "",
        ] {
            let whole = whole(pattern).unwrap_or_else(|| panic!("{pattern} is refused"));
            regex_lite::Regex::new(&whole).unwrap_or_else(|cause| panic!("{whole}: {cause}"));
        }
        for refused in [
            "(",
            "a**",
            "^*",
            r"\b+",
            "a{,3}",
            "a{1001}",
            "a{2,5000}",
            "a{ 1 }",
            "}",
            "]",
            "a{",
            "[]a]",
            "[[a]b]",
            "[a&&b]",
            "[+--]",
            "[--a]",
            "[[:alpha:]]",
            r"[\D]",
            r"[\d-z]",
            "(?i)a",
            "(?i:a)",
            "(?x) a",
            "(?P<a>b)",
            "(?<a>b)",
            r"\z",
            r"\Aa",
            r"\pL",
            r"\p{Greek}",
            r"\x{41}",
            r"\u{41}",
            r"\U00000041",
            r"\a",
            r"\-",
            r"\ ",
            r"\@",
            r"[\@]",
            r"\<a",
            r"\b{start}a",
            "(?=a)",
            "(?<!a)",
            r"(a)\1",
            r"\0",
            r"\101",
            r"\ud800",
        ] {
            assert_eq!(whole(refused), None, "{refused}");
        }
    }

    #[test]
    fn a_text_matches_here_as_it_does_in_the_schema() {
        for (pattern, text, expected) in [
            (r"\d+", "2019", true),
            (r"\d+", "٢٠١٩", false),
            (r"\w+", "so_1", true),
            (r"\w+", "sở", false),
            (r"\W", "ở", true),
            (r"a\sb", "a\u{a0}b", true),
            (r"a[\s,]b", "a\u{3000}b", true),
            (r"a\Sb", "a\u{2028}b", false),
            (".", "\r", false),
            (".", "\u{2029}", false),
            (".", "😀", true),
            ("a|b", "ab", false),
            ("[^a]", "\n", true),
            (r"[\w-]+", "a-1", true),
        ] {
            let whole = whole(pattern).unwrap();
            let here = regex_lite::Regex::new(&whole).unwrap().is_match(text);
            let there = jsonschema::is_valid(&json!({ "pattern": whole }), &json!(text));
            assert_eq!((here, there), (expected, expected), "{pattern} {text:?}");
        }
    }
}
