//! The statements, in the words that SQLite and PostgreSQL share.

use records::ledger::{LedgerKey, Measure};
use records::record::{Captured, DecisionRecord, Lifecycle, Moment, OutcomeReport};
use records::store::facts::Facts;
use records::store::{CacheStatus, Filter, Paging};
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use super::youngest;

/// Columns of a record beside its bytes and its measures.
const COLUMNS: [(&str, Kind); 15] = [
    ("id", Kind::Id),
    ("time_ns", Kind::Int),
    ("version", Kind::Int),
    ("lifecycle", Kind::Int),
    ("recipe", Kind::Text),
    ("decision", Kind::Text),
    ("original_model", Kind::Text),
    ("selected_model", Kind::Text),
    ("session_id", Kind::Text),
    ("caller", Kind::Text),
    ("currency", Kind::Text),
    ("from_cache", Kind::Int),
    ("streamed", Kind::Int),
    ("signals", Kind::Text),
    ("search", Kind::Text),
];

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Id,
    Int,
    Text,
}

/// What databases say differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// A file.
    Sqlite,
    /// A server.
    Postgres,
}

/// A value that goes into a database or comes out of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// A whole number.
    Int(i64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl Value {
    /// Returns a count; what is none counts as 0.
    pub(super) fn int(&self) -> u64 {
        match self {
            Self::Int(number) => u64::try_from(*number).unwrap_or_default(),
            Self::Null | Self::Text(_) | Self::Bytes(_) => 0,
        }
    }

    pub(super) fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Int(_) | Self::Bytes(_) => None,
        }
    }

    pub(super) fn bytes(self) -> Option<Vec<u8>> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Null | Self::Int(_) | Self::Text(_) => None,
        }
    }
}

/// A statement with its values. Its text repeats, so that it is prepared once.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// SQL.
    pub text: Arc<str>,
    /// What its places stand for, in their order.
    pub values: Vec<Value>,
}

/// Whether captured text is read too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Text {
    With,
    Without,
}

/// The statements for tables of one name.
#[derive(Debug)]
pub(super) struct Statements {
    dialect: Dialect,
    table: String,
    put: Arc<str>,
    capture: Arc<str>,
}

/// Conditions that are being written.
struct Conditions {
    dialect: Dialect,
    text: String,
    values: Vec<Value>,
}

impl Conditions {
    fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            text: String::new(),
            values: Vec::new(),
        }
    }

    /// Takes a value and returns its place.
    fn place(&mut self, value: Value) -> String {
        self.values.push(value);
        place(self.dialect, self.values.len())
    }

    fn and(&mut self, condition: &str) {
        let word = if self.text.is_empty() {
            " WHERE "
        } else {
            " AND "
        };
        self.text.push_str(word);
        self.text.push_str(condition);
    }

    fn equal(&mut self, column: &str, value: &Option<String>) {
        if let Some(value) = value {
            let place = self.place(text(value));
            self.and(&format!("{column} = {place}"));
        }
    }

    fn filter(&mut self, filter: &Filter) {
        self.equal("recipe", &filter.recipe);
        self.equal("decision", &filter.decision);
        self.equal("session_id", &filter.session_id);
        if let Some(model) = &filter.model {
            let (one, other) = (self.place(text(model)), self.place(text(model)));
            self.and(&format!(
                "(selected_model = {one} OR original_model = {other})"
            ));
        }
        match filter.cache_status {
            CacheStatus::All => {}
            CacheStatus::Cached => self.and("from_cache = 1"),
            CacheStatus::Streamed => self.and("streamed = 1"),
        }
        if let Some(needle) = filter.needle() {
            let place = self.place(text(&needle));
            let finds = match self.dialect {
                Dialect::Sqlite => "instr",
                Dialect::Postgres => "strpos",
            };
            self.and(&format!("{finds}(search, {place}) > 0"));
        }
    }

    fn readable(&mut self) {
        let place = self.place(Value::Int(youngest()));
        self.and(&format!("version <= {place}"));
    }

    fn finish(self, text: String) -> Statement {
        Statement {
            text: text.into(),
            values: self.values,
        }
    }
}

