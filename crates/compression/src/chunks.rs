//! Bodies that come in chunks, and are read chunk by chunk: streams of events.

use crate::{Coding, DecodeError, UnknownCoding, ZSTD_WINDOW_LOG, is_zlib};
use brotli_decompressor::DecompressorWriter;
use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use std::io::{self, Write};

/// How many bytes one chunk may decode to.
const CHUNK_LIMIT: usize = 32 << 20;

/// Decodes a body chunk by chunk.
pub struct ChunkDecoder {
    /// One for each coding, the one that was applied last at first.
    steps: Vec<Step>,
}

enum Step {
    /// Nothing of the body has come.
    Announced(Coding),
    Gzip(Box<MultiGzDecoder<Plain>>),
    Zlib(Box<ZlibDecoder<Plain>>),
    /// What some servers send under the name of `deflate`.
    Raw(Box<DeflateDecoder<Plain>>),
    Brotli(Box<DecompressorWriter<Plain>>),
    Zstd(Box<ZstdStep>),
}

struct ZstdStep {
    decoder: zstd::stream::raw::Decoder<'static>,
    /// A frame has begun and is not complete.
    within_frame: bool,
}

impl ChunkDecoder {
    /// Makes the decoder of a `content-encoding`; `None` where nothing is to be decoded.
    ///
    /// # Errors
    /// If a coding is not known.
    pub fn of(encoding: &str) -> Result<Option<Self>, UnknownCoding> {
        let codings = Coding::list(encoding)?;
        let steps = codings.into_iter().rev().map(Step::Announced);
        let decoder = Self {
            steps: steps.collect(),
        };
        Ok(Some(decoder).filter(|decoder| !decoder.steps.is_empty()))
    }

    /// Decodes a chunk. At the `end` every coding must be complete, unless there is no body at all.
    ///
    /// # Errors
    /// If the body is not in these codings, ends too early, or a chunk decodes to too many bytes.
    pub fn decode(&mut self, chunk: &[u8], end: bool) -> Result<Vec<u8>, DecodeError> {
        let mut bytes = chunk.to_vec();
        for step in &mut self.steps {
            bytes = step.decode(&bytes, end)?;
        }
        Ok(bytes)
    }
}

impl Step {
    fn begin(coding: Coding, first: u8) -> io::Result<Self> {
        let plain = Plain::default();
        Ok(match coding {
            Coding::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(plain))),
            Coding::Deflate if is_zlib(first) => Self::Zlib(Box::new(ZlibDecoder::new(plain))),
            Coding::Deflate => Self::Raw(Box::new(DeflateDecoder::new(plain))),
            Coding::Brotli => Self::Brotli(Box::new(DecompressorWriter::new(plain, 16 << 10))),
            Coding::Zstd => {
                let mut decoder = zstd::stream::raw::Decoder::new()?;
                let window = zstd::stream::raw::DParameter::WindowLogMax(ZSTD_WINDOW_LOG);
                decoder.set_parameter(window)?;
                Self::Zstd(Box::new(ZstdStep {
                    decoder,
                    within_frame: false,
                }))
            }
        })
    }

    fn decode(&mut self, chunk: &[u8], end: bool) -> Result<Vec<u8>, DecodeError> {
        if let (Self::Announced(coding), Some(first)) = (&self, chunk.first()) {
            *self = Self::begin(*coding, *first).map_err(DecodeError::Broken)?;
        }
        match self {
            Self::Announced(_) => Ok(Vec::new()),
            Self::Gzip(decoder) => {
                let fed = feed(decoder.as_mut(), chunk);
                let fed = fed.and_then(|()| if end { decoder.try_finish() } else { Ok(()) });
                decoder.get_mut().take(fed)
            }
            Self::Zlib(decoder) => {
                let fed = feed(decoder.as_mut(), chunk);
                let fed = fed.and_then(|()| if end { decoder.try_finish() } else { Ok(()) });
                decoder.get_mut().take(fed)
            }
            Self::Raw(decoder) => {
                let fed = feed(decoder.as_mut(), chunk);
                let fed = fed.and_then(|()| if end { decoder.try_finish() } else { Ok(()) });
                decoder.get_mut().take(fed)
            }
            Self::Brotli(decoder) => {
                let fed = feed(decoder.as_mut(), chunk);
                let fed = fed.and_then(|()| if end { decoder.close() } else { Ok(()) });
                decoder.get_mut().take(fed)
            }
            Self::Zstd(step) => step.decode(chunk, end),
        }
    }
}

/// Decodes all that is complete in a chunk: an event must not wait for the next chunk.
fn feed(decoder: &mut impl Write, chunk: &[u8]) -> io::Result<()> {
    decoder.write_all(chunk)?;
    decoder.flush()
}

