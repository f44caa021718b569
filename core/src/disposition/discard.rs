//! Messages that nobody keeps.

use super::Disposition;
use crate::proto::Envelope;
use crate::server::{Answers, Body, LOCAL_ERROR, SessionInfo};

/// Reads every message and forgets it. Each is accepted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Discard;

impl Disposition for Discard {
    async fn take(&self, _: &SessionInfo, _: &Envelope, body: &mut Body<'_>) -> Answers {
        loop {
            match body.chunk().await {
                Ok(Some(_)) => {}
                Ok(None) => return Answers::accept(),
                // Why is said to the client by the server itself.
                Err(_) => return LOCAL_ERROR.into(),
            }
        }
    }
}
