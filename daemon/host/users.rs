//! Who a user name is.

use nix::unistd::User;

/// The uid of a name or a number; `None` for nobody named or nobody known.
pub fn uid_of(user: Option<&str>) -> Option<u32> {
    let user = user?;
    match user.parse() {
        Ok(uid) => Some(uid),
        Err(_) => User::from_name(user).ok().flatten().map(|u| u.uid.as_raw()),
    }
}

/// Our own effective uid.
pub fn own_uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}
