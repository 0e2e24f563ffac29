//! What a line of the table of plugins says, and what is drawn from the table: the type that the
//! document is read as, and all that other parts ask of every plugin.

use super::Plugin;
use document::Findings;

/// A plugin's `configuration` as the document has it, and what its type can do.
pub trait Configuration {
    /// The `type:` in the document, also the metric label.
    const NAME: &'static str;

    /// Every `type:` that the document may write, the name first.
    const SPELLINGS: &'static [&'static str] = &[Self::NAME];

    /// When the plugin acts; `None` for a type that is known and not run.
    const TURN: Option<Turn> = None;

    /// Tells whether `enabled: false` does not switch the plugin off.
    fn is_enabled(&self) -> bool {
        true
    }

    /// Tells whether the plugin answers every request by itself, so that no model is needed.
    fn answers(&self) -> bool {
        false
    }

    /// Returns the names of the request headers that the plugin changes.
    fn request_headers(&self) -> Vec<&str> {
        Vec::new()
    }

    /// Reports what is wrong with the configuration.
    fn check(&self, _checking: &mut Checking<'_>) {}

    /// Returns what it means that the type is known and not run; `None` for one that acts.
    fn not_run(&self) -> Option<NotRun> {
        None
    }

    /// Builds the plugin; `None` if it has nothing to do.
    fn build(&self) -> Option<Box<dyn Plugin>> {
        None
    }
}

/// What it means for requests that something is known and not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotRun {
    /// Requests go on without it, which is no less safe. Says how they go on.
    Served(&'static str),
    /// Requests without it would be less safe, so the document is not served.
    Refused {
        /// What they would lack.
        lack: &'static str,
        /// What to do instead.
        remedy: &'static str,
    },
}

impl<T: Configuration> Configuration for Box<T> {
    const NAME: &'static str = T::NAME;
    const SPELLINGS: &'static [&'static str] = T::SPELLINGS;
    const TURN: Option<Turn> = T::TURN;

    fn is_enabled(&self) -> bool {
        T::is_enabled(self)
    }

    fn answers(&self) -> bool {
        T::answers(self)
    }

    fn request_headers(&self) -> Vec<&str> {
        T::request_headers(self)
    }

    fn check(&self, checking: &mut Checking<'_>) {
        T::check(self, checking);
    }

    fn not_run(&self) -> Option<NotRun> {
        T::not_run(self)
    }

    fn build(&self) -> Option<Box<dyn Plugin>> {
        T::build(self)
    }
}

/// When a plugin acts: plugins run in this order, whatever order the document lists them in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Turn {
    /// Answers in place of a model.
    Answer,
    /// Edits the system message.
    SystemPrompt,
    /// Marks what the provider should cache.
    PromptCache,
    /// Edits the body's parameters.
    Parameters,
    /// Edits headers, after all that the router sets.
    Headers,
    /// Says what is kept of the request.
    Record,
}

/// What is known of a plugin before any configuration of it is read.
#[derive(Debug, Clone, Copy)]
pub struct PluginType {
    /// The `type:` in the document, also the metric label.
    pub name: &'static str,
    /// Every `type:` that the document may write, the name first.
    pub spellings: &'static [&'static str],
    /// When it acts; `None` if it is known and not run.
    pub turn: Option<Turn>,
}

impl PluginType {
    /// Returns what is known of the plugin of this configuration.
    pub(super) const fn of<T: Configuration>() -> Self {
        Self {
            name: T::NAME,
            spellings: T::SPELLINGS,
            turn: T::TURN,
        }
    }
}

/// What checking a plugin needs of the document, and where it reports.
pub struct Checking<'a> {
    /// Path of the plugin's `configuration`.
    pub path: &'a str,
    /// Names of the headers by which the gateway finds its route.
    pub routing_headers: &'a [String],
    /// Where problems are reported.
    pub findings: &'a mut Findings,
}

impl Checking<'_> {
    /// Reports a value that is no number from 0 to 1.
    pub(super) fn share(&mut self, key: &str, value: Option<f64>) {
        if value.is_some_and(|value| !(0.0..=1.0).contains(&value)) {
            let path = format!("{}.{key}", self.path);
            self.findings.error(path, "a number from 0 to 1 is wanted");
        }
    }
}