impl ZstdStep {
    fn decode(&mut self, chunk: &[u8], end: bool) -> Result<Vec<u8>, DecodeError> {
        use zstd::stream::raw::Operation as _;
        let mut plain = Plain::default();
        let mut part = vec![0; 64 << 10];
        let mut rest = chunk;
        loop {
            let status = self
                .decoder
                .run_on_buffers(rest, &mut part)
                .map_err(DecodeError::Broken)?;
            rest = rest.get(status.bytes_read..).unwrap_or_default();
            let written = part.get(..status.bytes_written).unwrap_or_default();
            if plain.write_all(written).is_err() {
                return Err(DecodeError::TooLarge);
            }
            if status.bytes_read > 0 || status.bytes_written > 0 {
                self.within_frame = status.remaining != 0;
            }
            // A full buffer may have left output inside the decoder.
            if rest.is_empty() && status.bytes_written < part.len() {
                break;
            }
            if status.remaining == 0 && !rest.is_empty() {
                self.decoder.reinit().map_err(DecodeError::Broken)?;
            }
        }
        if end && self.within_frame {
            return Err(DecodeError::Broken(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(plain.bytes)
    }
}

/// Decoded bytes, as many as are allowed.
#[derive(Debug, Default)]
struct Plain {
    bytes: Vec<u8>,
    is_full: bool,
}

impl Plain {
    /// Takes what came of a chunk.
    fn take(&mut self, fed: io::Result<()>) -> Result<Vec<u8>, DecodeError> {
        match fed {
            Ok(()) => Ok(std::mem::take(&mut self.bytes)),
            Err(_) if self.is_full => Err(DecodeError::TooLarge),
            Err(error) => Err(DecodeError::Broken(error)),
        }
    }
}

impl Write for Plain {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > CHUNK_LIMIT {
            self.is_full = true;
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

    fn encoded(text: &[u8]) -> [(&'static str, Vec<u8>); 6] {
        let level = Compression::default;
        let mut gzip = GzEncoder::new(Vec::new(), level());
        let mut zlib = ZlibEncoder::new(Vec::new(), level());
        let mut raw = DeflateEncoder::new(Vec::new(), level());
        let mut br = brotli::CompressorWriter::new(Vec::new(), 4096, 5, 22);
        gzip.write_all(text).unwrap();
        zlib.write_all(text).unwrap();
        raw.write_all(text).unwrap();
        br.write_all(text).unwrap();
        let zstd = zstd::encode_all(text, 3).unwrap();
        let gzip = gzip.finish().unwrap();
        let twice = zstd::encode_all(&*gzip, 3).unwrap();
        [
            ("gzip", gzip),
            ("deflate", zlib.finish().unwrap()),
            ("Deflate", raw.finish().unwrap()),
            ("br", br.into_inner()),
            ("zstd", zstd),
            ("gzip, zstd", twice),
        ]
    }

    fn decode(encoding: &str, chunks: &[&[u8]]) -> Result<Vec<u8>, DecodeError> {
        let mut decoder = ChunkDecoder::of(encoding).unwrap().unwrap();
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
                let plain = decode(encoding, &[first, rest, b""]).unwrap();
                assert_eq!(plain, TEXT, "{encoding} at {at}");
            }
        }
        let frames = [zstd::encode_all(TEXT, 3), zstd::encode_all(TEXT, 3)];
        let frames = frames.map(Result::unwrap).concat();
        assert_eq!(decode("zstd", &[&frames]).unwrap(), [TEXT, TEXT].concat());
    }

    #[test]
    fn what_was_flushed_is_decoded_at_once() {
        let events = ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"];
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        let mut br = brotli::CompressorWriter::new(Vec::new(), 4096, 5, 22);
        let mut zstd = zstd::Encoder::new(Vec::new(), 3).unwrap();
        let mut decoders = ["gzip", "br", "zstd"].map(|it| ChunkDecoder::of(it).unwrap().unwrap());
        let mut sent = [0; 3];
        for event in events {
            gzip.write_all(event.as_bytes()).unwrap();
            gzip.flush().unwrap();
            br.write_all(event.as_bytes()).unwrap();
            br.flush().unwrap();
            zstd.write_all(event.as_bytes()).unwrap();
            zstd.flush().unwrap();
            let all = [gzip.get_ref(), br.get_ref(), zstd.get_ref()];
            for ((decoder, sent), written) in decoders.iter_mut().zip(&mut sent).zip(all) {
                let chunk = &written[*sent..];
                *sent += chunk.len();
                assert_eq!(decoder.decode(chunk, false).unwrap(), event.as_bytes());
            }
        }
    }

    #[test]
    fn cut_wrong_and_bloated_bodies_are_errors() {
        for (encoding, bytes) in encoded(TEXT) {
            assert!(
                decode(encoding, &[&bytes[..bytes.len() / 2]]).is_err(),
                "{encoding}"
            );
            assert!(
                decode(encoding, &[b"{\"model\": 1}"]).is_err(),
                "{encoding}"
            );
            assert_eq!(decode(encoding, &[b""]).unwrap(), b"", "no body at all");
        }
        for (encoding, bytes) in encoded(&vec![b' '; CHUNK_LIMIT + 1]) {
            let error = decode(encoding, &[&bytes]).unwrap_err();
            assert!(
                matches!(error, DecodeError::TooLarge),
                "{encoding}: {error}"
            );
        }
    }

    #[test]
    fn encodings() {
        assert!(ChunkDecoder::of("").unwrap().is_none());
        assert!(ChunkDecoder::of("Identity").unwrap().is_none());
        assert!(ChunkDecoder::of("GZIP").unwrap().is_some());
        assert!(ChunkDecoder::of("compress").is_err());
    }
}
