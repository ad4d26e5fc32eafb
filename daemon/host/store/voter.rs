//! What a node keeps of the fleet: `voter.json`, what it has promised in elections; lost or put back, promises are broken,
//! so both show. And `fleet.json`, the slots it holds.
//!
//! ```text
//! /var/lib/reeve/voter.json      the ballot, replaced whole: written, synced, renamed, the folder synced
//! /var/lib/reeve/voter.seat      its seat, written once: there was a ballot
//! /var/lib/reeve/fleet.json      slots, and the highest term it has heard of; written in the same way
//! ```

use super::disk::Disk;
use super::whole;
use reeve_core::election::{Ballot, NodeName, Seat};
pub use reeve_core::fleet::Found;
use reeve_core::fleet::NodeFile;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const UNREADABLE: &str = "cannot be read";

/// The file.
#[derive(Debug, Clone)]
pub struct VoterFile {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
}

impl VoterFile {
    /// In the state folder.
    pub fn new(folder: &Path, disk: Arc<dyn Disk>) -> Self {
        Self { disk, folder: folder.to_owned() }
    }

    /// Reads it. `fleet` and `node` are those of the configuration: a ballot of others is none of ours.
    pub fn read(&self, fleet: &str, node: &NodeName) -> Found {
        let (path, seat) = (self.path("voter.json"), self.path("voter.seat"));
        let lost = |what: String| {
            let rejoin = "this node does not vote until `reevectl fleet rejoin` has made it a new voter";
            Found::Lost(format!("{}: {what}; {rejoin}", path.display()))
        };
        // Nothing is lost yet: a new file would give away a good one.
        let kept = |what: String| {
            let mend = "this node does not vote until that is mended and reeved restarted";
            Found::Lost(format!("{}: {what}; {mend}", path.display()))
        };
        let seat: Result<Option<Seat>, String> = self.load(&seat, "seat");
        let ballot: Result<Option<Ballot>, String> = self.load(&path, "voter");
        match (ballot, seat) {
            (Ok(None), Ok(None)) => Found::Never,
            (Ok(None), Ok(Some(_)) | Err(_)) => lost("is missing".to_owned()),
            (Err(why), _) if why.starts_with(UNREADABLE) => kept(why),
            (Err(why), _) => lost(why),
            (Ok(Some(ballot)), _) if ballot.fleet != fleet => {
                kept(format!("is of the fleet {:?}, and fleet.name is {fleet:?}", ballot.fleet))
            }
            (Ok(Some(ballot)), _) if ballot.node != *node => {
                kept(format!("is of the node {}, and node.name is {node}", ballot.node))
            }
            (Ok(Some(ballot)), Ok(Some(seat))) if ballot.seat != seat => {
                lost("is not the one that was made here last".to_owned())
            }
            (Ok(Some(ballot)), _) => Found::Ballot(Box::new(ballot)),
        }
    }

    /// Writes it through to the disk: when this is done it outlives a power loss, and when it fails the one before is
    /// still whole. The first one of a seat leaves a mark that there was one.
    ///
    /// # Errors
    /// If any step fails; it names the file.
    pub fn write(&self, ballot: &Ballot) -> Result<(), String> {
        self.replace("voter.json", "voter", ballot)?;
        let marked: Result<Option<Seat>, String> = self.load(&self.path("voter.seat"), "seat");
        if marked != Ok(Some(ballot.seat)) {
            self.replace("voter.seat", "seat", &ballot.seat)?;
        }
        Ok(())
    }

