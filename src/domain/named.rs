//! Enums whose variants have one name in files, in JSON and for people.

/// Declares such enums: `Name { Variant = "variant", }`, each with its documentation.
macro_rules! named_enums {
    ($( $(#[$doc:meta])* $name:ident { $( $(#[$vdoc:meta])* $variant:ident = $text:literal, )* } )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        pub enum $name { $( $(#[$vdoc])* #[serde(rename = $text)] $variant, )* }

        impl $name {
            /// All of them, in the order of the documentation.
            pub const ALL: &[Self] = &[$( Self::$variant, )*];

            /// Returns the name used in files and output.
            pub fn name(self) -> &'static str {
                match self { $( Self::$variant => $text, )* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }
    )*};
}

pub(crate) use named_enums;

#[cfg(test)]
mod tests {
    use crate::domain::event::Mode;
    use crate::views::status::RunStatus;

    #[test]
    fn a_name_is_the_same_in_json_and_in_words() {
        for (name, json) in RunStatus::ALL
            .iter()
            .map(|status| (status.to_string(), serde_json::to_value(status).unwrap()))
            .chain(Mode::ALL.iter().map(|mode| (mode.to_string(), serde_json::to_value(mode).unwrap())))
        {
            assert_eq!(json, name);
        }
    }
}
