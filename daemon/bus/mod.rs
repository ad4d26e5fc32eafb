//! D-Bus: the only door to zbus. Serves `org.reeve.Node1`, asks `org.freedesktop.systemd1` and polkit.

pub mod proxy;
pub mod systemd1;
