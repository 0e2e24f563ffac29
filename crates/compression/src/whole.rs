//! Bodies that have come as a whole.

use crate::{Coding, DecodeError, ZSTD_WINDOW_LOG, is_zlib};
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use std::io::{self, BufRead, BufReader, Read};

/// How many bytes are decoded before the next are asked for.
const STEP: usize = 64 << 10;

/// Decodes a whole body. Before each part of the result is kept, `admit` is asked whether so many
/// bytes more may be held.
///
/// # Errors
/// If the body is not in these codings, ends too early, or has more bytes than are admitted.
pub fn decode(
    codings: &[Coding],
    body: &[u8],
    mut admit: impl FnMut(usize) -> bool,
) -> Result<Vec<u8>, DecodeError> {
    let mut reader: Box<dyn BufRead + '_> = Box::new(body);
    for coding in codings.iter().rev() {
        reader = plain(*coding, reader).map_err(DecodeError::Broken)?;
    }

    let mut decoded = Vec::new();
    let mut part = vec![0; STEP];
    loop {
        let read = match reader.read(&mut part) {
            Ok(0) => return Ok(decoded),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(DecodeError::Broken(error)),
        };
        if !admit(read) {
            return Err(DecodeError::TooLarge);
        }
        decoded.extend_from_slice(part.get(..read).unwrap_or_default());
    }
}

fn plain<'a>(
    coding: Coding,
    mut coded: Box<dyn BufRead + 'a>,
) -> io::Result<Box<dyn BufRead + 'a>> {
    let decoder: Box<dyn Read + 'a> = match coding {
        Coding::Gzip => Box::new(MultiGzDecoder::new(coded)),
        Coding::Deflate if coded.fill_buf()?.first().is_some_and(|it| is_zlib(*it)) => {
            Box::new(ZlibDecoder::new(coded))
        }
        Coding::Deflate => Box::new(DeflateDecoder::new(coded)),
        Coding::Brotli => Box::new(brotli_decompressor::Decompressor::new(coded, STEP)),
        Coding::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(coded)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            Box::new(decoder)
        }
    };
    Ok(Box::new(BufReader::with_capacity(STEP, decoder)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UnknownCoding;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use std::io::Write as _;

    const TEXT: &[u8] = br#"{"model": "auto", "input": "debug my python"}"#;

    fn coded(coding: Coding, text: &[u8]) -> Vec<u8> {
        match coding {
            Coding::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap()
            }
            Coding::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap()
            }
            Coding::Brotli => {
                let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 5, 22);
                encoder.write_all(text).unwrap();
                encoder.into_inner()
            }
            Coding::Zstd => zstd::encode_all(text, 3).unwrap(),
        }
    }

    const ALL: [Coding; 4] = [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd];

    /// Decodes within `limit` bytes; errors as words.
    fn decoded(codings: &[Coding], body: &[u8], limit: usize) -> Result<Vec<u8>, &'static str> {
        let mut room = limit;
        let admit = |bytes: usize| match room.checked_sub(bytes) {
            Some(rest) => {
                room = rest;
                true
            }
            None => false,
        };
        decode(codings, body, admit).map_err(|error| match error {
            DecodeError::Broken(_) => "broken",
            DecodeError::TooLarge => "too large",
        })
    }

    #[test]
    fn every_coding_is_read_alone_and_in_chains() {
        for first in ALL {
            let once = coded(first, TEXT);
            assert_eq!(decoded(&[first], &once, 64).as_deref(), Ok(TEXT), "{first}");
            for second in ALL {
                let twice = coded(second, &once);
                let got = decoded(&[first, second], &twice, 64);
                assert_eq!(got.as_deref(), Ok(TEXT), "{first}, {second}");
            }
        }
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
        raw.write_all(TEXT).unwrap();
        let raw = raw.finish().unwrap();
        assert_eq!(decoded(&[Coding::Deflate], &raw, 64).as_deref(), Ok(TEXT));
        let two = [coded(Coding::Gzip, b"a"), coded(Coding::Gzip, b"b")].concat();
        assert_eq!(
            decoded(&[Coding::Gzip], &two, 64).as_deref(),
            Ok(&b"ab"[..])
        );
        assert_eq!(decoded(&[], TEXT, 64).as_deref(), Ok(TEXT));
    }

    #[test]
    fn bombs_are_refused_early() {
        for coding in ALL {
            let bomb = coded(coding, &vec![b' '; 4 << 20]);
            assert!(bomb.len() < 16 << 10, "{coding}: {}", bomb.len());
            assert_eq!(decoded(&[coding], &bomb, 1 << 20), Err("too large"));
            let nested = coded(coding, &bomb);
            let got = decoded(&[coding, coding], &nested, 1 << 20);
            assert_eq!(got, Err("too large"), "{coding}");
            assert_eq!(
                decoded(&[coding], &bomb, 4 << 20).map(|it| it.len()),
                Ok(4 << 20)
            );
        }
    }

    #[test]
    fn what_is_cut_or_something_else_is_broken() {
        for coding in ALL {
            let body = coded(coding, TEXT);
            for end in 1..body.len() {
                let got = decoded(&[coding], &body[..end], 64);
                assert_eq!(got, Err("broken"), "{coding} cut at {end}");
            }
            assert!(decoded(&[coding], TEXT, 64).is_err(), "{coding}");
        }
        let long = (1 << 24) + 1;
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(24).unwrap();
        encoder.write_all(&vec![b' '; long]).unwrap();
        let wide = encoder.finish().unwrap();
        assert_eq!(decoded(&[Coding::Zstd], &wide, long), Err("broken"));
    }

    #[test]
    fn names() {
        let gzip = [Coding::Gzip];
        for (header, expected) in [
            ("", Ok(&[][..])),
            ("identity", Ok(&[])),
            ("GZIP", Ok(&gzip)),
            (" x-gzip , identity", Ok(&gzip)),
            ("deflate, br", Ok(&[Coding::Deflate, Coding::Brotli])),
            ("zstd", Ok(&[Coding::Zstd])),
            ("compress", Err(UnknownCoding)),
            ("gzip, aes128gcm", Err(UnknownCoding)),
            ("gzip,gzip,gzip,gzip,gzip", Err(UnknownCoding)),
        ] {
            assert_eq!(
                Coding::list(header).as_deref(),
                expected.as_deref(),
                "{header}"
            );
        }
        assert_eq!(Coding::list(Coding::NAMES).unwrap(), ALL);
    }
}