fn place(dialect: Dialect, number: usize) -> String {
    match dialect {
        Dialect::Sqlite => format!("?{number}"),
        Dialect::Postgres => format!("${number}"),
    }
}

/// A text as databases take it: PostgreSQL knows no NUL.
fn text(text: &str) -> Value {
    Value::Text(text.replace('\0', "\u{fffd}"))
}

fn int(number: usize) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

fn flag(is_set: bool) -> Value {
    Value::Int(is_set.into())
}

impl Statements {
    pub(super) fn new(dialect: Dialect, table: &str) -> Self {
        Self {
            dialect,
            table: table.to_owned(),
            put: put(dialect, table).into(),
            capture: capture(dialect, table).into(),
        }
    }

    pub(super) fn put(&self, record: &DecisionRecord) -> Statement {
        let facts = Facts::of(record);
        let mut values = vec![
            text(&facts.id),
            Value::Int(facts.time.0),
            Value::Int(facts.version.into()),
            Value::Int(i32::from(facts.lifecycle).into()),
            text(&facts.recipe),
            text(&facts.decision),
            text(&facts.original_model),
            text(&facts.selected_model),
            text(&facts.session_id),
            text(&facts.caller),
            text(&facts.currency),
            flag(facts.from_cache),
            flag(facts.streamed),
            text(&facts.signal_text()),
            text(&facts.searched()),
        ];
        values.extend(Measure::ALL.map(|measure| {
            let value = facts.sums.get(measure);
            Value::Int(i64::try_from(value).unwrap_or(i64::MAX))
        }));
        values.push(Value::Bytes(record.to_bytes()));
        Statement {
            text: Arc::clone(&self.put),
            values,
        }
    }

    pub(super) fn capture(&self, captured: &Captured) -> Statement {
        Statement {
            text: Arc::clone(&self.capture),
            values: vec![
                text(&captured.id),
                Value::Int(captured.moment().0),
                Value::Bytes(captured.to_bytes()),
            ],
        }
    }

    pub(super) fn get(&self, id: &str) -> Statement {
        let mut conditions = Conditions::new(self.dialect);
        let place = conditions.place(text(id));
        let table = &self.table;
        conditions.finish(format!(
            "SELECT r.data, c.data FROM {table} r LEFT JOIN {table}_text c ON c.id = r.id \
             WHERE r.id = {place}"
        ))
    }

    /// How many records a filter takes, and how many of them have a later form.
    pub(super) fn count(&self, filter: &Filter) -> Statement {
        let mut conditions = Conditions::new(self.dialect);
        let youngest = youngest();
        conditions.filter(filter);
        let (table, text) = (&self.table, conditions.text.clone());
        conditions.finish(format!(
            "SELECT COUNT(CASE WHEN version <= {youngest} THEN 1 END), \
             COUNT(CASE WHEN version > {youngest} THEN 1 END) FROM {table}{text}"
        ))
    }

    pub(super) fn list(&self, filter: &Filter, paging: Paging, with: Text) -> Statement {
        let mut conditions = Conditions::new(self.dialect);
        conditions.filter(filter);
        conditions.readable();
        let limit = conditions.place(int(paging.limit));
        let offset = conditions.place(int(paging.offset));
        let (table, text) = (&self.table, conditions.text.clone());
        let page = format!(
            "SELECT id, time_ns, data FROM {table}{text} \
             ORDER BY time_ns DESC, id DESC LIMIT {limit} OFFSET {offset}"
        );
        conditions.finish(match with {
            Text::With => format!(
                "SELECT r.data, c.data FROM ({page}) r LEFT JOIN {table}_text c ON c.id = r.id \
                 ORDER BY r.time_ns DESC, r.id DESC"
            ),
            Text::Without => {
                format!("SELECT r.data FROM ({page}) r ORDER BY r.time_ns DESC, r.id DESC")
            }
        })
    }

