//! Roles granted to authenticated users and groups.
//!
//! Use it to give people different models. Who asks comes from a trusted source only; where
//! bindings are used and nobody is known, the request is refused unless `authz.fail_open` says
//! otherwise.
//!
//! ```yaml
//! routing:
//!   signals:
//!     role_bindings:
//!       - name: premium-people
//!         role: premium
//!         subjects:
//!           - {kind: User, name: alice}
//!           - {kind: Group, name: gold}
//! ```
//!
//! The role is emitted, not the binding's name. Eval has no caller and evaluates no binding.

use super::{Building, Signal, SignalError, SignalInput, Watch, ran};
use crate::report::{Key, Kind, SignalReport};
use document::Findings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A role granted to subjects.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RoleBinding {
    /// Unique name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// The role that is emitted.
    pub role: String,
    /// Who has it.
    pub subjects: Vec<Subject>,
}

/// A user or a group.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Subject {
    /// `User` or `Group`.
    pub kind: Option<SubjectKind>,
    /// Exact name.
    pub name: String,
}

/// What a subject is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(extend("x-any-case" = true))]
pub enum SubjectKind {
    /// A user, by id.
    User,
    /// All members of a group.
    Group,
}

/// Compiles the role bindings; nothing without bindings.
pub(super) fn build(building: &mut Building<'_>) -> Option<Box<dyn Signal>> {
    let declared = &building.scope.signals.role_bindings;
    if declared.is_empty() {
        return None;
    }

    let mut bindings = Vec::new();
    for (index, binding) in declared.iter().enumerate() {
        let role = building.keys.intern(Kind::Authz, &binding.role);
        let at = building.scope.rule(Kind::Authz, index);
        bindings.push(binding.compile(&at, role, building.findings));
    }

    let deps = building.deps;
    let used = declared
        .iter()
        .any(|binding| (deps.used)(Kind::Authz, &binding.role));
    Some(Box::new(AuthzSignal {
        bindings,
        required_header: (used && !deps.fail_open).then(|| deps.identity_header.clone()),
    }))
}

impl RoleBinding {
    fn compile(&self, at: &str, role: Key, findings: &mut Findings) -> Binding {
        if self.role.trim().is_empty() {
            findings.error(format!("{at}.role"), "`role` is missing");
        }
        if self.subjects.is_empty() {
            findings.error(
                format!("{at}.subjects"),
                "`subjects` is empty, so nobody has the role",
            );
        }
        let subjects = self.subjects.iter().enumerate();
        let subjects = subjects.filter_map(|(index, subject)| {
            subject.compile(&format!("{at}.subjects[{index}]"), findings)
        });
        Binding {
            role,
            subjects: subjects.collect(),
        }
    }
}

impl Subject {
    fn compile(&self, at: &str, findings: &mut Findings) -> Option<Member> {
        let name = self.name.trim().to_owned();
        if self.kind.is_none() {
            findings.error(
                format!("{at}.kind"),
                "`kind` is missing; known: User, Group",
            );
        }
        if name.is_empty() {
            findings.error(format!("{at}.name"), "`name` is missing");
            return None;
        }
        Some(match self.kind? {
            SubjectKind::User => Member::User(name),
            SubjectKind::Group => Member::Group(name),
        })
    }
}

/// The role bindings of one recipe.
struct AuthzSignal {
    bindings: Vec<Binding>,
    /// Set where a request without user is refused; named in the refusal.
    required_header: Option<String>,
}

struct Binding {
    role: Key,
    subjects: Vec<Member>,
}

enum Member {
    User(String),
    Group(String),
}

impl Signal for AuthzSignal {
    fn kind(&self) -> Kind {
        Kind::Authz
    }

    fn evaluate(
        &self,
        input: &SignalInput<'_>,
        report: &mut SignalReport,
    ) -> Result<(), SignalError> {
        let Some(identity) = input.identity else {
            let roles: Vec<Key> = self.bindings.iter().map(|binding| binding.role).collect();
            report.doubt(&roles);
            return Ok(());
        };
        let mut confidence = 0.0;
        if identity.user.is_empty() {
            if let Some(header) = &self.required_header {
                return Err(SignalError::IdentityMissing {
                    header: header.clone(),
                });
            }
        } else {
            let is_caller = |member: &Member| match member {
                Member::User(name) => *name == identity.user,
                Member::Group(name) => identity.groups.contains(name),
            };
            for binding in self
                .bindings
                .iter()
                .filter(|binding| binding.subjects.iter().any(is_caller))
            {
                report.emit(binding.role);
                confidence = 1.0;
            }
        }
        ran(report, Kind::Authz, confidence);
        Ok(())
    }

