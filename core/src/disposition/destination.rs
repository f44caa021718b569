//! A disposition that is named by a text, for configuration files and for languages without these types.

use super::{Discard, Disposition, Folder, Maildir, Relay};
use crate::client::Options;
use crate::error::Error;
use crate::proto::Envelope;
use crate::server::{Answers, Body, SessionInfo};

/// One of the dispositions of this library, as a text says: `maildir:/path`, `folder:/path`, `discard`, or `relay:` and the URL of
/// a server, as `relay:smtp://mail.example.org:25` or `relay:lmtp+unix:///run/lmtp`.
///
/// Behind the path of a Maildir or folder `?delivered_to=true` has the recipients written down, as
/// [`Maildir::set_delivered_to`] says. A path with a question mark is for [`Maildir::create`] and [`Folder::create`] alone.
#[derive(Debug)]
#[non_exhaustive]
pub enum Destination {
    /// `maildir:/path`, or `maildir:/path?delivered_to=true`.
    Maildir(Maildir),
    /// `folder:/path`, or `folder:/path?delivered_to=true`.
    Folder(Folder),
    /// `discard`.
    Discard(Discard),
    /// `relay:smtp://host:port`, or any other URL of [`Options::from_url`].
    Relay(Box<Relay>),
}

impl Destination {
    /// What the text names. Folders that are not there are made; nothing is connected. An error begins with `disposition` and never
    /// repeats a password.
    ///
    /// ```
    /// use mailwire::disposition::{Destination, Disposition};
    ///
    /// assert!(Destination::open("relay:smtp://mail.example.org")?.relays());
    /// let error = Destination::open("mbox:/var/mail/tim").unwrap_err();
    /// assert!(error.message().starts_with("disposition: "));
    /// # Ok::<(), mailwire::Error>(())
    /// ```
    pub fn open(text: &str) -> Result<Self, Error> {
        let named = |error: Error| error.with_context("disposition");
        let (kind, rest) = match text.split_once(':') {
            Some((kind, rest)) => (kind, Some(rest)),
            None => (text, None),
        };
        Ok(match (kind, rest) {
            ("maildir", Some(rest)) => {
                let (path, delivered_to) = path_of(rest)?;
                let mut maildir = Maildir::create(path).map_err(named)?;
                maildir.set_delivered_to(delivered_to);
                Self::Maildir(maildir)
            }
            ("folder", Some(rest)) => {
                let (path, delivered_to) = path_of(rest)?;
                let mut folder = Folder::create(path).map_err(named)?;
                folder.set_delivered_to(delivered_to);
                Self::Folder(folder)
            }
            ("discard", None) => Self::Discard(Discard),
            ("relay", Some(url)) => {
                let relay = Options::from_url(url).and_then(Relay::new);
                Self::Relay(Box::new(relay.map_err(named)?))
            }
            _ => {
                return Err(Error::invalid(
                    "disposition: the form is maildir:/path, folder:/path, discard or relay:smtp://host:port",
                ));
            }
        })
    }

    /// The same for another runtime, where connections are not shared.
    pub(crate) fn anew(&self) -> Result<Self, Error> {
        Ok(match self {
            Self::Maildir(maildir) => Self::Maildir(maildir.clone()),
            Self::Folder(folder) => Self::Folder(folder.clone()),
            Self::Discard(discard) => Self::Discard(*discard),
            Self::Relay(relay) => Self::Relay(Box::new(relay.anew()?)),
        })
    }
}

/// A path, and whether the recipients are to be written down.
fn path_of(text: &str) -> Result<(&str, bool), Error> {
    match text.split_once('?') {
        None => Ok((text, false)),
        Some((path, "delivered_to=false")) => Ok((path, false)),
        Some((path, "delivered_to=true")) => Ok((path, true)),
        Some(_) => Err(Error::invalid(
            "disposition: behind the question mark of a path stands delivered_to=true or delivered_to=false",
        )),
    }
}

impl Disposition for Destination {
    async fn take(&self, info: &SessionInfo, envelope: &Envelope, body: &mut Body<'_>) -> Answers {
        match self {
            Self::Maildir(maildir) => maildir.take(info, envelope, body).await,
            Self::Folder(folder) => folder.take(info, envelope, body).await,
            Self::Discard(discard) => discard.take(info, envelope, body).await,
            Self::Relay(relay) => relay.take(info, envelope, body).await,
        }
    }

    fn relays(&self) -> bool {
        match self {
            Self::Maildir(_) | Self::Folder(_) | Self::Discard(_) => false,
            Self::Relay(relay) => relay.relays(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_disposition_is_an_error_that_says_so() {
        for text in [
            "",
            "maildir",
            "maildir:",
            "discard:",
            "discard ",
            "Discard",
            "relay",
            "relay:",
            "relay:mail.example.org",
            "relay:http://mail.example.org",
            "relay:smtp://user:hunter2@h:x",
            "mbox:/x",
            "maildir:/tmp/a\nb",
            "maildir:?delivered_to=true",
            "maildir:/tmp/a?",
            "folder:/tmp/a?delivered_to",
            "folder:/tmp/a?delivered_to=yes",
            "folder:/tmp/a?delivered_to=true?",
        ] {
            let error = Destination::open(text).expect_err(text);
            assert!(error.message().starts_with("disposition: "), "{error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn what_relays_says_so() {
        for (text, relays) in [
            ("discard", false),
            ("relay:lmtp+unix:///run/lmtp", true),
            ("relay:smtp://mail.example.org:25", true),
        ] {
            let destination = Destination::open(text).unwrap();
            assert_eq!(destination.relays(), relays, "{text}");
            assert_eq!(destination.anew().unwrap().relays(), relays, "{text}");
        }
    }
}
