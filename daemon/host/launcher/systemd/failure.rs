//! Why a unit did not come up, in words that name the program, the user or the folder.

use reeve_core::effect::RunSpec;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// Exit codes that PID 1 gives a process it could not turn into the program (systemd.exec(5), "process exit codes").
pub(super) fn is_setup(status: i32) -> bool {
    (200..=245).contains(&status)
}

/// The sentence for one of them.
pub(super) fn setup(status: i32, spec: &RunSpec) -> String {
    let program = spec.exec.first().map_or("", String::as_str);
    let user = spec.user.as_deref().unwrap_or("reeve-worker");
    match status {
        200 => format!("cannot change to working directory {}", spec.working_directory.as_deref().unwrap_or("/")),
        203 => program_problem(program, user),
        216 => format!("group {} is unknown or cannot be used", spec.group.as_deref().unwrap_or("of the user")),
        217 => format!("user {user} is unknown or cannot be used"),
        226 => {
            "the sandbox cannot be set up: a path it names is missing or cannot be mounted (226/NAMESPACE)".to_owned()
        }
        228 => "the system call filter of the sandbox cannot be set (228/SECCOMP)".to_owned(),
        243 => format!("a credential is missing or cannot be read: {}", spec.credentials.join(", ")),
        _ => format!("cannot execute {program}: {} ({status})", code_name(status)),
    }
}

/// Any program can be missing, a folder, or not executable: say which, as far as reeved can see.
fn program_problem(program: &str, user: &str) -> String {
    match fs::metadata(program) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            format!("{program}: no such file or directory")
        }
        Ok(meta) if meta.is_dir() => format!("{program}: is a directory"),
        Ok(meta) if meta.permissions().mode() & 0o111 == 0 => {
            format!("{program}: permission denied, it is not executable")
        }
        _ => format!("{program}: cannot be executed by user {user}: permission denied, or its interpreter is missing"),
    }
}

/// The word systemd has for an exit code of its own.
fn code_name(status: i32) -> &'static str {
    match status {
        201 => "nice level",
        202 => "file descriptors",
        204 => "memory",
        205 => "limits",
        206 => "OOM score",
        207 => "signal mask",
        208 => "standard input",
        209 => "standard output",
        210 => "root directory",
        211 => "I/O priority",
        214 => "CPU scheduling",
        215 => "CPU affinity",
        218 => "capabilities",
        219 => "cgroup",
        220 => "session",
        222 => "standard error",
        224 => "PAM",
        225 => "network namespace",
        227 => "no new privileges",
        233 => "runtime directory",
        237 => "keyring",
        238 => "state directory",
        239 => "cache directory",
        240 => "logs directory",
        241 => "configuration directory",
        _ => "setting up the process failed",
    }
}

/// For a unit that failed without a process to blame.
pub(super) fn result(result: &str, spec: &RunSpec) -> String {
    // The only thing PID 1 itself reads for a unit.
    if let Some(file) = spec.environment_file.as_deref().filter(|f| !f.starts_with('-'))
        && let Err(error) = fs::File::open(file)
    {
        let why = if error.kind() == std::io::ErrorKind::NotFound {
            "no such file or directory".to_owned()
        } else {
            error.to_string()
        };
        return format!("environment file {file}: {why}");
    }
    match result {
        "resources" => "systemd had no resources to start it, or a setting is not possible here: see `systemctl status` of the unit".to_owned(),
        "timeout" => "the start timed out".to_owned(),
        "start-limit-hit" => "systemd's start limit was hit".to_owned(),
        other => format!("systemd says {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_program_is_named_with_the_reason() {
        assert_eq!(program_problem("/no/such", "nobody"), "/no/such: no such file or directory");
        assert_eq!(program_problem("/etc", "nobody"), "/etc: is a directory");
        assert!(program_problem("/etc/passwd", "nobody").contains("not executable"));
        assert!(program_problem("/bin/sh", "nobody").contains("user nobody"));
    }
}
