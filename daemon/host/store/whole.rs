//! A file that is replaced whole: JSON with a sum over its content, so that a person may look at it with any tool, but a
//! tear or an edit shows.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The content of a file whose one record is called `key`.
pub fn encode(key: &str, record: &impl Serialize) -> Result<Vec<u8>, String> {
    let record = serde_json::to_value(record).map_err(|e| e.to_string())?;
    let sum = format!("{:08x}", crc32fast::hash(record.to_string().as_bytes()));
    let whole = json!({ "version": 1, "crc32": sum, key: record });
    Ok(format!("{whole:#}\n").into_bytes())
}

/// The record, or what is wrong with the file.
pub fn decode<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, String> {
    let whole: Value = serde_json::from_slice(bytes).map_err(|e| format!("is torn: {e}"))?;
    let record = whole.get(key).ok_or("has no record")?;
    let sum = whole.get("crc32").and_then(Value::as_str).unwrap_or("none");
    let found = format!("{:08x}", crc32fast::hash(record.to_string().as_bytes()));
    if sum != found {
        return Err(format!("has checksum {found}, expected {sum}"));
    }
    T::deserialize(record).map_err(|e| format!("cannot be understood: {e}"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use reeve_core::NodeRecord;

    #[test]
    fn a_record_reads_back_and_an_edit_shows() {
        let mut record = NodeRecord::default();
        record.stopped.insert("web/2".parse().unwrap(), "by alice".to_owned());
        record.next_operation = 7;
        let text = String::from_utf8(encode("node", &record).unwrap()).unwrap();
        assert_eq!(decode("node", text.as_bytes()), Ok(record));
        let wrong = |text: &[u8]| decode::<NodeRecord>("node", text).unwrap_err();
        assert!(wrong(text.replace("alice", "mallory").as_bytes()).contains("checksum"));
        assert!(wrong(&text.as_bytes()[..40]).contains("torn"));
        assert!(wrong(b"{}").contains("no record"));
    }

    #[test]
    fn fields_of_a_newer_version_are_passed_over() {
        let node = json!({ "drained": "moving house", "moon_phase": "full" });
        let sum = format!("{:08x}", crc32fast::hash(node.to_string().as_bytes()));
        let whole = json!({ "version": 9, "crc32": sum, "node": node, "more": 1 });
        let record: NodeRecord = decode("node", whole.to_string().as_bytes()).unwrap();
        assert_eq!(record.drained.as_deref(), Some("moving house"));
    }
}
