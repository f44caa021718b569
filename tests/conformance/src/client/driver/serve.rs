//! Steps of the server: what it sends, and what it wants of what comes.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Play;
use crate::client::peer::Peer;
use crate::pattern::{Match, Pattern};
use crate::reply::Heard;
use crate::server::{Finish, Said};
use crate::verdict::{Next, Stop, broken};

impl Play<'_> {
    /// Steps of the server.
    pub(super) fn serve(&mut self, word: &str, text: &str) -> Next {
        match word {
            "S" | "s" => {
                let mut octets = self.octets(text)?;
                if word == "S" {
                    octets.extend(b"\r\n");
                }
                self.send(&octets);
                Ok(())
            }
            "drip" => {
                for octet in self.octets(text)? {
                    self.send(&[octet]);
                }
                Ok(())
            }
            "C" => self.expect(text),
            "c" => self.expect_octets(text),
            "D" => self.expect_message(text),
            "harmless" => self.is_harmless(),
            "longest" => {
                let longest = self.data.split(|&b| b == b'\n').map(<[u8]>::len).max();
                let most: usize = text.parse().map_err(|_| broken("no number"))?;
                // The CR is one of them.
                match longest {
                    Some(octets) if octets <= most + 1 => Ok(()),
                    other => Err(broken(format!("the longest line has {other:?} octets"))),
                }
            }
            "decoded" => {
                let decoded = self.decoded()?;
                let pattern = Pattern::read_line(text, &self.names).map_err(broken)?;
                let line = Heard::Line(decoded);
                match pattern.meets(&line).0 {
                    Match::Exactly => Ok(()),
                    _ => Err(broken(format!("wanted {text}, got {line}"))),
                }
            }
            "take" => self.take(text),
            "auth" => self.authenticate(text),
            "tls" => self.handshake(text),
            "goodbye" => {
                self.expect("QUIT")?;
                self.send(b"221 2.0.0 bye\r\n");
                Ok(())
            }
            "sni" => {
                let name = self.wire.server_name();
                if name.as_deref().unwrap_or("none") == text {
                    Ok(())
                } else {
                    Err(broken(format!("it has asked for {name:?}")))
                }
            }
            "close" => {
                self.wire.close(match text {
                    "tcp" => Finish::Tcp,
                    _ => Finish::Both,
                });
                Ok(())
            }
            "accept" => {
                let wanted = text != "none";
                let patience = if wanted {
                    self.target.patience()
                } else {
                    self.target.silence()
                };
                if self.wire.accept(patience) == wanted {
                    self.received.clear();
                    Ok(())
                } else {
                    Err(broken("accept: it did not"))
                }
            }
            "wait" => {
                let milliseconds = text.parse().map_err(|_| broken("wait: no number"))?;
                if self.target.patience() > Duration::ZERO {
                    std::thread::sleep(Duration::from_millis(milliseconds));
                }
                Ok(())
            }
            _ => Err(broken(format!("{word:?} is no step"))),
        }
    }

    pub(super) fn send(&mut self, octets: &[u8]) {
        self.sent += octets.len();
        self.wire.send(octets);
    }

    /// Waits until what came has `enough`, and gives how much of it that is. `None`: no more comes.
    fn fill(
        &mut self,
        patience: Duration,
        enough: impl Fn(&[u8]) -> Option<usize>,
    ) -> Result<usize, Said> {
        let end = Instant::now() + patience;
        loop {
            if let Some(octets) = enough(&self.received) {
                return Ok(octets);
            }
            let left = end.saturating_duration_since(Instant::now());
            match self.wire.receive(left) {
                Said::Octets(octets) => self.received.extend(octets),
                Said::Nothing if Instant::now() < end => {}
                other => return Err(other),
            }
        }
    }

    fn hear(&mut self, patience: Duration) -> Heard {
        let line = self.fill(patience, |received| {
            received.windows(2).position(|pair| pair == b"\r\n")
        });
        match line {
            Ok(len) => {
                self.line = self.received.drain(..len + 2).take(len).collect();
                Heard::Line(self.line.clone())
            }
            Err(_) if !self.received.is_empty() => {
                let part = std::mem::take(&mut self.received);
                Heard::Garbled(format!("{:.200}", part.escape_ascii().to_string()))
            }
            Err(Said::End) => Heard::Close,
            Err(_) => Heard::Nothing,
        }
    }

    pub(super) fn expect(&mut self, text: &str) -> Next {
        let pattern = Pattern::read_line(text, &self.names).map_err(broken)?;
        let patience = if pattern.takes_silence() {
            self.target.silence()
        } else {
            self.target.patience()
        };
        for _ in 0..pattern.count {
            let heard = self.hear(patience);
            match pattern.meets(&heard) {
                (Match::Exactly, false) => {}
                (Match::Exactly, true) if text == "close" => {}
                (Match::Exactly, true) => return Err(Stop::Over),
                _ => return Err(broken(format!("wanted {text}, got {heard}"))),
            }
        }
        Ok(())
    }

    fn expect_octets(&mut self, text: &str) -> Next {
        let wanted = self.octets(text)?;
        let len = wanted.len();
        let enough = |received: &[u8]| (received.len() >= len).then_some(len);
        let _ = self.fill(self.target.patience(), enough);
        let came = self.received.get(..len).unwrap_or(&self.received);
        if came == wanted {
            self.received.drain(..len);
            Ok(())
        } else {
            let same = came.iter().zip(&wanted).take_while(|(a, b)| a == b).count();
            let rest = came.get(same..).unwrap_or_default();
            let rest = rest.escape_ascii().to_string();
            Err(broken(format!(
                "wanted {text:.200}, and from octet {same} on got {rest:.200}"
            )))
        }
    }

    fn expect_message(&mut self, text: &str) -> Next {
        let any = text == "{*}";
        let wanted = if any { Vec::new() } else { self.octets(text)? };
        let end = self.fill(self.target.patience(), |received| {
            if received.starts_with(b".\r\n") {
                return Some(3);
            }
            let place = received.windows(5).position(|five| five == b"\r\n.\r\n");
            place.map(|place| place + 5)
        });
        let len = end.map_err(|_| broken("there is no end of the message"))?;
        self.data = self.received.drain(..len).take(len - 3).collect();
        let lines = self.data.split_inclusive(|&b| b == b'\n');
        let lines = lines.map(|line| line.strip_prefix(b".").unwrap_or(line));
        let message: Vec<u8> = lines.flatten().copied().collect();
        if any || message == wanted {
            Ok(())
        } else {
            let message = message.escape_ascii().to_string();
            Err(broken(format!(
                "wanted the message {text}, got {message:.300}"
            )))
        }
    }

    /// Whether a server that takes a bare CR or LF for the end of a line sees the same message.
    fn is_harmless(&self) -> Next {
        let mut rest = self.data.as_slice();
        while let Some(place) = rest.iter().position(|b| matches!(b, b'\r' | b'\n')) {
            let (line, end) = rest.split_at(place);
            let Some(next) = end.strip_prefix(b"\r\n") else {
                return Err(broken("a line ends in a bare CR or LF"));
            };
            if line == b"." {
                return Err(broken("a line is a lone dot"));
            }
            rest = next;
        }
        Ok(())
    }

    fn decoded(&self) -> Result<Vec<u8>, Stop> {
        let word = self.line.rsplit(|&b| b == b' ').next().unwrap_or_default();
        STANDARD
            .decode(word)
            .map_err(|_| broken("the line ends in no base64"))
    }

    fn take(&mut self, text: &str) -> Next {
        let (name, prefix) = text.split_once(' ').ok_or_else(|| broken("no prefix"))?;
        let decoded = self.decoded()?;
        let decoded = String::from_utf8_lossy(&decoded).into_owned();
        let mut parts = decoded.split(',');
        let value = parts
            .find_map(|part| part.strip_prefix(prefix))
            .ok_or_else(|| broken(format!("there is no {prefix} in it")))?;
        self.names.set(name, value);
        Ok(())
    }

    /// Goes through a mechanism with our own server's side of it, up to the reply to what the client has proven or not.
    fn authenticate(&mut self, text: &str) -> Next {
        let text = self.text(text)?;
        let (user, password) = text.split_once(' ').ok_or_else(|| broken("no password"))?;
        let mut peer = None;
        for _ in 0..8 {
            let Heard::Line(line) = self.hear(self.target.patience()) else {
                return Err(broken("the client does not go on"));
            };
            let peer = match &mut peer {
                Some(peer) => peer,
                None => peer.insert(Peer::begin(&line, self.wire.exporter()).map_err(broken)?),
            };
            let reply = peer.reply(&line, user, password);
            self.send(reply.as_bytes());
            if !reply.starts_with("334") {
                return Ok(());
            }
        }
        Err(broken("there is no end to it"))
    }

    pub(super) fn handshake(&mut self, text: &str) -> Next {
        let text = self.text(text)?;
        let (how, certificate) = text.split_once(' ').unwrap_or((&text, "good"));
        match (self.wire.start_tls(certificate), how) {
            (Ok(()), "up") | (Err(_), "fails") => Ok(()),
            (Ok(()), _) => Err(broken("the handshake succeeded")),
            (Err(why), _) => Err(broken(format!("no handshake: {why}"))),
        }
    }
}
