//! Tests of reading and checking documents.
