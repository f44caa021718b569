//! A SASL mechanism that an application brings along.

use std::fmt;
use std::sync::Arc;

use crate::sasl::{ServerContext, ServerExchange, ServerMechanism, is_mechanism_name};

/// A mechanism of the application's own: its name, and how an exchange of it begins.
#[derive(Clone)]
pub struct OwnMechanism {
    pub(super) name: String,
    pub(super) needs_tls: bool,
    begin: Arc<Begin>,
}

type Begin = dyn Fn(&ServerContext) -> Box<dyn ServerMechanism> + Send + Sync;

impl OwnMechanism {
    /// A mechanism that is offered by this name under TLS; `begin` is called for each exchange. `None` if the name cannot be one: 1 to
    /// 20 capital letters, digits, hyphens and underscores (RFC 4422 section 3.1).
    ///
    /// The context tells it about the connection, and holds no nonce: it brings its own.
    pub fn new(
        name: &str,
        begin: impl Fn(&ServerContext) -> Box<dyn ServerMechanism> + Send + Sync + 'static,
    ) -> Option<Self> {
        is_mechanism_name(name).then(|| Self {
            name: name.to_owned(),
            needs_tls: true,
            begin: Arc::new(begin),
        })
    }

    /// The same, offered in clear too.
    #[must_use]
    pub fn in_clear(mut self) -> Self {
        self.needs_tls = false;
        self
    }

    pub(super) fn begin(&self, context: &ServerContext) -> ServerExchange {
        ServerExchange::begun_by(|| (self.begin)(context))
    }
}

impl fmt::Debug for OwnMechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnMechanism")
            .field("name", &self.name)
            .field("needs_tls", &self.needs_tls)
            .finish_non_exhaustive()
    }
}
