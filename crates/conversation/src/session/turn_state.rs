//! `x-codex-turn-state`: a reply header that a client repeats on the later requests of the same
//! turn, and drops with it.
//!
//! What we put in is a [credential](crate::credential): the model of the turn, for this caller and
//! recipe, until it expires. So a turn stays together at any replica with the same secret, without
//! any shared memory. It binds nobody: a boundary or a missing ability still sends the request
//! elsewhere.

use super::identity::SessionKeyer;
use crate::credential::{Claims, Purpose, Void};

/// The header.
pub const HEADER: &str = "x-codex-turn-state";

/// What a turn state says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnState {
    /// The recipe.
    pub recipe: String,
    /// The decision that chose.
    pub decision: String,
    /// The model.
    pub model: String,
}

/// Signs a turn state that holds until `expires`, seconds since 1970.
#[must_use]
pub fn mint(keyer: &SessionKeyer, principal: u128, state: &TurnState, expires: u64) -> String {
    let TurnState {
        recipe,
        decision,
        model,
    } = state.clone();
    // The principal is a keyed digest already: the header reveals nobody's name.
    let claims = Claims {
        principal: format!("{principal:x}"),
        recipe,
        decision,
        model,
        depth: 0,
        expires,
    };
    keyer.secret().sign(Purpose::TurnState, &claims)
}

/// Reads a turn state of ours, made for this caller.
///
/// # Errors
/// If it is void.
pub fn read(
    keyer: &SessionKeyer,
    principal: u128,
    header: &str,
    now: u64,
) -> Result<TurnState, Void> {
    let claims = keyer
        .secret()
        .open(Purpose::TurnState, header, &format!("{principal:x}"), now)?;
    let Claims {
        recipe,
        decision,
        model,
        ..
    } = claims;
    Ok(TurnState {
        recipe,
        decision,
        model,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::Secret;

    #[test]
    fn comes_back_to_its_caller_alone() {
        let keyer = SessionKeyer::new(Secret::new(*b"0123456789abcdef0123456789abcdef"));
        let state = TurnState {
            recipe: "default".into(),
            decision: "code".into(),
            model: "large".into(),
        };
        let header = mint(&keyer, 1, &state, 100);
        assert!(http::HeaderValue::from_str(&header).is_ok());
        assert_eq!(read(&keyer, 1, &header, 100), Ok(state));
        assert_eq!(read(&keyer, 2, &header, 100), Err(Void::OtherPrincipal));
        assert_eq!(read(&keyer, 1, &header, 101), Err(Void::Expired));
        assert_eq!(read(&keyer, 1, "ts_openai_own", 1), Err(Void::Malformed));
        assert_eq!(
            read(&SessionKeyer::new(Secret::random()), 1, &header, 1),
            Err(Void::Forged)
        );
    }
}
