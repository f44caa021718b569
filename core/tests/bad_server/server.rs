//! The bad server: it follows a good session up to some octet, and then does its worst.

use std::path::PathBuf;
use std::time::Duration;

use mailwire::client::Options;
use mailwire::{Error, Outcome};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::Instant;

use crate::session::{Place, Session, options, send};

/// Follows the session up to that place.
pub(crate) async fn follow(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    session: &Session,
    place: Place,
) {
    follow_from(stream, session, 0, place).await;
}

/// Follows the session from a turn up to that place.
pub(crate) async fn follow_from(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    session: &Session,
    first: usize,
    place: Place,
) {
    let turns = session.turns.iter().enumerate();
    for (number, turn) in turns.take(place.turn + 1).skip(first) {
        hear(stream, turn.hears).await;
        let words = turn.words();
        let said = if number == place.turn {
            &words[..place.octets]
        } else {
            &words
        };
        stream.write_all(said.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
    }
}

/// Expects exactly that.
pub(crate) async fn hear(stream: &mut (impl AsyncRead + Unpin), expected: &str) {
    let mut heard = vec![0; expected.len()];
    stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&heard), expected);
}

/// Reads until the client closes, so that one which keeps its descriptor is seen. Gives what it said meanwhile.
pub(crate) async fn see_the_end(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut heard = Vec::new();
    // An error is an end too: a client that closes with something unread resets.
    let _ = stream.read_to_end(&mut heard).await;
    String::from_utf8(heard).unwrap()
}

/// A server on a socket in the file system, where what one side does is at once seen by the other, so that a clock that jumps can
/// be used.
pub(crate) struct Local {
    listener: UnixListener,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Local {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        Self {
            listener: UnixListener::bind(&path).unwrap(),
            path,
            _folder: folder,
        }
    }

    /// A session of the client with a server that does this. Gives its result, and how long it took by the clock that jumps.
    pub(crate) async fn meet(
        &self,
        session: &Session,
        server: impl AsyncFnOnce(UnixStream),
    ) -> (Result<Outcome, Error>, Duration) {
        self.meet_with(options(session), session, server).await
    }

    /// The same with other options.
    pub(crate) async fn meet_with(
        &self,
        mut options: Options,
        session: &Session,
        server: impl AsyncFnOnce(UnixStream),
    ) -> (Result<Outcome, Error>, Duration) {
        options.set_unix_socket(&self.path).unwrap();
        let begun = Instant::now();
        let serving = async {
            let (stream, _) = self.listener.accept().await.unwrap();
            server(stream).await;
        };
        let sending = async {
            let result = send(&options, session.envelope()).await;
            (result, begun.elapsed())
        };
        let (sent, ()) = tokio::join!(sending, serving);
        sent
    }
}
