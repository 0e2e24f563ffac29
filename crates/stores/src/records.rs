//! The port of `records` on databases: one file, PostgreSQL, Redis.

pub mod file;
pub mod postgres;
pub mod redis;
pub mod sql;
