//! A configuration of mosquitto for a fleet, and who may write and read which topic of it.
//!
//! A node writes below its own name only, and that name is its certificate's: nobody can report, ask, vote or lead for
//! another. Nothing in the text is secret.

use crate::election::NodeName;

/// Bytes of the largest message of the fleet, and room for as much again.
const LARGEST_PACKET: usize = 256 * 1024;

/// The files `/etc/mosquitto/conf.d/reeve.conf` and `/etc/mosquitto/reeve.acl` as one text, each behind a line
/// `# file: PATH`. `operators` may send commands; their names have the form of a node's.
pub fn broker_config(fleet: &str, voters: &[NodeName], operators: &[String]) -> String {
    let mut text = head(fleet);
    text.push_str(&nodes(fleet));
    for voter in voters {
        text.push_str(&self::voter(fleet, voter));
    }
    for operator in operators {
        text.push_str(&self::operator(fleet, operator));
    }
    text
}

fn head(fleet: &str) -> String {
    format!(
        "\
# A broker of the fleet {fleet}: mosquitto 2, printed by `reevectl fleet broker-config`.
# Two files, each behind a line that names it. As root, this writes both:
#   reevectl fleet broker-config | awk '/^# file: /{{f=$3}} f{{print > f}}'
# Print and write it again whenever the voters change, then: systemctl reload mosquitto
# A fleet may have several brokers; each gets the same two files. One is better not run on the host of a voter.

# file: /etc/mosquitto/conf.d/reeve.conf
# Certificates: the authority that signs the nodes, and this broker's own (its names must be those in `brokers` of
# reeve.toml). mosquitto reads them as the user mosquitto.
listener 8883
cafile /etc/mosquitto/certs/ca.crt
certfile /etc/mosquitto/certs/broker.crt
keyfile /etc/mosquitto/certs/broker.key
tls_version tlsv1.2
# Who connects is who the certificate says: its common name is the node's name in the fleet.
require_certificate true
use_identity_as_username true
allow_anonymous false
acl_file /etc/mosquitto/reeve.acl
# Small messages must not wait for each other's acknowledgement.
set_tcp_nodelay true
# Twice the largest message of the fleet.
max_packet_size {LARGEST_PACKET}

# file: /etc/mosquitto/reeve.acl
# What no line permits is dropped without a word to the sender; mosquitto logs it with `log_type all`.
"
    )
}

/// What every node may, a voter among them.
fn nodes(fleet: &str) -> String {
    format!(
        "\
# Every node: its own birth, will, reports and questions; the answers to it; who leads.
# (mosquitto warns that the third line has no %u in it. It is meant so: the leader is no secret.)
pattern write reeve/{fleet}/n/%u/#
pattern read reeve/{fleet}/n/%u/rx/#
pattern read reeve/{fleet}/lead/#
pattern write reeve/{fleet}/ev/%u
# Where observers shall read the registry too:
#pattern read reeve/{fleet}/n/+/up
#pattern read reeve/{fleet}/n/+/rep
"
    )
}

fn voter(fleet: &str, name: &NodeName) -> String {
    format!(
        "
# A voter: its votes and those to it; the nodes, and its answers to them; that it leads; commands and events.
user {name}
topic write reeve/{fleet}/v/+/{name}
topic read reeve/{fleet}/v/{name}/+
topic read reeve/{fleet}/n/#
topic write reeve/{fleet}/n/+/rx/{name}
topic write reeve/{fleet}/lead/{name}
topic read reeve/{fleet}/cmd/#
topic read reeve/{fleet}/ev/#
"
    )
}

fn operator(fleet: &str, name: &str) -> String {
    format!(
        "
# An operator: commands under its own name; which nodes there are, and what happens.
user {name}
topic write reeve/{fleet}/cmd/{name}
topic read reeve/{fleet}/lead/#
topic read reeve/{fleet}/n/+/up
topic read reeve/{fleet}/ev/#
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed() -> String {
        let voters = ["a", "b"].map(|n| NodeName::new(n).unwrap_or_else(|e| unreachable!("{e}")));
        broker_config("lab", &voters, &["ops".to_owned()])
    }

    #[test]
    fn each_user_has_one_block_and_writes_under_its_own_name_only() {
        let text = printed();
        let users: Vec<_> = text.lines().filter_map(|l| l.strip_prefix("user ")).collect();
        assert_eq!(users, ["a", "b", "ops"]);
        let mut user = "%u";
        for line in text.lines() {
            user = line.strip_prefix("user ").unwrap_or(user);
            if !line.starts_with("topic ") && !line.starts_with("pattern ") {
                continue;
            }
            assert!(line.contains(" reeve/lab/"), "{line}");
            if let Some((_, topic)) = line.split_once(" write ") {
                assert!(topic.split('/').any(|level| level == user), "{line}");
            }
        }
    }

    #[test]
    fn both_files_are_named() {
        let text = printed();
        let files: Vec<_> = text.lines().filter_map(|l| l.strip_prefix("# file: ")).collect();
        assert_eq!(files, ["/etc/mosquitto/conf.d/reeve.conf", "/etc/mosquitto/reeve.acl"]);
    }
}
