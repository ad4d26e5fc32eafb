//! Whom a worker runs as: names resolved before the child is made, since the child may not look anything up.

use super::spawn::Identity;
use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid, getgrouplist, getgroups};
use std::ffi::CString;

/// A user as the worker's environment shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    /// Login name; the uid where there is none.
    pub(super) name: String,
    /// Home folder.
    pub(super) home: String,
    /// Uid.
    pub(super) uid: u32,
    /// Gid.
    pub(super) gid: u32,
    /// What the child must take on; `None`: it is what we are.
    pub(super) identity: Option<Identity>,
}

/// The daemon's own user.
pub(super) fn own() -> Account {
    let (uid, gid) = (geteuid(), getegid());
    let known = User::from_uid(uid).ok().flatten();
    Account {
        name: known.as_ref().map_or_else(|| uid.to_string(), |u| u.name.clone()),
        home: known.map_or_else(|| "/".to_owned(), |u| u.dir.to_string_lossy().into_owned()),
        uid: uid.as_raw(),
        gid: gid.as_raw(),
        identity: None,
    }
}

/// The account of a worker with this `user` and `group`; or why there is none.
pub(super) fn resolve(own: &Account, user: Option<&str>, group: Option<&str>) -> Result<Account, String> {
    let mut account = own.clone();
    let mut groups = None;
    if let Some(name) = user {
        let user = find_user(name)?;
        let login = CString::new(user.name.as_str()).map_err(|_| format!("user {name:?}: no valid name"))?;
        account.uid = user.uid.as_raw();
        account.gid = user.gid.as_raw();
        account.home = user.dir.to_string_lossy().into_owned();
        account.name = user.name;
        groups = Some(
            getgrouplist(&login, user.gid)
                .map_err(|e| format!("user {name:?}: its groups could not be read: {}", e.desc()))?,
        );
    }
    if let Some(name) = group {
        account.gid = find_group(name)?.as_raw();
    }
    if account.uid == own.uid && account.gid == own.gid {
        account.identity = None;
        return Ok(account);
    }
    if !geteuid().is_root() {
        let asked = user.unwrap_or(own.name.as_str());
        return Err(format!(
            "cannot run as user {asked:?}{}: the daemon runs as {:?}, only root can change users",
            group.map(|g| format!(", group {g:?}")).unwrap_or_default(),
            own.name,
        ));
    }
    let groups = match groups {
        Some(groups) => groups,
        None => getgroups().map_err(|e| format!("own groups could not be read: {}", e.desc()))?,
    };
    account.identity =
        Some(Identity { uid: account.uid, gid: account.gid, groups: groups.into_iter().map(Gid::as_raw).collect() });
    Ok(account)
}

fn find_user(name: &str) -> Result<User, String> {
    let found = match name.parse() {
        Ok(uid) => User::from_uid(Uid::from_raw(uid)),
        Err(_) => User::from_name(name),
    };
    match found {
        Ok(Some(user)) => Ok(user),
        Ok(None) => Err(format!("unknown user {name:?}")),
        Err(e) => Err(format!("user {name:?} could not be looked up: {}", e.desc())),
    }
}

fn find_group(name: &str) -> Result<Gid, String> {
    if let Ok(gid) = name.parse() {
        return Ok(Gid::from_raw(gid));
    }
    match Group::from_name(name) {
        Ok(Some(group)) => Ok(group.gid),
        Ok(None) => Err(format!("unknown group {name:?}")),
        Err(e) => Err(format!("group {name:?} could not be looked up: {}", e.desc())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_names_are_named() {
        let own = own();
        let error = resolve(&own, Some("nobody-such"), None).err();
        assert_eq!(error.as_deref(), Some("unknown user \"nobody-such\""));
        let error = resolve(&own, None, Some("nogroup-such")).err();
        assert_eq!(error.as_deref(), Some("unknown group \"nogroup-such\""));
    }

    #[test]
    fn asking_for_ourselves_changes_nothing() {
        let own = own();
        let uid = own.uid.to_string();
        assert_eq!(resolve(&own, None, None).ok().and_then(|a| a.identity), None);
        if User::from_uid(Uid::from_raw(own.uid)).ok().flatten().is_some() {
            let same = resolve(&own, Some(&uid), None);
            assert_eq!(same.map(|a| a.identity), Ok(None));
        }
    }
}
