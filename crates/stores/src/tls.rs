//! TLS to a server, as the document's settings want it.

use conversation::databases::RedisStore;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsConnector;

use crate::redis::Unusable;

/// Returns what makes TLS connections. Certificates are checked against the document's own, else
/// against those of the system.
pub(crate) fn connector(settings: &RedisStore) -> Result<TlsConnector, Unusable> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let config = if settings.tls_skip_verify {
        config
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Unverified { provider }))
    } else {
        config.with_root_certificates(roots(&settings.tls_ca_path)?)
    };
    let config = match (
        settings.tls_cert_path.as_str(),
        settings.tls_key_path.as_str(),
    ) {
        ("", "") => config.with_no_client_auth(),
        (cert, key) => {
            let read = PrivateKeyDer::from_pem_slice(&read(key)?);
            let key = read.map_err(|error| malformed(key, &error))?;
            config.with_client_auth_cert(certificates(cert)?, key)?
        }
    };
    let mut config = config;
    config.enable_sni = !settings.tls_skip_verify;
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Returns the settings of another client than that of Redis, with certificates checked or not.
pub(crate) fn config(is_verified: bool) -> Result<ClientConfig, Unusable> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let config = if is_verified {
        config.with_root_certificates(roots("")?)
    } else {
        config
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Unverified { provider }))
    };
    Ok(config.with_no_client_auth())
}

/// Reads the certificates that others are checked against; without a file, those of the system.
fn roots(file: &str) -> Result<RootCertStore, Unusable> {
    let mut roots = RootCertStore::empty();
    if file.is_empty() {
        let found = rustls_native_certs::load_native_certs();
        if let (true, Some(error)) = (found.certs.is_empty(), found.errors.first()) {
            return Err(Unusable::Settings(format!(
                "the system's certificates cannot be read: {error}"
            )));
        }
        roots.add_parsable_certificates(found.certs);
    } else {
        for certificate in certificates(file)? {
            roots.add(certificate)?;
        }
    }
    Ok(roots)
}

fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    CertificateDer::pem_slice_iter(&read(path)?)
        .collect::<Result<_, _>>()
        .map_err(|error| malformed(path, &error))
}

fn malformed(path: &str, error: &rustls::pki_types::pem::Error) -> Unusable {
    Unusable::Settings(format!("{path} is not PEM: {error}"))
}

fn read(path: &str) -> Result<Vec<u8>, Unusable> {
    std::fs::read(Path::new(path)).map_err(|source| Unusable::File {
        path: path.to_owned(),
        source,
    })
}

/// Takes any certificate, for `tls_skip_verify`.
#[derive(Debug)]
struct Unverified {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
