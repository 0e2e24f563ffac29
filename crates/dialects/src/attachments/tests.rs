//! What attachments tell of themselves.

use super::*;

/// Encodes bytes, without padding.
fn encoded(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut word = [0; 3];
        word[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from(word[0]) << 16 | u32::from(word[1]) << 8 | u32::from(word[2]);
        for place in 0..=chunk.len() {
            text.push(LETTERS[(bits >> (18 - 6 * place) & 63) as usize] as char);
        }
    }
    text
}

#[track_caller]
fn check(media_type: &str, bytes: &[u8], media: Media, size: Size) {
    let found = read(media_type, &encoded(bytes));
    let expected = Payload::Attachment(Attachment { media, size });
    assert_eq!(found, Some(expected));
}

#[test]
fn pictures_tell_their_size() {
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x04\0\0\0\x03\0\x08";
    let gif = b"GIF89a\x40\x01\xf0\0";
    let jpeg = b"\xFF\xD8\xFF\xE0\0\x04ab\xFF\xC0\0\x11\x08\x02\x58\x03\x20\x03";
    let webp = b"RIFF\0\0\0\0WEBPVP8X\0\0\0\0\0\0\0\0\x1f\x03\0\x57\x02\0";
    check("image/png", png, Media::Image, Size::Pixels(1024, 768));
    check("image/gif", gif, Media::Image, Size::Pixels(320, 240));
    check("image/jpeg", jpeg, Media::Image, Size::Pixels(800, 600));
    check("IMAGE/WEBP", webp, Media::Image, Size::Pixels(800, 600));
    check("", png, Media::Image, Size::Pixels(1024, 768));
    check("image/png", b"\x89PNG", Media::Image, Size::Unknown);
    check("image/avif", b"x", Media::Image, Size::Unknown);
}

#[test]
fn sounds_and_documents_tell_theirs() {
    let mut wav = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    wav.extend(16_000_u32.to_le_bytes());
    wav.extend(32_000_u32.to_le_bytes());
    wav.resize(64_000, 0);
    check("audio/wav", &wav, Media::Audio, Size::Seconds(2));
    check("audio/mp3", &[0; 4_000], Media::Audio, Size::Seconds(2));
    let pages = [
        b"%PDF-1.4 ".to_vec(),
        b"<< /Type /Page /Parent 1 0 R >> ".repeat(3),
    ]
    .concat();
    check("application/pdf", &pages, Media::Document, Size::Pages(3));
    let tree = [
        b"%PDF-1.7 << /Type/Pages /Count 12 >>".as_slice(),
        &[0; 4096],
    ]
    .concat();
    check("application/pdf", &tree, Media::Document, Size::Pages(12));
    check("application/pdf", b"\0", Media::Document, Size::Unknown);
    check("video/mp4", b"x", Media::Video, Size::Unknown);
}

#[test]
fn text_is_text_whatever_it_is_called() {
    let text = |media_type: &str, bytes: &[u8]| read(media_type, &encoded(bytes));
    let words = Some(Payload::Text("the patient é".to_owned()));
    for media_type in [
        "text/plain",
        "application/json",
        "image/svg+xml",
        "",
        "application/pdf",
    ] {
        assert_eq!(
            text(media_type, "the patient é".as_bytes()),
            words,
            "{media_type}"
        );
    }
    assert_eq!(text("text/plain", b"\xFF"), Some(Payload::Unreadable));
    assert_eq!(read("text/plain", "no base64"), None);
}
