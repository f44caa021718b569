//! The table of users that a server answers AUTH from by itself.

use std::collections::HashMap;
use std::fmt;

use crate::sasl::{Credentials, Secret};

/// User names and their passwords.
#[derive(Clone, Default)]
pub(super) struct Users(HashMap<String, Secret>);

impl Users {
    pub(super) fn add(&mut self, name: &str, password: Secret) {
        self.0.insert(name.to_owned(), password);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn knows(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Whether these credentials are right. Nobody acts as somebody else. The time that it takes tells neither whether the name is
    /// known nor how long its password is.
    pub(super) fn accept(&self, credentials: &Credentials) -> bool {
        let given = credentials.password().expose();
        // What cannot be right is compared with itself.
        let itself = Secret::new(given);
        let right = self
            .0
            .get(credentials.username())
            .filter(|password| password.expose().len() == given.len());
        let same = right.unwrap_or(&itself).same_as(given);
        let own = credentials
            .authorization_identity()
            .is_none_or(|identity| identity == credentials.username());
        right.is_some() & same & own
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn only_the_right_password_of_a_known_user_for_itself() {
        let mut users = Users::default();
        users.add("tim", Secret::new("right"));
        let ask = |name: &str, password: &str, identity: Option<&str>| {
            let mut credentials = Credentials::new(name, password).unwrap();
            if let Some(identity) = identity {
                credentials = credentials.with_authorization_identity(identity).unwrap();
            }
            users.accept(&credentials)
        };
        assert!(ask("tim", "right", None));
        assert!(ask("tim", "right", Some("tim")));
        assert!(!ask("tim", "right", Some("root")));
        assert!(!ask("tim", "wrong", None));
        assert!(!ask("tim", "righ", None));
        assert!(!ask("Tim", "right", None));
        assert!(!ask("nobody", "right", None));
        assert!(!format!("{users:?}").contains("right"));
    }

    #[test]
    fn a_name_that_is_not_known_takes_no_other_time() {
        let mut users = Users::default();
        users.add("tim", Secret::new("right"));
        // As long as AUTH takes, so that what is done for each octet is seen.
        let password = "x".repeat(9000);
        let ask = |name: &str| {
            let credentials = Credentials::new(name, password.as_str()).unwrap();
            let quickest = (0..200).map(|_| {
                let begun = Instant::now();
                assert!(!users.accept(&credentials));
                begun.elapsed()
            });
            quickest.min().unwrap()
        };
        let (known, unknown) = (ask("tim"), ask("nobody"));
        assert!(
            known * 3 > unknown && unknown * 3 > known,
            "{known:?} {unknown:?}"
        );
    }
}
