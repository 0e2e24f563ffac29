//! Records in one file (SQLite), for a single process that must not forget.
//!
//! The file is written ahead (WAL) and synced with every commit, so what was acknowledged survives
//! `kill -9` and a loss of power. One connection writes; those that read do not wait for it.

use async_trait::async_trait;
use records::store::StoreError;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql, TransactionBehavior};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::spawn_blocking;

use super::sql::{Database, Dialect, SqlRecords, Statement, Value};

/// The form of the tables.
const FORM: i64 = 1;
const TABLE: &str = "records";
/// How long another process may hold the file.
const BUSY: Duration = Duration::from_secs(5);
/// How long a question may take.
const LIMIT: Duration = Duration::from_secs(20);
/// Connections that wait for the next question, at most.
const READERS: usize = 4;

/// A file that records are kept in.
pub type FileRecords = SqlRecords<File>;

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It cannot be opened, or is no database.
    #[error("{path}: {source}")]
    Database {
        /// The file.
        path: String,
        /// Why.
        source: rusqlite::Error,
    },
    /// A later Merit made it.
    #[error("{path} has form {form}, and the youngest known is {FORM}")]
    Form {
        /// The file.
        path: String,
        /// What it has.
        form: i64,
    },
}

/// The connections to a file.
#[derive(Debug)]
pub struct File {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
}

/// Opens a file, or makes it.
///
/// # Errors
/// It cannot be written, is something else, or a later Merit made it.
pub fn open(path: &Path) -> Result<FileRecords, Unusable> {
    let name = || path.display().to_string();
    let failed = |source| Unusable::Database {
        path: name(),
        source,
    };
    let writer = Connection::open(path).map_err(failed)?;
    writer.busy_timeout(BUSY).map_err(failed)?;
    writer
        .execute_batch(
            "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; \
             PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864;",
        )
        .map_err(failed)?;
    let form: i64 = writer
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(failed)?;
    if form > FORM {
        return Err(Unusable::Form { path: name(), form });
    }
    let schema = Dialect::Sqlite.schema(TABLE);
    writer
        .execute_batch(&format!(
            "BEGIN IMMEDIATE; {schema} PRAGMA user_version = {FORM}; COMMIT;"
        ))
        .map_err(failed)?;
    writer.set_prepared_statement_cache_capacity(64);
    let inner = Inner {
        path: path.to_owned(),
        writer: Mutex::new(writer),
        readers: Mutex::default(),
    };
    let file = File {
        inner: Arc::new(inner),
    };
    Ok(SqlRecords::new(file, TABLE))
}

#[async_trait]
impl Database for File {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    async fn query(&self, statement: Statement) -> Result<Vec<Vec<Value>>, StoreError> {
        let inner = Arc::clone(&self.inner);
        let connection = inner.reader()?;
        let handle = connection.get_interrupt_handle();
        let mut reading = spawn_blocking(move || {
            let rows = read(&connection, &statement).map_err(failure);
            inner.put_back(connection);
            rows
        });
        let answer = match tokio::time::timeout(LIMIT, &mut reading).await {
            Ok(answer) => answer,
            Err(_) => {
                handle.interrupt();
                reading.await
            }
        };
        answer.unwrap_or_else(|stopped| Err(StoreError::Away(stopped.to_string())))
    }

    async fn transact(&self, statements: Vec<Statement>) -> Result<Vec<u64>, StoreError> {
        let inner = Arc::clone(&self.inner);
        let writing = spawn_blocking(move || {
            let mut writer = inner.writer();
            write(&mut writer, &statements).map_err(failure)
        });
        writing
            .await
            .unwrap_or_else(|stopped| Err(StoreError::Away(stopped.to_string())))
    }

    async fn tidy(&self) -> Result<(), StoreError> {
        let inner = Arc::clone(&self.inner);
        let tidying = spawn_blocking(move || {
            // Each step gives one page back.
            let vacuum = Statement {
                text: "PRAGMA incremental_vacuum(10000)".into(),
                values: Vec::new(),
            };
            read(&inner.writer(), &vacuum).map(drop).map_err(failure)
        });
        tidying
            .await
            .unwrap_or_else(|stopped| Err(StoreError::Away(stopped.to_string())))
    }
}

impl Inner {
    fn writer(&self) -> std::sync::MutexGuard<'_, Connection> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reader(&self) -> Result<Connection, StoreError> {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reader) = readers.pop() {
            return Ok(reader);
        }
        drop(readers);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let reader = Connection::open_with_flags(&self.path, flags).map_err(failure)?;
        reader.busy_timeout(BUSY).map_err(failure)?;
        Ok(reader)
    }

    fn put_back(&self, reader: Connection) {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < READERS {
            readers.push(reader);
        }
    }
}

fn read(connection: &Connection, statement: &Statement) -> rusqlite::Result<Vec<Vec<Value>>> {
    let mut prepared = connection.prepare_cached(&statement.text)?;
    let columns = prepared.column_count();
    let mut rows = prepared.query(rusqlite::params_from_iter(&statement.values))?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let cells = (0..columns).map(|column| row.get_ref(column).map(value));
        all.push(cells.collect::<rusqlite::Result<_>>()?);
    }
    Ok(all)
}

fn write(connection: &mut Connection, statements: &[Statement]) -> rusqlite::Result<Vec<u64>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut changed = Vec::with_capacity(statements.len());
    for statement in statements {
        let mut prepared = transaction.prepare_cached(&statement.text)?;
        let rows = prepared.execute(rusqlite::params_from_iter(&statement.values))?;
        changed.push(u64::try_from(rows).unwrap_or(u64::MAX));
    }
    transaction.commit()?;
    Ok(changed)
}

fn value(cell: ValueRef<'_>) -> Value {
    match cell {
        ValueRef::Null | ValueRef::Real(_) => Value::Null,
        ValueRef::Integer(number) => Value::Int(number),
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// What waiting may mend is away; what it cannot is refused.
fn failure(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::OutOfMemory
            | ErrorCode::OperationInterrupted,
        ) => StoreError::Away(error.to_string()),
        _ => StoreError::Refused(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
