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

use super::{Deps, Problem, Signal, SignalError, SignalInput, ran};
use crate::config::signals::{RoleBinding, Subject};
use crate::report::{Key, Keys, Kind, SignalReport};

/// Compiles the role bindings; nothing without bindings.
pub(super) fn build(
    bindings: &[RoleBinding],
    keys: &mut Keys,
    deps: &Deps<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Box<dyn Signal>> {
    if bindings.is_empty() {
        return None;
    }
    let used = bindings
        .iter()
        .any(|binding| (deps.used)(Kind::Authz, &binding.role));
    let compile = |(at, binding): (usize, &RoleBinding)| {
        let path = format!("routing.signals.role_bindings[{at}]");
        if binding.role.is_empty() {
            problems.push(Problem {
                path: format!("{path}.role"),
                message: "must not be empty".into(),
            });
        }
        if binding.subjects.is_empty() {
            problems.push(Problem {
                path: format!("{path}.subjects"),
                message: "must not be empty".into(),
            });
        }
        let subjects = binding.subjects.iter().enumerate();
        let subjects = subjects
            .filter_map(|(n, subject)| compile_subject(&path, n, subject, problems))
            .collect();
        Binding {
            role: keys.intern(Kind::Authz, &binding.role),
            subjects,
        }
    };
    Some(Box::new(AuthzSignal {
        bindings: bindings.iter().enumerate().map(compile).collect(),
        required_header: (used && !deps.fail_open).then(|| deps.identity_header.clone()),
    }))
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

fn compile_subject(
    path: &str,
    at: usize,
    subject: &Subject,
    problems: &mut Vec<Problem>,
) -> Option<Member> {
    let name = subject.name.trim().to_owned();
    let path = format!("{path}.subjects[{at}]");
    if name.is_empty() {
        problems.push(Problem {
            path: format!("{path}.name"),
            message: "must not be empty".into(),
        });
        return None;
    }
    match subject.kind.to_lowercase().as_str() {
        "user" => Some(Member::User(name)),
        "group" => Some(Member::Group(name)),
        _ => {
            problems.push(Problem {
                path: format!("{path}.kind"),
                message: "must be User or Group".into(),
            });
            None
        }
    }
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signals::Identity;
    use dialects::Prompt;

    fn binding(role: &str, subjects: &[(&str, &str)]) -> RoleBinding {
        let subject = |(kind, name): &(&str, &str)| Subject {
            kind: (*kind).into(),
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
        let bindings = [
            binding("premium", &[("user", " alice "), ("GROUP", "gold")]),
            binding("free", &[("User", "bob")]),
            binding("premium", &[("Group", "staff")]),
            binding("audit", &[("Group", "staff")]),
        ];
        let uses = |_: Kind, name: &str| used && name == "free";
        let deps = Deps {
            fail_open,
            used: &uses,
            ..Deps::default()
        };
        let (mut keys, mut problems) = (Keys::default(), Vec::new());
        let signal = build(&bindings, &mut keys, &deps, &mut problems).unwrap();
        assert_eq!(problems, []);
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
        let bindings = [
            binding("r", &[("user", " "), ("team", "x")]),
            binding("", &[]),
        ];
        let mut problems = Vec::new();
        build(
            &bindings,
            &mut Keys::default(),
            &Deps::default(),
            &mut problems,
        );
        let paths: Vec<_> = problems
            .iter()
            .map(|problem| problem.path.as_str())
            .collect();
        let expected = [
            "[0].subjects[0].name",
            "[0].subjects[1].kind",
            "[1].role",
            "[1].subjects",
        ];
        assert_eq!(
            paths,
            expected.map(|tail| format!("routing.signals.role_bindings{tail}"))
        );
    }
}
