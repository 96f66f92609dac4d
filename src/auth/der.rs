//! Reading DER (X.690 §10): tag, length, contents. As much of it as certificates need.
//!
//! Lengths are definite, in their shortest form and within what is there; everything else is
//! [`Malformed`]. Nothing recurses: depth is the caller's.

/// Not DER, or not what was expected there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed DER")]
pub struct Malformed;

/// Universal tags, with the bit that marks those made of others.
pub mod tag {
    /// BOOLEAN
    pub const BOOLEAN: u8 = 0x01;
    /// INTEGER
    pub const INTEGER: u8 = 0x02;
    /// BIT STRING
    pub const BIT_STRING: u8 = 0x03;
    /// OCTET STRING
    pub const OCTET_STRING: u8 = 0x04;
    /// OBJECT IDENTIFIER
    pub const OBJECT_IDENTIFIER: u8 = 0x06;
    /// UTF8String
    pub const UTF8_STRING: u8 = 0x0c;
    /// PrintableString
    pub const PRINTABLE_STRING: u8 = 0x13;
    /// IA5String
    pub const IA5_STRING: u8 = 0x16;
    /// UTCTime
    pub const UTC_TIME: u8 = 0x17;
    /// GeneralizedTime
    pub const GENERALIZED_TIME: u8 = 0x18;
    /// SEQUENCE
    pub const SEQUENCE: u8 = 0x30;
    /// SET
    pub const SET: u8 = 0x31;

    /// A context-specific tag of a constructed value, below 31.
    pub const fn context(number: u8) -> u8 {
        0xa0 | number
    }

    /// A context-specific tag of a value that is not made of others, below 31.
    pub const fn context_primitive(number: u8) -> u8 {
        0x80 | number
    }
}

/// What is still to be read.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads these bytes.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader(bytes)
    }

    /// Whether all has been read.
    pub fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    /// The next tag, without reading it.
    pub fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next value: its tag and contents.
    ///
    /// # Errors
    /// [`Malformed`]
    pub fn any(&mut self) -> Result<(u8, &'a [u8]), Malformed> {
        let [tag, short, rest @ ..] = self.0 else {
            return Err(Malformed);
        };
        // Tags of several bytes do not occur in certificates.
        if tag & 0x1f == 0x1f {
            return Err(Malformed);
        }
        let (length, rest) = match short {
            0..=0x7f => (usize::from(*short), rest),
            0x81..=0x84 => long_length(usize::from(short - 0x80), rest)?,
            _ => return Err(Malformed),
        };
        let (contents, rest) = rest.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok((*tag, contents))
    }

    /// The contents of the next value, which must have this tag.
    ///
    /// # Errors
    /// [`Malformed`]
    pub fn expect(&mut self, expected: u8) -> Result<&'a [u8], Malformed> {
        match self.any()? {
            (tag, contents) if tag == expected => Ok(contents),
            _ => Err(Malformed),
        }
    }

    /// The next value with its tag and length, which must have this tag.
    ///
    /// # Errors
    /// [`Malformed`]
    pub fn whole(&mut self, expected: u8) -> Result<&'a [u8], Malformed> {
        let before = self.0;
        self.expect(expected)?;
        Ok(&before[..before.len() - self.0.len()])
    }

    /// What is inside the next value, which must have this tag.
    ///
    /// # Errors
    /// [`Malformed`]
    pub fn inside(&mut self, expected: u8) -> Result<Reader<'a>, Malformed> {
        self.expect(expected).map(Reader)
    }

    /// The contents of the next value, if it has this tag.
    ///
    /// # Errors
    /// [`Malformed`]
    pub fn optional(&mut self, expected: u8) -> Result<Option<&'a [u8]>, Malformed> {
        match self.peek() {
            Some(tag) if tag == expected => self.expect(expected).map(Some),
            _ => Ok(None),
        }
    }
}

fn long_length(bytes: usize, rest: &[u8]) -> Result<(usize, &[u8]), Malformed> {
    let (digits, rest) = rest.split_at_checked(bytes).ok_or(Malformed)?;
    let length = digits
        .iter()
        .fold(0_usize, |length, digit| length << 8 | usize::from(*digit));
    // The shortest form: no leading zero, and no long form where the short one would do.
    match digits[0] != 0 && length >= 0x80 {
        true => Ok((length, rest)),
        false => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_one_after_the_other_and_from_inside() {
        let mut reader = Reader::new(&[0x30, 5, 2, 1, 7, 5, 0, 4, 1, 9]);
        let mut again = reader;
        assert_eq!(again.whole(tag::SEQUENCE).map(<[u8]>::len), Ok(7));
        let mut inside = reader.inside(tag::SEQUENCE).expect("a sequence");
        assert_eq!(inside.optional(tag::BOOLEAN), Ok(None));
        assert_eq!(inside.expect(tag::INTEGER), Ok(&[7][..]));
        assert_eq!(inside.any(), Ok((5, &[][..])));
        assert!(inside.is_at_end());
        assert_eq!(reader.optional(tag::OCTET_STRING), Ok(Some(&[9][..])));
        assert!(reader.is_at_end() && reader.peek().is_none());
    }

    #[test]
    fn lengths_are_definite_shortest_and_within_what_is_there() {
        let mut long = vec![4, 0x81, 0x80];
        long.extend([1; 0x80]);
        let length = Reader::new(&long).expect(tag::OCTET_STRING);
        assert_eq!(length.map(<[u8]>::len), Ok(0x80));
        for wrong in [
            &[][..],
            &[4],
            &[4, 1],
            &[4, 0x80, 0, 0],
            &[4, 0x81],
            &[4, 0x81, 5, 1, 2, 3, 4, 5],
            &[4, 0x82, 0, 0x80],
            &[4, 0x85, 0, 0, 0, 0, 1, 1],
            &[4, 0xff],
            &[0x1f, 1, 1],
            &[4, 0x84, 0xff, 0xff, 0xff, 0xff, 1],
        ] {
            assert_eq!(Reader::new(wrong).any(), Err(Malformed), "{wrong:x?}");
        }
        assert_eq!(
            Reader::new(&[2, 0]).expect(tag::OCTET_STRING),
            Err(Malformed)
        );
    }
}
