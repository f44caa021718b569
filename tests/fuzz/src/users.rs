//! The one user whom the targets know, by each proof that there is.

use std::sync::LazyLock;

use mailwire::sasl::{
    ClientContext, ClientExchange, Credentials, Found, Lookup, Mechanism, ScramHash, ScramKeys,
    Secret, Wanted,
};

pub(crate) const NAME: &str = "user";
pub(crate) const PASSWORD: &str = "hunter2";

/// What is kept of the user: with one iteration, for it is not to be kept from anybody.
static KEYS: LazyLock<[Option<ScramKeys>; 2]> = LazyLock::new(|| {
    [ScramHash::Sha256, ScramHash::Sha1].map(|hash| {
        ScramKeys::from_password(hash, &Secret::new(PASSWORD), *b"0123456789abcdef", 1).ok()
    })
});

/// What a look-up finds.
pub(crate) fn find(lookup: &Lookup) -> Found {
    if lookup.username() != NAME {
        return Found::Nobody;
    }
    let keys = |hash| KEYS.iter().flatten().find(|keys| keys.hash() == hash);
    match lookup.wanted() {
        Wanted::Keys(hash) => keys(hash).map_or(Found::Nobody, |keys| Found::Keys(keys.clone())),
        _ => Found::Password(Secret::new(PASSWORD)),
    }
}

/// The user's side of a mechanism.
pub(crate) fn exchange(mechanism: Mechanism, context: &ClientContext) -> Option<ClientExchange> {
    let every = [
        Credentials::new(NAME, PASSWORD).ok(),
        Credentials::with_token(NAME, PASSWORD).ok(),
        Some(Credentials::with_certificate()),
        Credentials::anonymous(NAME).ok(),
    ];
    let fitting = every
        .into_iter()
        .flatten()
        .find(|credentials| mechanism.takes(credentials))?;
    ClientExchange::new(mechanism, &fitting, context).ok()
}
