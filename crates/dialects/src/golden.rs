//! Requests in the shapes of known clients.
