//! Content codings of HTTP bodies (RFC 9110, section 8.4.1): gzip, deflate, br and zstd, decoded
//! within a bound. A small body can hold a large amount of nothing.

mod chunks;
mod whole;

use std::fmt;

pub use chunks::ChunkDecoder;
pub use whole::decode;

/// How many codings one body may have, at most.
const CODINGS: usize = 4;

/// The largest window of a Zstandard frame, as a power of two: what RFC 9659 asks decoders of HTTP
/// bodies to support, 8 MiB.
const ZSTD_WINDOW_LOG: u32 = 23;

/// A content coding that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// `gzip`, and its older name `x-gzip`.
    Gzip,
    /// `deflate`: zlib's format, or raw deflate, which some senders mean by it.
    Deflate,
    /// `br`.
    Brotli,
    /// `zstd`.
    Zstd,
}

impl Coding {
    /// The names of all, as `accept-encoding` lists them.
    pub const NAMES: &str = "gzip, deflate, br, zstd";

    /// Reads a `content-encoding`: the codings in the order in which they were applied, none where
    /// the body is plain.
    ///
    /// # Errors
    /// If a coding is not known, or there are too many.
    pub fn list(header: &str) -> Result<Vec<Self>, UnknownCoding> {
        let mut codings = Vec::new();
        for name in header.split(',') {
            let coding = match name.trim().to_ascii_lowercase().as_str() {
                "" | "identity" => continue,
                "gzip" | "x-gzip" => Self::Gzip,
                "deflate" => Self::Deflate,
                "br" => Self::Brotli,
                "zstd" => Self::Zstd,
                _ => return Err(UnknownCoding),
            };
            codings.push(coding);
        }
        if codings.len() > CODINGS {
            return Err(UnknownCoding);
        }
        Ok(codings)
    }
}

impl fmt::Display for Coding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        })
    }
}

/// A content coding that is not read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the content encoding is not known")]
pub struct UnknownCoding;

/// A body that cannot be decoded.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// It is not in the coding that it is said to be in, or ends too early.
    #[error("the body cannot be decoded")]
    Broken(#[source] std::io::Error),
    /// It decodes to more than may be held.
    #[error("the body decodes to too many bytes")]
    TooLarge,
}

/// Tells whether a `deflate` body has zlib's header. A block of raw deflate begins so only by
/// accident.
fn is_zlib(first: u8) -> bool {
    first & 0x0F == 8
}
