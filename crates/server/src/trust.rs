//! What Merit refuses to expose: credentials over plaintext, and an admin API without a token,
//! beyond loopback.

use crate::listener::Address;
use std::net::SocketAddr;

/// Why a listener was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Exposed {
    /// Anyone on the network could have requests sent with our backends' credentials, and could
    /// read them.
    #[error(
        "plaintext ext_proc on {0} while a backend has a credential: listen on loopback or a unix socket, set --tls-cert \
         and --tls-key, or accept it with --insecure-listen"
    )]
    Credentials(Address),
    /// The admin API shows the configuration and runs evaluations.
    #[error("admin API on {0} without --admin-token-file: listen on loopback or set a token")]
    Admin(SocketAddr),
}

/// How the ext_proc listener is protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposure {
    /// Where it listens.
    pub address: Address,
    /// TLS is on.
    pub tls: bool,
    /// The operator said that plaintext is meant.
    pub insecure_listen: bool,
}

impl Exposure {
    /// Checked for every generation, so that a reload cannot bring a credential to an open
    /// listener.
    ///
    /// # Errors
    /// [`Exposed::Credentials`] if the listener is open and `has_credentials`.
    pub fn check(&self, has_credentials: bool) -> Result<(), Exposed> {
        let open = !self.tls && !self.insecure_listen && !self.address.is_local();
        if open && has_credentials {
            return Err(Exposed::Credentials(self.address.clone()));
        }
        Ok(())
    }
}

/// # Errors
/// [`Exposed::Admin`] if the admin API would be open beyond loopback.
pub fn check_admin(address: SocketAddr, has_token: bool) -> Result<(), Exposed> {
    if address.ip().is_loopback() || has_token {
        return Ok(());
    }
    Err(Exposed::Admin(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ext_proc_exposure() {
        // address, tls, insecure, credentials → allowed
        for (address, tls, insecure_listen, credentials, allowed) in [
            ("127.0.0.1:1", false, false, true, true),
            ("[::1]:1", false, false, true, true),
            ("unix:/tmp/a", false, false, true, true),
            ("0.0.0.0:1", false, false, true, false),
            ("10.0.0.1:1", false, false, true, false),
            ("[::]:1", false, false, true, false),
            ("0.0.0.0:1", false, false, false, true),
            ("0.0.0.0:1", true, false, true, true),
            ("0.0.0.0:1", false, true, true, true),
        ] {
            let exposure = Exposure {
                address: address.parse().unwrap(),
                tls,
                insecure_listen,
            };
            assert_eq!(
                exposure.check(credentials).is_ok(),
                allowed,
                "{exposure:?} {credentials}"
            );
        }
    }

    #[test]
    fn admin_exposure() {
        for (address, token, allowed) in [
            ("127.0.0.1:8080", false, true),
            ("0.0.0.0:8080", false, false),
            ("0.0.0.0:8080", true, true),
        ] {
            assert_eq!(
                check_admin(address.parse().unwrap(), token).is_ok(),
                allowed,
                "{address}"
            );
        }
    }
}