    /// Reads the node's own file. One that is damaged reads as empty: what it held turns suspect in the fleet.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read_node(&self) -> Result<NodeFile, String> {
        let path = self.path("fleet.json");
        let read: Result<Option<NodeFile>, String> = self.load(&path, "fleet");
        read.map(Option::unwrap_or_default).map_err(|why| format!("{}: {why}", path.display()))
    }

    /// Writes the node's own file through to the disk.
    ///
    /// # Errors
    /// If any step fails; it names the file.
    pub fn write_node(&self, file: &NodeFile) -> Result<(), String> {
        self.replace("fleet.json", "fleet", file)
    }

    fn replace(&self, name: &str, key: &str, record: &impl serde::Serialize) -> Result<(), String> {
        let (path, fresh) = (self.path(name), self.path(&format!("{name}.tmp")));
        let bytes = whole::encode(key, record).map_err(|why| format!("cannot write {}: {why}", path.display()))?;
        let steps = || -> io::Result<()> {
            self.disk.write(&fresh, &bytes)?;
            self.disk.sync(&fresh)?;
            self.disk.rename(&fresh, &path)?;
            self.disk.sync_folder(&self.folder)
        };
        steps().map_err(|e| format!("cannot write {}: {e}", path.display()))
    }

    fn load<T: serde::de::DeserializeOwned>(&self, path: &Path, key: &str) -> Result<Option<T>, String> {
        match self.disk.read(path, 0) {
            Ok(bytes) => whole::decode(key, &bytes).map(Some),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(format!("{UNREADABLE}: {e}")),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use super::super::fault::{Fault, FaultDisk, Loss};
    use super::*;
    use reeve_core::election::{Boot, Term};
    use reeve_core::fleet::Document;

    fn name(text: &str) -> NodeName {
        NodeName::new(text).unwrap()
    }

    fn ballot(term: u64) -> Ballot {
        let founding = Document::founding(["n1", "n2", "n3"].map(name));
        let fresh = Ballot::new("lab", name("n1"), Seat(u64::MAX - 5), founding);
        Ballot { term: Term(term), voted_for: Some(name("n2")), boot: Boot(3), ..fresh }
    }

    fn file(disk: &Arc<FaultDisk>) -> VoterFile {
        VoterFile::new(Path::new("/s"), Arc::clone(disk) as Arc<dyn Disk>)
    }

    fn found(disk: &Arc<FaultDisk>) -> Found {
        file(disk).read("lab", &name("n1"))
    }

    fn why(disk: &Arc<FaultDisk>) -> String {
        match found(disk) {
            Found::Lost(why) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn rec_02_a_ballot_reads_back() {
        let disk = FaultDisk::new();
        assert_eq!(found(&disk), Found::Never);
        file(&disk).write(&ballot(7)).unwrap();
        assert_eq!(found(&disk), Found::Ballot(Box::new(ballot(7))));
    }

    #[test]
    fn rec_02_a_voter_that_has_lost_its_file_does_not_vote_and_says_what_to_do() {
        let disk = FaultDisk::new();
        file(&disk).write(&ballot(7)).unwrap();
        assert!(matches!(file(&disk).read("other", &name("n1")), Found::Lost(why) if why.contains("fleet \"lab\"")));
        assert!(matches!(file(&disk).read("lab", &name("n9")), Found::Lost(why) if why.contains("node n1")));
        disk.damage("/s/voter.json", |bytes| bytes.truncate(60));
        assert!(why(&disk).starts_with("/s/voter.json: is torn: "), "{}", why(&disk));
        disk.remove(Path::new("/s/voter.json")).unwrap();
        assert!(why(&disk).contains("is missing; this node does not vote until `reevectl fleet rejoin`"));
        // One of another seat was put in its place.
        let bytes = whole::encode("voter", &Ballot { seat: Seat(1), ..ballot(7) }).unwrap();
        disk.write(Path::new("/s/voter.json"), &bytes).unwrap();
        assert!(why(&disk).contains("is not the one that was made here last"));
    }

    #[test]
    fn rec_02_the_power_may_fail_at_every_step_of_a_write() {
        let mut steps = 0;
        for (names, half) in [(false, false), (false, true), (true, false), (true, true)] {
            for end in 0.. {
                let disk = FaultDisk::new();
                file(&disk).write(&ballot(1)).unwrap();
                disk.end_after(end);
                let written = file(&disk).write(&ballot(2));
                disk.revive();
                disk.lose_power(Loss { names, half });
                match found(&disk) {
                    Found::Ballot(found) if *found == ballot(2) => {}
                    Found::Ballot(found) if *found == ballot(1) => assert!(written.is_err(), "it was acknowledged"),
                    other => panic!("after {end} steps: {other:?}"),
                }
                if written.is_ok() {
                    break;
                }
                steps += 1;
            }
        }
        assert_eq!(steps, 20, "before the first of four steps and in each, four kinds of loss");
    }

    #[test]
    fn rec_02_the_power_may_fail_at_every_step_of_the_first_write() {
        for (names, half) in [(false, false), (false, true), (true, false), (true, true)] {
            for end in 0.. {
                let disk = FaultDisk::new();
                disk.end_after(end);
                let written = file(&disk).write(&ballot(1));
                disk.revive();
                disk.lose_power(Loss { names, half });
                match found(&disk) {
                    Found::Ballot(found) => assert_eq!(*found, ballot(1)),
                    other => assert_eq!((other, written.is_err()), (Found::Never, true)),
                }
                if written.is_ok() {
                    break;
                }
            }
        }
    }

    #[test]
    fn rec_02_a_full_or_failing_disk_is_said_and_the_one_before_stays() {
        for fault in [Fault::Full(0), Fault::ReadOnly, Fault::NoSync] {
            let disk = FaultDisk::new();
            file(&disk).write(&ballot(1)).unwrap();
            disk.set(Some(fault));
            let why = file(&disk).write(&ballot(2)).unwrap_err();
            assert!(why.starts_with("cannot write /s/voter.json: "), "{why}");
            assert_eq!(found(&disk), Found::Ballot(Box::new(ballot(1))), "{fault:?}");
        }
    }
}
