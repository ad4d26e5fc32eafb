//! How a group of families is written down.

/// Statics and their `TABLE` from one list: each family stands there once, and its help is its documentation.
macro_rules! families {
    ($($id:ident = $kind:ident($name:literal, $unit:literal, $help:literal, $source:literal)
        $(.$step:ident($($argument:expr),*))*;)*) => {
        $(
            #[doc = concat!("`", $name, "`: ", $help)]
            pub static $id: Family = Family::$kind($name, $unit, $help, $source)$(.$step($($argument),*))*;
        )*

        /// This group, in the order of the manual page.
        pub(super) static TABLE: &[&Family] = &[$(&$id),*];
    };
}

pub(super) use families;
