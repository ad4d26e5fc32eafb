//! `reevectl`: speaks D-Bus only. One file per verb.
