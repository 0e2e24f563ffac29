//! Records in PostgreSQL, for replicas.
//!
//! One connection writes and one reads, so that a long question does not hold records up. A batch is
//! one transaction, its statements sent without waiting for each other's answers. A connection is
//! made when it is needed, and again after every error.

use async_trait::async_trait;
use bytes::BytesMut;
use futures_util::future::try_join_all;
use records::store::StoreError;
use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Config, Row, Statement as Prepared};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::sql::{Database, Dialect, SqlRecords, Statement, Value};
use crate::redis::Unusable;
use crate::tls;

/// The form of the tables.
const FORM: i64 = 1;
/// What replicas hold while they make the tables.
const LOCK: i64 = 0x6d65_7269_7401;
/// Longest name of a table, so that those made of it fit into PostgreSQL's 63 bytes.
const NAME_MAX: usize = 40;

/// PostgreSQL as a store of records.
pub type PostgresRecords = SqlRecords<Postgres>;

/// Where a database is, and how it is spoken to.
#[derive(Clone)]
pub struct Settings {
    /// Host; `localhost` where it is empty.
    pub host: String,
    /// Port; 5432 where it is 0.
    pub port: u16,
    /// The database.
    pub database: String,
    /// The user.
    pub user: String,
    /// Its password.
    pub password: String,
    /// `disable`, `prefer`, `require` (TLS, any certificate), `verify-ca` or `verify-full` (both:
    /// the system's certificates, and the host's name). Empty: `disable`.
    pub ssl_mode: String,
    /// Tables are named after it: `<table_name>_merit` and more. Empty: `router_replay_records`.
    pub table_name: String,
    /// The longest that anything may take, connecting included.
    pub limit: Duration,
}

/// A database with its connections.
pub struct Postgres {
    config: Config,
    tls: MakeRustlsConnect,
    table: String,
    limit: Duration,
    has_tables: AtomicBool,
    writer: Mutex<Option<Link>>,
    reader: Mutex<Option<Link>>,
}

/// One connection, which ends with this.
struct Link {
    client: Client,
    prepared: HashMap<Arc<str>, Prepared>,
    _driver: JoinSet<()>,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres")
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

/// Prepares a database as a store of records. Nothing is sent before the first access.
///
/// # Errors
/// The settings cannot be used.
pub fn open(settings: &Settings) -> Result<PostgresRecords, Unusable> {
    let missing = |name: &str| Unusable::Settings(format!("`{name}` is missing"));
    if settings.database.is_empty() {
        return Err(missing("database"));
    }
    if settings.user.is_empty() {
        return Err(missing("user"));
    }
    let table = format!("{}_merit", table_name(&settings.table_name)?);
    let (mode, is_verified) = match settings.ssl_mode.as_str() {
        "" | "disable" => (SslMode::Disable, false),
        "prefer" => (SslMode::Prefer, false),
        "require" => (SslMode::Require, false),
        "verify-ca" | "verify-full" => (SslMode::Require, true),
        other => {
            let why = format!(
                "ssl_mode `{other}` must be one of disable, prefer, require, verify-ca, verify-full"
            );
            return Err(Unusable::Settings(why));
        }
    };
    let host = Some(settings.host.as_str()).filter(|host| !host.is_empty());
    let port = Some(settings.port).filter(|port| *port != 0);
    let mut config = Config::new();
    config
        .host(host.unwrap_or("localhost"))
        .port(port.unwrap_or(5432))
        .dbname(&settings.database)
        .user(&settings.user)
        .password(&settings.password)
        .application_name("merit")
        .connect_timeout(settings.limit)
        .ssl_mode(mode);
    let postgres = Postgres {
        config,
        tls: MakeRustlsConnect::new(tls::config(is_verified)?),
        table: table.clone(),
        limit: settings.limit,
        has_tables: AtomicBool::new(false),
        writer: Mutex::default(),
        reader: Mutex::default(),
    };
    Ok(SqlRecords::new(postgres, &table))
}

/// Checks a table's name, which becomes a part of statements.
fn table_name(name: &str) -> Result<&str, Unusable> {
    if name.is_empty() {
        return Ok("router_replay_records");
    }
    let is_letter = |letter: char| letter.is_ascii_alphabetic() || letter == '_';
    let is_name = name.len() <= NAME_MAX
        && name.starts_with(is_letter)
        && name.chars().all(|it| is_letter(it) || it.is_ascii_digit());
    is_name.then_some(name).ok_or_else(|| {
        let why = format!("table_name `{name}` is not [A-Za-z_][A-Za-z0-9_]*, at most {NAME_MAX}");
        Unusable::Settings(why)
    })
}

#[async_trait]
impl Database for Postgres {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    async fn query(&self, statement: Statement) -> Result<Vec<Vec<Value>>, StoreError> {
        let mut slot = self.reader.lock().await;
        let asking = async {
            let link = self.link(&mut slot).await?;
            link.query(&statement).await
        };
        let answer = tokio::time::timeout(self.limit, asking).await;
        settled(&mut slot, answer)
    }

    async fn transact(&self, statements: Vec<Statement>) -> Result<Vec<u64>, StoreError> {
        let mut slot = self.writer.lock().await;
        let asking = async {
            let link = self.link(&mut slot).await?;
            link.transact(&statements).await
        };
        let answer = tokio::time::timeout(self.limit, asking).await;
        settled(&mut slot, answer)
    }

