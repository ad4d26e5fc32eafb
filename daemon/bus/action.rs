//! polkit actions and the three levels of authority that imply them.
//!
//! The defaults of each action stand in `packaging/polkit/org.reeve.node1.policy`.

use std::fmt;

/// Who may do what, coarsely. Each level implies the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Looking.
    ReadOnly,
    /// Running the workers: members of `reeve-operators`.
    Operator,
    /// Everything: members of `reeve-admins`.
    Administrator,
}

impl Level {
    /// The group that has this level by the shipped rules; reading has none.
    pub fn group(self) -> Option<&'static str> {
        match self {
            Level::ReadOnly => None,
            Level::Operator => Some("reeve-operators"),
            Level::Administrator => Some("reeve-admins"),
        }
    }

    /// `read-only`, `operator`, `administrator`.
    pub fn word(self) -> &'static str {
        match self {
            Level::ReadOnly => "read-only",
            Level::Operator => "operator",
            Level::Administrator => "administrator",
        }
    }
}

macro_rules! actions {
    ($($name:ident $word:literal $level:ident $reading:literal)*) => {
        /// One polkit action.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "the names are those of the policy file, which describes each")]
        pub enum Action { $($name),* }

        impl Action {
            /// All of them.
            pub const ALL: &[Action] = &[$(Action::$name),*];

            /// Its full id, `org.reeve.node1.drain`.
            pub fn id(self) -> &'static str {
                match self { $(Action::$name => concat!("org.reeve.node1.", $word)),* }
            }
            /// The level that implies it.
            pub fn level(self) -> Level {
                match self { $(Action::$name => Level::$level),* }
            }
            /// Whether it only looks: such calls leave no audit entry.
            pub fn reading(self) -> bool {
                match self { $(Action::$name => $reading),* }
            }
        }
    };
}

actions! {
    ReadStatus "read-status" ReadOnly true
    ReadWorkers "read-workers" ReadOnly true
    ReadGpus "read-gpus" ReadOnly true
    ReadTasks "read-tasks" ReadOnly true
    ReadMetrics "read-metrics" ReadOnly true
    ReadFleet "read-fleet" ReadOnly true
    ReadLogs "read-logs" ReadOnly true
    ReadAudit "read-audit" ReadOnly true
    ReadConfig "read-config" ReadOnly true
    ManageWorkers "manage-workers" Operator false
    Isolate "isolate" Operator false
    SetResources "set-resources" Operator false
    RunTask "run-task" Operator false
    Drain "drain" Operator false
    Cordon "cordon" Operator false
    Hold "hold" Operator false
    Slot "slot" Operator false
    CancelOwn "cancel-own" Operator false
    ReloadConfig "reload-config" Administrator false
    SetLogLevel "set-log-level" Administrator false
    Reboot "reboot" Administrator false
    GpuControl "gpu-control" Administrator false
    LiftIsolation "lift-isolation" Administrator false
    RunAdminTask "run-admin-task" Administrator false
    ManageTasks "manage-tasks" Administrator false
    Approve "approve" Administrator false
    CancelAny "cancel-any" Administrator false
    BreakSlot "break-slot" Administrator false
    Lead "lead" Administrator false
    RecoverFleet "recover-fleet" Administrator false
    Failover "failover" Administrator false
    RolloutControl "rollout-control" Administrator false
}

impl Action {
    /// Its id without the prefix, `drain`.
    pub fn word(self) -> &'static str {
        self.id().trim_start_matches("org.reeve.node1.")
    }

    /// Reads `drain` or `org.reeve.node1.drain`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|a| a.id() == text || a.word() == text)
    }

    /// Why it is refused, and what to do about it.
    pub fn refusal(self, who: &str) -> String {
        let remedy = match self.level().group() {
            Some(group) => format!("members of the group {group} may"),
            None => "root and local users at the machine may, and whom a polkit rule names".into(),
        };
        format!("{who} is not allowed {self}; {remedy}")
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_parse_back_in_both_forms() {
        for action in Action::ALL {
            assert_eq!(Action::parse(action.id()), Some(*action));
            assert_eq!(Action::parse(action.word()), Some(*action));
            assert_eq!(action.reading(), action.word().starts_with("read-"), "{action}");
        }
        assert_eq!(Action::parse("fly"), None);
    }

    #[test]
    fn a_refusal_names_the_action_and_the_group() {
        let text = Action::Drain.refusal("uid 7");
        assert!(text.contains("org.reeve.node1.drain") && text.contains("reeve-operators"), "{text}");
    }
}
