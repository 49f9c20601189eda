//! What all CSV files from outside have in common: which delimiter, which line a record stands on, a quotation mark that is
//! never closed. Pure.

/// A semicolon where the header has one and no comma: what a spreadsheet writes in Việt Nam.
pub fn delimiter(bytes: &[u8]) -> u8 {
    let first_line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    match first_line.contains(&b';') && !first_line.contains(&b',') {
        true => b';',
        false => b',',
    }
}

/// Where a quoted cell begins that does not end (RFC 4180, section 2). The reader takes the rest of the file for that cell
/// without a word.
pub fn open_quote(bytes: &[u8], delimiter: u8) -> Option<usize> {
    let (mut begin, mut is_open) = (None, false);
    let (mut begins_cell, mut was_closed) = (true, false);
    for (at, byte) in bytes.iter().enumerate() {
        let is_mark = *byte == b'"';
        let opens = is_mark && !is_open && begins_cell;
        // A doubled mark closes the cell and goes on with it.
        let goes_on = is_mark && !is_open && was_closed;
        if opens {
            begin = Some(at);
        }
        was_closed = is_mark && is_open;
        is_open = opens || goes_on || (is_open && !is_mark);
        begins_cell = !is_open && (*byte == delimiter || matches!(byte, b'\r' | b'\n'));
    }
    begin.filter(|_| is_open)
}

/// Where lines end. The reader's own count stands still at CRLF and at empty lines.
pub struct Lines<'a> {
    bytes: &'a [u8],
    ends: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub fn of(bytes: &'a [u8]) -> Lines<'a> {
        let is_end = |(_, byte): &(usize, &u8)| **byte == b'\n';
        let ends = bytes
            .iter()
            .enumerate()
            .filter(is_end)
            .map(|(at, _)| at)
            .collect();
        Lines { bytes, ends }
    }

    /// The line, from 1, of the record that begins here, perhaps after line ends of those before it.
    pub fn at(&self, position: Option<&csv::Position>) -> u64 {
        let start = position.and_then(|position| usize::try_from(position.byte()).ok());
        let start = start.unwrap_or(0);
        let rest = self.bytes.get(start..).unwrap_or_default();
        let blank = rest
            .iter()
            .take_while(|byte| matches!(byte, b'\r' | b'\n'))
            .count();
        self.of_byte(start + blank)
    }

    /// The line, from 1, in which this byte stands.
    pub fn of_byte(&self, position: usize) -> u64 {
        let before = self.ends.partition_point(|end| *end < position);
        u64::try_from(before).map_or(1, |before| before + 1)
    }
}