    async fn tidy(&self) -> Result<(), StoreError> {
        // The server does that by itself.
        Ok(())
    }
}

/// A connection with an error behind it may be in the midst of something: it is given up.
fn settled<T>(
    slot: &mut Option<Link>,
    answer: Result<Result<T, StoreError>, tokio::time::error::Elapsed>,
) -> Result<T, StoreError> {
    let answer = answer.unwrap_or_else(|_| {
        Err(StoreError::Away(
            "no answer of PostgreSQL in time".to_owned(),
        ))
    });
    if answer.is_err() {
        *slot = None;
    }
    answer
}

impl Postgres {
    async fn link<'a>(&self, slot: &'a mut Option<Link>) -> Result<&'a mut Link, StoreError> {
        if slot.as_ref().is_some_and(|link| link.client.is_closed()) {
            *slot = None;
        }
        match slot {
            Some(link) => Ok(link),
            None => Ok(slot.insert(self.connect().await?)),
        }
    }

    async fn connect(&self) -> Result<Link, StoreError> {
        let connecting = self.config.connect(self.tls.clone());
        let (client, connection) = connecting.await.map_err(|error| failure(&error))?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to PostgreSQL ended");
            }
        });
        let link = Link {
            client,
            prepared: HashMap::new(),
            _driver: driver,
        };
        if !self.has_tables.load(Ordering::Relaxed) {
            link.make_tables(&self.table).await?;
            self.has_tables.store(true, Ordering::Relaxed);
        }
        Ok(link)
    }
}

impl Link {
    async fn make_tables(&self, table: &str) -> Result<(), StoreError> {
        let schema = Dialect::Postgres.schema(table);
        let making = format!(
            "BEGIN; SELECT pg_advisory_xact_lock({LOCK}); {schema} \
             CREATE TABLE IF NOT EXISTS {table}_form (form BIGINT NOT NULL); \
             INSERT INTO {table}_form SELECT {FORM} \
             WHERE NOT EXISTS (SELECT 1 FROM {table}_form); COMMIT"
        );
        let made = self.client.batch_execute(&making).await;
        made.map_err(|error| failure(&error))?;
        let asked = format!("SELECT MAX(form) FROM {table}_form");
        let row = self.client.query_one(&asked, &[]).await;
        let row = row.map_err(|error| failure(&error))?;
        let form: i64 = row.try_get(0).map_err(|error| failure(&error))?;
        if form > FORM {
            return Err(StoreError::Refused(format!(
                "{table} has form {form}, and the youngest known is {FORM}"
            )));
        }
        Ok(())
    }

    async fn prepared(&mut self, text: &Arc<str>) -> Result<Prepared, StoreError> {
        if let Some(prepared) = self.prepared.get(text) {
            return Ok(prepared.clone());
        }
        let prepared = self.client.prepare(text).await;
        let prepared = prepared.map_err(|error| failure(&error))?;
        self.prepared.insert(Arc::clone(text), prepared.clone());
        Ok(prepared)
    }

    async fn query(&mut self, statement: &Statement) -> Result<Vec<Vec<Value>>, StoreError> {
        // What is asked for differs from question to question: it is not kept.
        let prepared = self.client.prepare(&statement.text).await;
        let prepared = prepared.map_err(|error| failure(&error))?;
        let rows = self.client.query(&prepared, &values(statement)).await;
        let rows = rows.map_err(|error| failure(&error))?;
        rows.iter().map(cells).collect()
    }

    async fn transact(&mut self, statements: &[Statement]) -> Result<Vec<u64>, StoreError> {
        let mut all = Vec::with_capacity(statements.len());
        for statement in statements {
            all.push((self.prepared(&statement.text).await?, values(statement)));
        }
        let client = &self.client;
        let running = async {
            client.batch_execute("BEGIN").await?;
            // They are sent in this order, without waiting for answers.
            let executing = all
                .iter()
                .map(|(prepared, values)| client.execute(prepared, values));
            let changed = try_join_all(executing).await?;
            client.batch_execute("COMMIT").await?;
            Ok(changed)
        };
        running.await.map_err(|error| failure(&error))
    }
}

fn values(statement: &Statement) -> Vec<&(dyn ToSql + Sync)> {
    let values = statement.values.iter();
    values.map(|value| value as &(dyn ToSql + Sync)).collect()
}

fn cells(row: &Row) -> Result<Vec<Value>, StoreError> {
    let columns = row.columns().iter().enumerate();
    let cells = columns.map(|(place, column)| match *column.type_() {
        Type::INT8 => row.try_get(place).map(|it: Option<i64>| it.map(Value::Int)),
        Type::BYTEA => row
            .try_get(place)
            .map(|it: Option<Vec<u8>>| it.map(Value::Bytes)),
        _ => row
            .try_get(place)
            .map(|it: Option<String>| it.map(Value::Text)),
    });
    cells
        .map(|cell| cell.map(|cell| cell.unwrap_or(Value::Null)))
        .collect::<Result<_, _>>()
        .map_err(|error| failure(&error))
}

impl ToSql for Value {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(number) => number.to_sql(kind, out),
            Self::Text(text) => text.to_sql(kind, out),
            Self::Bytes(bytes) => bytes.as_slice().to_sql(kind, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// What the data are at fault for is refused; all else is away.
fn failure(error: &tokio_postgres::Error) -> StoreError {
    let why = error.as_db_error().map_or_else(
        || error.to_string(),
        |said| format!("{}: {}", said.code().code(), said.message()),
    );
    let is_data = |code: &SqlState| {
        let class = code.code().get(..2);
        matches!(class, Some("22" | "23" | "42"))
    };
    if error.code().is_some_and(is_data) {
        StoreError::Refused(why)
    } else {
        StoreError::Away(why)
    }
}

#[cfg(test)]
mod tests;
