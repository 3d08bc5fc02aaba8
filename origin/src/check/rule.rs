//! The rules an app is checked by. Each has a name that stays the same, for scripts and for looking it up.

use std::fmt;

use serde::{Serialize, Serializer};

/// What a finding means for a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// `push` refuses the app.
    Error,
    /// `push` goes on, and says so.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        })
    }
}

macro_rules! rules {
    ($($rule:ident $id:literal $severity:ident)*) => {
        /// Which rule a finding is about; `docs/check.md` has a line on each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Rule {
            $($rule,)*
        }

        impl Rule {
            pub const ALL: &[Rule] = &[$(Rule::$rule,)*];

            pub fn id(self) -> &'static str {
                match self {
                    $(Rule::$rule => $id,)*
                }
            }

            pub fn severity(self) -> Severity {
                match self {
                    $(Rule::$rule => Severity::$severity,)*
                }
            }
        }
    };
}

rules! {
    // The folder and its manifest.
    Manifest "manifest" Error
    FileMissing "file-missing" Error
    FileUnreadable "file-unreadable" Error
    AppTooLarge "app-too-large" Error
    StaticEmpty "static-empty" Error
    RouteConflict "route-conflict" Error
    ErrorPageMissing "error-page-missing" Error

    // Components.
    ComponentInvalid "component-invalid" Error
    ComponentCoreModule "component-core-module" Error
    ComponentRole "component-role" Error
    ComponentVersion "component-version" Error
    ComponentImport "component-import" Error
    ComponentLink "component-link" Error
    ComponentHttpDenied "component-http-denied" Warning

    // Commands' schemas.
    SchemaNotJson "schema-not-json" Error
    SchemaInvalid "schema-invalid" Error

    // The write store.
    MigrationFails "migration-fails" Error
    MigrationDenied "migration-denied" Error
    MigrationOrder "migration-order" Warning
    MigrationIgnored "migration-ignored" Warning
    DataKey "data-key" Error

    // The read database.
    SnapshotFails "snapshot-fails" Error
    SnapshotDenied "snapshot-denied" Error
    SnapshotReservedName "snapshot-reserved-name" Error
    SnapshotTrigger "snapshot-trigger" Error
    MirrorMismatch "mirror-mismatch" Error

    // Named queries.
    QuerySyntax "query-syntax" Error
    QueryInvalid "query-invalid" Error
    QueryWrites "query-writes" Error
    QuerySeveral "query-several" Error
    QueryDenied "query-denied" Error
    QueryReadsClock "query-reads-clock" Warning
    QueryPlanScan "query-plan-scan" Warning
    QueryPlanAutomaticIndex "query-plan-automatic-index" Warning
    QueryPlanSort "query-plan-sort" Warning
    QueryAllowUnused "query-allow-unused" Warning

    // What handlers look for.
    InputUndeclared "input-undeclared" Warning
    InputsUnreadable "inputs-unreadable" Warning

    // Granted, and used by nobody.
    UnusedComponent "unused-component" Warning
    UnusedCommand "unused-command" Warning
    UnusedTask "unused-task" Warning
    UnusedOutbound "unused-outbound" Warning
    UnusedVariable "unused-variable" Warning
    UnusedQuery "unused-query" Warning
    UnusedMirror "unused-mirror" Warning

    // What nothing above has found and a node would refuse all the same.
    LoadFails "load-fails" Error
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}
