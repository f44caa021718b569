//! Cases, as they are written down: a row's number and what it says, then one conversation or several.
//!
//! ```text
//! S062 The first sender stays when a second MAIL comes
//! to: mail
//! C: MAIL FROM:<other@client.example>
//! S: 503 5.5.1
//! C: RCPT TO:<{rcpt}>
//! S: 250 2.1.5
//! ```
//!
//! A line of `---` begins another conversation of the same case. In front of its steps a conversation may say what it needs:
//!
//! - `with: words` how the server or the client is to be set, see [`server::Setting`](crate::server::Setting) and
//!   [`client::Setting`](crate::client::Setting)
//! - `needs: KEYWORDS` what the server has to offer, `without: KEYWORDS` what it must not; a server of ours is set so
//! - `only: memory`, `only: socket` or `only: own` where it makes sense: `own` is a server whose application is known
//! - `for name: texts` it is run once for each of the texts, which `{name}` then stands for
//!
//! What steps there are depends on the side: see [`server`](crate::server) and [`client`](crate::client). A line that begins with `#` is a remark.

/// A row's case.
#[derive(Debug, Clone)]
pub struct Case {
    /// The row's number.
    pub id: String,
    /// What is looked at.
    pub title: String,
    /// The group of rows that it belongs to: the name of its file.
    pub group: &'static str,
    /// Its conversations.
    pub scripts: Vec<Script>,
}

impl Case {
    /// The same case once for each of its conversations.
    pub fn conversations(&self) -> impl Iterator<Item = Self> {
        self.scripts.iter().map(|script| Self {
            scripts: vec![script.clone()],
            ..self.clone()
        })
    }
}

/// One conversation.
#[derive(Debug, Clone, Default)]
pub struct Script {
    /// How the server is to be set.
    pub with: Vec<String>,
    /// What has to be offered.
    pub needs: Vec<String>,
    /// What must not be offered.
    pub without: Vec<String>,
    /// Where it makes sense.
    pub only: Vec<String>,
    /// A name, and the texts that it stands for in turn.
    pub each: Option<(String, Vec<String>)>,
    /// What is said.
    pub steps: Vec<Step>,
}

impl Script {
    /// The name with each of its texts; nothing, once, where there is none.
    pub fn texts(&self) -> Vec<Option<(&str, &str)>> {
        match &self.each {
            Some((name, texts)) => texts
                .iter()
                .map(|text| Some((name.as_str(), text.as_str())))
                .collect(),
            None => vec![None],
        }
    }
}

/// A line of a conversation.
#[derive(Debug, Clone)]
pub struct Step {
    /// The line in the file, from 1.
    pub line: usize,
    /// The word in front of the colon.
    pub word: String,
    /// What is behind it.
    pub text: String,
}

/// Reads the files of one side, each given by its group and its text. The error says which line of which cannot be read.
pub fn read_all(groups: &[(&'static str, &str)]) -> Result<Vec<Case>, String> {
    let mut cases = Vec::new();
    for (group, text) in groups {
        cases.extend(read(group, text)?);
    }
    Ok(cases)
}

/// Reads a file of cases. The error says which line cannot be read.
fn read(group: &'static str, text: &str) -> Result<Vec<Case>, String> {
    let mut cases: Vec<Case> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let wrong = |what: &str| format!("{group}:{}: {what}: {line:?}", index + 1);
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some((id, title)) = line.split_once(' ')
            && is_id(id)
        {
            cases.push(Case {
                id: id.to_owned(),
                title: title.to_owned(),
                group,
                scripts: vec![Script::default()],
            });
            continue;
        }
        let case = cases
            .last_mut()
            .ok_or_else(|| wrong("a step without a case"))?;
        if line == "---" {
            case.scripts.push(Script::default());
            continue;
        }
        let (word, text) = line
            .split_once(':')
            .ok_or_else(|| wrong("neither a row's number nor a step"))?;
        let text = text.strip_prefix(' ').unwrap_or(text);
        let script = case
            .scripts
            .last_mut()
            .ok_or_else(|| wrong("a step without a conversation"))?;
        let words = || {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        match word {
            "with" => script.with = words(),
            "needs" => script.needs = words(),
            "without" => script.without = words(),
            "only" => script.only = words(),
            _ => {
                if let Some(name) = word.strip_prefix("for ") {
                    script.each = Some((name.to_owned(), words()));
                } else {
                    script.steps.push(Step {
                        line: index + 1,
                        word: word.to_owned(),
                        text: text.to_owned(),
                    });
                }
            }
        }
    }
    for case in &cases {
        if case.scripts.iter().any(|script| script.steps.is_empty()) {
            return Err(format!(
                "{group}: {} has a conversation without steps",
                case.id
            ));
        }
    }
    Ok(cases)
}

/// `S001`, `S118b`, `C042`.
pub fn is_id(word: &str) -> bool {
    let mut octets = word.bytes();
    matches!(octets.next(), Some(b'S' | b'C'))
        && word.len() >= 4
        && word[1..4].bytes().all(|b| b.is_ascii_digit())
        && matches!(&word[4..], "" | "b")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_read_as_written() {
        let text = "# remark\nS001 one\nwith: tls size=5\nfor end: a b\nC: x: y\nS: 250\n---\nc: \\n\n\nS118b two\nC:\n";
        let cases = read("g", text).unwrap();
        assert_eq!(cases.len(), 2);
        let first = &cases[0].scripts[0];
        assert_eq!(first.with, ["tls", "size=5"]);
        assert_eq!(first.each.as_ref().unwrap().1, ["a", "b"]);
        assert_eq!(
            (first.steps[0].word.as_str(), first.steps[0].text.as_str()),
            ("C", "x: y")
        );
        assert_eq!(cases[0].scripts[1].steps[0].line, 8);
        assert_eq!(cases[1].id, "S118b");
    }

    #[test]
    fn what_is_no_case_is_refused() {
        for text in [
            "C: x\n",
            "S001 a\nnonsense\n",
            "S001 a\n",
            "S001 a\nC: x\n---\n",
        ] {
            assert!(read("g", text).is_err(), "{text:?}");
        }
    }
}