    pub(super) fn outcomes(&self, ids: impl Iterator<Item = String>) -> Statement {
        let mut conditions = Conditions::new(self.dialect);
        let places: Vec<String> = ids.map(|id| conditions.place(text(&id))).collect();
        let (table, places) = (&self.table, places.join(", "));
        conditions.finish(format!(
            "SELECT record_id, data FROM {table}_outcomes WHERE record_id IN ({places}) \
             ORDER BY time_ns, outcome_key"
        ))
    }

    pub(super) fn names(&self) -> Statement {
        let mut conditions = Conditions::new(self.dialect);
        conditions.readable();
        let (table, text) = (&self.table, conditions.text.clone());
        conditions.finish(format!(
            "SELECT DISTINCT recipe, decision, selected_model, original_model FROM {table}{text}"
        ))
    }

    pub(super) fn groups(&self, filter: &Filter) -> Statement {
        let mut conditions = Conditions::new(self.dialect);
        conditions.filter(filter);
        conditions.readable();
        let (table, text) = (&self.table, conditions.text.clone());
        let keys = "lifecycle, recipe, decision, selected_model, currency, signals";
        let sums = halves();
        conditions.finish(format!(
            "SELECT {keys}, {sums} FROM {table}{text} GROUP BY {keys}"
        ))
    }

    pub(super) fn ledger(&self, by: LedgerKey, times: Range<Moment>) -> Statement {
        let mut conditions = Conditions::new(self.dialect);
        let start = conditions.place(Value::Int(times.start.0));
        conditions.and(&format!("time_ns >= {start}"));
        let end = conditions.place(Value::Int(times.end.0));
        conditions.and(&format!("time_ns < {end}"));
        conditions.readable();
        let keys = match by {
            LedgerKey::All => "'', ''",
            LedgerKey::Caller => "caller, ''",
            LedgerKey::Session => "session_id, ''",
            LedgerKey::Decision => "recipe, decision",
            LedgerKey::Model => "selected_model, ''",
            LedgerKey::Request => "id, ''",
        };
        let grouped: Vec<&str> = keys
            .split(", ")
            .filter(|key| *key != "''")
            .chain(["currency"])
            .collect();
        let (table, text, grouped) = (&self.table, conditions.text.clone(), grouped.join(", "));
        let sums = halves();
        conditions.finish(format!(
            "SELECT {keys}, currency, {sums} FROM {table}{text} GROUP BY {grouped}"
        ))
    }

    pub(super) fn add_outcome(&self, id: &str, outcome: &OutcomeReport) -> Statement {
        let mut conditions = Conditions::new(self.dialect);
        let time = outcome.time.as_ref().map(Moment::from).unwrap_or_default();
        let id_place = conditions.place(text(id));
        let key = conditions.place(text(&outcome.idempotency_key));
        let time = conditions.place(Value::Int(time.0));
        let data = conditions.place(Value::Bytes(outcome.to_bytes()));
        let again = conditions.place(text(id));
        let (table, bytes) = (&self.table, self.dialect.bytes());
        conditions.finish(format!(
            "INSERT INTO {table}_outcomes (record_id, outcome_key, time_ns, data) \
             SELECT CAST({id_place} AS TEXT), CAST({key} AS TEXT), CAST({time} AS BIGINT), \
             CAST({data} AS {bytes}) WHERE EXISTS (SELECT 1 FROM {table} WHERE id = {again}) \
             ON CONFLICT (record_id, outcome_key) DO NOTHING"
        ))
    }

    /// Forgets so many of the oldest; the last statement counts records.
    pub(super) fn expire(&self, before: Moment, most: usize) -> Vec<Statement> {
        let table = &self.table;
        let old = |from: &str| {
            let (time, limit) = (place(self.dialect, 1), place(self.dialect, 2));
            format!("SELECT id FROM {from} WHERE time_ns < {time} ORDER BY time_ns LIMIT {limit}")
        };
        let texts = [
            format!(
                "DELETE FROM {table}_outcomes WHERE record_id IN ({})",
                old(table)
            ),
            format!(
                "DELETE FROM {table}_text WHERE id IN ({})",
                old(&format!("{table}_text"))
            ),
            format!("DELETE FROM {table} WHERE id IN ({})", old(table)),
        ];
        let statements = texts.into_iter().map(|text| Statement {
            text: text.into(),
            values: vec![Value::Int(before.0), int(most)],
        });
        statements.collect()
    }
}