/// Declares the table of plugins, and the type that the document is read as.
macro_rules! plugins {
    ($($(#[$attribute:meta])* $variant:ident($config:ty)),* $(,)?) => {
        /// A plugin: its type and that type's configuration.
        #[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
        #[serde(
            tag = "type",
            content = "configuration",
            rename_all = "snake_case",
            deny_unknown_fields
        )]
        #[schemars(rename = "Plugin")]
        pub enum PluginConfig {
            $($(#[$attribute])* $variant($config),)*
        }

        /// All plugins that a document may name.
        pub static PLUGINS: &[PluginType] = &[$(PluginType::of::<$config>()),*];

        impl PluginConfig {
            /// Returns what is known of the plugin's type.
            #[must_use]
            pub fn kind(&self) -> PluginType {
                match self {
                    $(Self::$variant(_) => PluginType::of::<$config>(),)*
                }
            }

            /// Tells whether the plugin is not switched off by `enabled: false`.
            #[must_use]
            pub fn is_enabled(&self) -> bool {
                match self {
                    $(Self::$variant(config) => config.is_enabled(),)*
                }
            }

            /// Tells whether the plugin answers every request by itself.
            #[must_use]
            pub fn answers(&self) -> bool {
                match self {
                    $(Self::$variant(config) => config.answers(),)*
                }
            }

            /// Returns the names of the request headers that the plugin changes.
            #[must_use]
            pub fn request_headers(&self) -> Vec<&str> {
                match self {
                    $(Self::$variant(config) => config.request_headers(),)*
                }
            }

            /// Reports what is wrong with the configuration.
            pub fn check(&self, checking: &mut Checking<'_>) {
                match self {
                    $(Self::$variant(config) => config.check(checking),)*
                }
            }

            /// Returns what it means that the plugin is known and not run; `None` if it acts.
            #[must_use]
            pub fn not_run(&self) -> Option<NotRun> {
                match self {
                    $(Self::$variant(config) => config.not_run(),)*
                }
            }

            /// Builds the plugin; `None` if it has nothing to do.
            fn build(&self) -> Option<Box<dyn Plugin>> {
                match self {
                    $(Self::$variant(config) => config.build(),)*
                }
            }
        }
    };
}
pub(super) use plugins;

#[cfg(test)]
mod tests {
    use super::super::{PLUGINS, PluginConfig};
    use crate::config::schema;
    use document::tags;
    use std::path::Path;

    #[test]
    fn the_schema_lists_every_plugin_with_its_spellings() {
        let schema = schema().value();
        let branches = schema["$defs"]["Plugin"]["oneOf"].as_array().unwrap();
        let found: Vec<Vec<&str>> = branches.iter().map(tags).collect();
        let expected: Vec<Vec<&str>> = PLUGINS.iter().map(|it| it.spellings.to_vec()).collect();
        assert_eq!(found, expected);
    }

    /// A plugin either acts or says what its absence means.
    #[test]
    fn a_plugin_that_does_not_act_says_what_that_means() {
        for plugin in PLUGINS {
            let written = serde_json::json!({"type": plugin.name, "configuration": {}});
            let config: PluginConfig = serde_json::from_value(written).unwrap();
            assert_eq!(
                config.not_run().is_some(),
                plugin.turn.is_none(),
                "{}",
                plugin.name
            );
        }
    }

    #[test]
    fn a_plugin_is_spelled_by_its_name_first() {
        for plugin in PLUGINS {
            assert_eq!(plugin.spellings.first(), Some(&plugin.name));
        }
    }

    /// The policy reference names the plugins that act in the order in which they act, and the
    /// others among what is not implemented.
    #[test]
    fn the_policy_reference_names_every_plugin() {
        let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
        let readme = std::fs::read_to_string(readme).unwrap();
        let section = |title: &str| -> Vec<&str> {
            let (_, rest) = readme.split_once(&format!("\n## {title}\n")).unwrap();
            let text = rest.split("\n## ").next().unwrap();
            let quoted = text.split('`').skip(1).step_by(2);
            quoted
                .filter(|word| PLUGINS.iter().any(|plugin| plugin.name == *word))
                .collect()
        };

        let mut acting: Vec<_> = PLUGINS.iter().filter(|it| it.turn.is_some()).collect();
        acting.sort_by_key(|plugin| plugin.turn);
        let acting: Vec<&str> = acting.iter().map(|plugin| plugin.name).collect();
        assert_eq!(section("Plugins"), acting);

        let mut missing: Vec<&str> = PLUGINS
            .iter()
            .filter(|plugin| plugin.turn.is_none())
            .map(|plugin| plugin.name)
            .collect();
        missing.sort_unstable();
        let mut named = section("Not implemented yet");
        named.sort_unstable();
        named.dedup();
        assert_eq!(named, missing);
    }
}