    /// Roles are the caller's, whatever the request says.
    fn doubt_unread(
        &self,
        _input: &SignalInput<'_>,
        _watched: &[Watch],
        _report: &mut SignalReport,
    ) -> Result<(), SignalError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::SubjectKind::{Group, User};
    use super::*;
    use crate::families::tests::{compiled, errors};
    use crate::families::{Deps, Identity, Signals};
    use crate::report::Keys;
    use dialects::Prompt;

    fn binding(role: &str, subjects: &[(SubjectKind, &str)]) -> RoleBinding {
        let subject = |(kind, name): &(SubjectKind, &str)| Subject {
            kind: Some(*kind),
            name: (*name).into(),
        };
        RoleBinding {
            name: role.into(),
            role: role.into(),
            subjects: subjects.iter().map(subject).collect(),
            ..RoleBinding::default()
        }
    }

    fn roles(
        used: bool,
        fail_open: bool,
        identity: Option<(&str, &[&str])>,
    ) -> Result<Vec<String>, SignalError> {
        let role_bindings = vec![
            binding("premium", &[(User, " alice "), (Group, "gold")]),
            binding("free", &[(User, "bob")]),
            binding("premium", &[(Group, "staff")]),
            binding("audit", &[(Group, "staff")]),
        ];
        let uses = |_: Kind, name: &str| used && name == "free";
        let deps = Deps {
            fail_open,
            used: &uses,
            ..Deps::default()
        };
        let signals = Signals {
            role_bindings,
            ..Signals::default()
        };
        let mut keys = Keys::default();
        let signal = compiled(&signals, &mut keys, &deps);
        let identity = identity.map(|(user, groups)| Identity {
            user: user.into(),
            groups: groups.iter().map(|group| (*group).into()).collect(),
        });
        let prompt = Prompt::default();
        let mut report = SignalReport::new(&keys);
        signal.evaluate(&SignalInput::new(&prompt, identity.as_ref()), &mut report)?;
        Ok(report.matches().map(|key| keys.name(key).into()).collect())
    }

    #[test]
    fn roles_are_emitted_once_in_binding_order() {
        for (user, groups, expected) in [
            ("alice", &[][..], &["premium"][..]),
            ("Alice", &[], &[]),
            ("bob", &["staff"], &["free", "premium", "audit"]),
            ("eve", &["gold", "other"], &["premium"]),
            ("eve", &["alice"], &[]),
        ] {
            assert_eq!(
                roles(true, false, Some((user, groups))).unwrap(),
                expected,
                "{user} {groups:?}"
            );
        }
    }

    #[test]
    fn nobody_is_refused_only_where_it_matters() {
        let refusal = roles(true, false, Some(("", &["gold"])))
            .unwrap_err()
            .to_string();
        let expected = "authz signal evaluation failed: authz signal: user identity header is empty: x-authz-user-id";
        assert_eq!(refusal, expected);
        let none = Vec::<String>::new();
        assert_eq!(roles(false, false, Some(("", &[]))).unwrap(), none);
        assert_eq!(roles(true, true, Some(("", &["gold"]))).unwrap(), none);
        assert_eq!(roles(true, false, None).unwrap(), none);
    }

    #[test]
    fn problems_name_the_subject() {
        let nameless = binding("r", &[(User, " ")]);
        let mut kindless = binding("r", &[(User, "x")]);
        kindless.subjects[0].kind = None;
        let signals = Signals {
            role_bindings: vec![nameless, kindless, binding("", &[])],
            ..Signals::default()
        };
        let expected = [
            "role_bindings[0].subjects[0].name",
            "role_bindings[1].subjects[0].kind",
            "role_bindings[2].role",
            "role_bindings[2].subjects",
        ];
        assert_eq!(errors(&signals), expected);
    }
}