impl Dialect {
    fn bytes(self) -> &'static str {
        match self {
            Self::Sqlite => "BLOB",
            Self::Postgres => "BYTEA",
        }
    }

    /// Ids are ordered by their bytes.
    fn id(self) -> &'static str {
        match self {
            Self::Sqlite => "TEXT",
            Self::Postgres => "TEXT COLLATE \"C\"",
        }
    }

    /// Returns the statements that make the tables of a name, where they are not there.
    #[must_use]
    pub fn schema(self, table: &str) -> String {
        let (id, bytes) = (self.id(), self.bytes());
        let mut columns = String::new();
        for (name, kind) in COLUMNS {
            let kind = match kind {
                Kind::Id => format!("{id} PRIMARY KEY"),
                Kind::Int => "BIGINT NOT NULL".to_owned(),
                Kind::Text => "TEXT NOT NULL".to_owned(),
            };
            columns.push_str(&format!("{name} {kind}, "));
        }
        for measure in Measure::ALL {
            columns.push_str(&format!("m_{} BIGINT NOT NULL, ", measure.name()));
        }
        let mut text = format!(
            "CREATE TABLE IF NOT EXISTS {table} ({columns}data {bytes} NOT NULL);\n\
             CREATE TABLE IF NOT EXISTS {table}_text \
             (id {id} PRIMARY KEY, time_ns BIGINT NOT NULL, data {bytes} NOT NULL);\n\
             CREATE TABLE IF NOT EXISTS {table}_outcomes (record_id {id} NOT NULL, \
             outcome_key TEXT NOT NULL, time_ns BIGINT NOT NULL, data {bytes} NOT NULL, \
             PRIMARY KEY (record_id, outcome_key));\n"
        );
        for (name, on) in [
            ("time", format!("{table} (time_ns, id)")),
            ("session", format!("{table} (session_id, time_ns)")),
            ("text_time", format!("{table}_text (time_ns)")),
        ] {
            // Writing into a text does not fail.
            writeln!(
                text,
                "CREATE INDEX IF NOT EXISTS {table}_by_{name} ON {on};"
            )
            .ok();
        }
        text
    }
}

/// The sums of all measures, each as two texts.
fn halves() -> String {
    let sums = Measure::ALL.map(|measure| {
        let column = format!("m_{}", measure.name());
        format!(
            "CAST(SUM({column} / 1000000000) AS TEXT), CAST(SUM({column} % 1000000000) AS TEXT)"
        )
    });
    sums.join(", ")
}

fn put(dialect: Dialect, table: &str) -> String {
    let names: Vec<String> = COLUMNS
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .chain(Measure::ALL.map(|measure| format!("m_{}", measure.name())))
        .chain(["data".to_owned()])
        .collect();
    let places: Vec<String> = (1..=names.len()).map(|it| place(dialect, it)).collect();
    let replaced = names
        .iter()
        .filter(|name| !["id", "time_ns"].contains(&name.as_str()));
    let replaced: Vec<String> = replaced.map(|it| format!("{it} = excluded.{it}")).collect();
    let ended = [Lifecycle::Completed, Lifecycle::Failed, Lifecycle::Aborted];
    let ended = ended.map(|state| i32::from(state).to_string()).join(", ");
    format!(
        "INSERT INTO {table} ({}) VALUES ({}) ON CONFLICT (id) DO UPDATE SET {} \
         WHERE {table}.lifecycle NOT IN ({ended}) AND {table}.version <= excluded.version",
        names.join(", "),
        places.join(", "),
        replaced.join(", ")
    )
}

fn capture(dialect: Dialect, table: &str) -> String {
    let [id, time, data] = [1, 2, 3].map(|it| place(dialect, it));
    format!(
        "INSERT INTO {table}_text (id, time_ns, data) VALUES ({id}, {time}, {data}) \
         ON CONFLICT (id) DO UPDATE SET data = excluded.data"
    )
}
