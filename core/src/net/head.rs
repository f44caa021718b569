//! The head of a connection: what is said before that which the connection is for, taken without one octet of what follows.

use std::io;

use tokio::io::AsyncReadExt;
use zeroize::Zeroizing;

use super::socket::Socket;

/// Takes the head that `parse` finds at the beginning of what comes. `parse` is lent all that came so far, and gives the length of the
/// head and what it says, or `None` if more of it is to come. What stands behind the head stays in the socket: octets are looked at
/// before they are taken.
///
/// Fails with [`io::ErrorKind::UnexpectedEof`] if the peer closes before, and with [`io::ErrorKind::InvalidData`] if a head of
/// `most` octets is still not all. Dropping the future leaves the connection in the middle of its head.
pub(super) async fn take_head<T, E: From<io::Error>>(
    socket: &mut Socket,
    most: usize,
    mut parse: impl FnMut(&[u8]) -> Result<Option<(usize, T)>, E>,
) -> Result<T, E> {
    let mut head = Zeroizing::new(vec![0; most]);
    let mut taken = 0;
    while taken < most {
        let seen = socket.peek(&mut head[taken..]).await?;
        if seen == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let come = taken + seen;
        let found = parse(&head[..come])?;
        let end = found.as_ref().map_or(come, |(length, _)| *length);
        // They are there, so this does not wait.
        socket.read_exact(&mut head[taken..end]).await?;
        if let Some((_, said)) = found {
            return Ok(said);
        }
        taken = end;
    }
    Err(io::Error::from(io::ErrorKind::InvalidData).into())
}
