//! What a request says beside its body.

/// Request headers.
pub trait Headers: Sync {
    /// Returns the value of a header; its name is in lower case.
    fn value(&self, name: &str) -> Option<&str>;
}

impl Headers for () {
    fn value(&self, _name: &str) -> Option<&str> {
        None
    }
}

impl<const N: usize> Headers for [(&str, &str); N] {
    fn value(&self, name: &str) -> Option<&str> {
        self.iter()
            .find(|(other, _)| *other == name)
            .map(|&(_, value)| value)
    }
}

impl Headers for Vec<(String, String)> {
    fn value(&self, name: &str) -> Option<&str> {
        let found = self.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What a request says beside its body.
#[derive(Clone, Copy)]
pub struct RequestContext<'a> {
    /// Its headers.
    pub headers: &'a dyn Headers,
    /// It goes on from a response that the provider keeps.
    pub previous_response: bool,
}

impl RequestContext<'_> {
    /// A request without headers.
    pub const NOTHING: Self = Self {
        headers: &(),
        previous_response: false,
    };
}
