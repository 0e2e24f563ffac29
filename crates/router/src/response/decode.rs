//! Bodies that come compressed although stages asked for plain text. What is decoded is sent on in
//! clear: the client can read that whatever it announced.

use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use std::io::{self, Write};

/// How many bytes one chunk may decode to. A small chunk can hold a large amount of nothing.
const CHUNK_LIMIT: usize = 32 << 20;

/// Decodes a body chunk by chunk.
pub(super) enum Decoder {
    /// Nothing of the body has come.
    Announced(Encoding),
    Gzip(Box<MultiGzDecoder<Plain>>),
    Zlib(Box<ZlibDecoder<Plain>>),
    /// What some servers send under the name of `deflate`.
    Raw(Box<DeflateDecoder<Plain>>),
}

/// A content encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Gzip,
    Deflate,
}

/// A content encoding that is not read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the content encoding is not known")]
pub(super) struct UnknownEncoding;

impl Decoder {
    /// Makes the decoder of a `content-encoding`; `None` where nothing is to be decoded.
    pub(super) fn of(encoding: &str) -> Result<Option<Self>, UnknownEncoding> {
        match encoding.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(None),
            "gzip" | "x-gzip" => Ok(Some(Self::Announced(Encoding::Gzip))),
            "deflate" => Ok(Some(Self::Announced(Encoding::Deflate))),
            _ => Err(UnknownEncoding),
        }
    }

    /// Decodes a chunk. At the `end` the encoding must be complete, unless there is no body at all.
    pub(super) fn decode(&mut self, chunk: &[u8], end: bool) -> io::Result<Vec<u8>> {
        if let (Self::Announced(encoding), Some(first)) = (&self, chunk.first()) {
            *self = match encoding {
                Encoding::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(Plain::default()))),
                // The low half of zlib's first byte says "deflate"; a block of raw deflate begins
                // so only by accident.
                Encoding::Deflate if first & 0x0F == 8 => {
                    Self::Zlib(Box::new(ZlibDecoder::new(Plain::default())))
                }
                Encoding::Deflate => Self::Raw(Box::new(DeflateDecoder::new(Plain::default()))),
            };
        }
        match self {
            Self::Announced(_) => Ok(Vec::new()),
            Self::Gzip(decoder) => {
                feed(decoder.as_mut(), chunk)?;
                if end {
                    decoder.try_finish()?;
                }
                Ok(decoder.get_mut().take())
            }
            Self::Zlib(decoder) => {
                feed(decoder.as_mut(), chunk)?;
                if end {
                    decoder.try_finish()?;
                }
                Ok(decoder.get_mut().take())
            }
            Self::Raw(decoder) => {
                feed(decoder.as_mut(), chunk)?;
                if end {
                    decoder.try_finish()?;
                }
                Ok(decoder.get_mut().take())
            }
        }
    }
}

/// Decodes all that is complete in a chunk: an event must not wait for the next chunk.
fn feed(decoder: &mut impl Write, chunk: &[u8]) -> io::Result<()> {
    decoder.write_all(chunk)?;
    decoder.flush()
}

/// Decoded bytes, as many as are allowed.
#[derive(Debug, Default)]
pub(super) struct Plain {
    bytes: Vec<u8>,
}

impl Plain {
    fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
}

impl Write for Plain {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > CHUNK_LIMIT {
            return Err(io::Error::other("the chunk decodes to too many bytes"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    const TEXT: &[u8] = b"data: {\"model\":\"m\"}\n\ndata: [DONE]\n\n";

    fn encoded(text: &[u8]) -> [(&'static str, Vec<u8>); 3] {
        let level = Compression::default;
        let mut gzip = GzEncoder::new(Vec::new(), level());
        let mut zlib = ZlibEncoder::new(Vec::new(), level());
        let mut raw = DeflateEncoder::new(Vec::new(), level());
        gzip.write_all(text).unwrap();
        zlib.write_all(text).unwrap();
        raw.write_all(text).unwrap();
        [
            ("gzip", gzip.finish().unwrap()),
            ("deflate", zlib.finish().unwrap()),
            ("Deflate", raw.finish().unwrap()),
        ]
    }

    fn decode(encoding: &str, chunks: &[&[u8]]) -> io::Result<Vec<u8>> {
        let mut decoder = Decoder::of(encoding).unwrap().unwrap();
        let mut plain = Vec::new();
        for (at, chunk) in chunks.iter().enumerate() {
            plain.append(&mut decoder.decode(chunk, at + 1 == chunks.len())?);
        }
        Ok(plain)
    }

    #[test]
    fn every_split_decodes_to_the_same() {
        for (encoding, bytes) in encoded(TEXT) {
            for at in 0..=bytes.len() {
                let (first, rest) = bytes.split_at(at);
                let plain = decode(encoding, &[first, rest]).unwrap();
                assert_eq!(plain, TEXT, "{encoding} at {at}");
            }
        }
    }

    #[test]
    fn what_was_flushed_is_decoded_at_once() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        let mut decoder = Decoder::of("gzip").unwrap().unwrap();
        let mut sent = 0;
        for event in ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"] {
            encoder.write_all(event.as_bytes()).unwrap();
            encoder.flush().unwrap();
            let chunk = encoder.get_ref().get(sent..).unwrap().to_vec();
            sent += chunk.len();
            assert_eq!(decoder.decode(&chunk, false).unwrap(), event.as_bytes());
        }
    }

    #[test]
    fn cut_wrong_and_bloated_bodies_are_errors() {
        for (encoding, bytes) in encoded(TEXT) {
            assert!(
                decode(encoding, &[&bytes[..bytes.len() / 2]]).is_err(),
                "{encoding}"
            );
        }
        assert!(decode("gzip", &[b"{\"model\": 1}"]).is_err());
        assert_eq!(decode("gzip", &[b""]).unwrap(), b"", "no body at all");
        for (encoding, bytes) in encoded(&vec![b' '; CHUNK_LIMIT + 1]) {
            assert!(decode(encoding, &[&bytes]).is_err(), "{encoding}");
        }
    }

    #[test]
    fn encodings() {
        assert!(Decoder::of("").unwrap().is_none());
        assert!(Decoder::of("Identity").unwrap().is_none());
        assert!(Decoder::of("GZIP").unwrap().is_some());
        for unknown in ["br", "zstd", "gzip, br"] {
            assert!(Decoder::of(unknown).is_err(), "{unknown}");
        }
    }
}
