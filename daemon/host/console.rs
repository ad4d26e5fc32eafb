//! The terminal a command runs on, and who runs it.

/// Columns and rows of the terminal behind standard output; `None` when there is none.
pub fn size() -> Option<(u16, u16)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes one `winsize` to the address given, which is ours for the call.
    let rc = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &mut size) };
    (rc == 0 && size.ws_col > 0).then_some((size.ws_col, size.ws_row))
}

/// Whether the caller is uid 0, whom polkit never asks for a password.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}
