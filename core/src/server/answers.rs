//! Answers where several are owed: to recipients that came in one go, and to the end of a message in LMTP.

use crate::error::Error;
use crate::proto::Reply;
use crate::proto::server::Answer;

/// Said for a question that the application left unanswered, or whose hook failed.
pub(crate) const LOCAL_ERROR: Reply =
    Reply::fixed(451, Some((4, 3, 0)), "Local error in processing");

/// One answer to all, or one for each; and perhaps the fault that they come of. Two are equal if they say the same to the client.
#[derive(Debug)]
pub struct Answers(Kind);

#[derive(Debug)]
enum Kind {
    Plain(Said),
    /// Boxed, so that answers which come of no fault have no room for one.
    OfFault(Box<(Said, Error)>),
}

/// What the client is told.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    All(Answer),
    Each(Vec<Answer>),
}

impl Answers {
    /// All are accepted.
    pub fn accept() -> Self {
        Answer::Accept.into()
    }

    /// The same, as they come of a fault that is not the client's: of a file that cannot be written, or a server that cannot be
    /// reached. The client is not told of it. Of answers to the end of a message
    /// [`Session::fault`](super::Session::fault) is told, for whoever runs the server. A fault that stands there already makes way.
    #[must_use]
    pub fn with_fault(self, fault: Error) -> Self {
        let said = match self.0 {
            Kind::Plain(said) => said,
            Kind::OfFault(old) => old.0,
        };
        Self(Kind::OfFault(Box::new((said, fault))))
    }

    /// The fault that they come of, if they do.
    pub fn fault(&self) -> Option<&Error> {
        match &self.0 {
            Kind::Plain(_) => None,
            Kind::OfFault(fault) => Some(&fault.1),
        }
    }

    /// What the client is told, and the fault for whoever runs the server.
    pub(crate) fn parted(self) -> (Self, Option<Error>) {
        match self.0 {
            Kind::Plain(_) => (self, None),
            Kind::OfFault(fault) => (Self(Kind::Plain(fault.0)), Some(fault.1)),
        }
    }

    fn said(&self) -> &Said {
        match &self.0 {
            Kind::Plain(said) => said,
            Kind::OfFault(fault) => &fault.0,
        }
    }

    /// The answer to the question at `index`. One that was forgotten is 451.
    pub(crate) fn at(&self, index: usize) -> Answer {
        match self.said() {
            Said::All(answer) => answer.clone(),
            Said::Each(answers) => answers
                .get(index)
                .cloned()
                .unwrap_or(Answer::Reply(LOCAL_ERROR)),
        }
    }

    /// These answers, with a reply in the place of [`Answer::Accept`].
    pub(crate) fn worded(mut self, reply: &Reply) -> Self {
        let said = match &mut self.0 {
            Kind::Plain(said) => said,
            Kind::OfFault(fault) => &mut fault.0,
        };
        let answers = match said {
            Said::All(answer) => std::slice::from_mut(answer),
            Said::Each(answers) => answers,
        };
        for answer in answers
            .iter_mut()
            .filter(|answer| **answer == Answer::Accept)
        {
            *answer = Answer::Reply(reply.clone());
        }
        self
    }

    /// The reply that refuses all alike, if that is what these answers are.
    pub(crate) fn refusal_of_all(&self) -> Option<&Reply> {
        match self.said() {
            Said::All(Answer::Reply(reply)) if !reply.is_positive() => Some(reply),
            _ => None,
        }
    }
}

impl PartialEq for Answers {
    fn eq(&self, other: &Self) -> bool {
        self.said() == other.said()
    }
}

impl Eq for Answers {}

impl From<Answer> for Answers {
    /// The same to all.
    fn from(answer: Answer) -> Self {
        Self(Kind::Plain(Said::All(answer)))
    }
}

impl From<Reply> for Answers {
    /// The same to all.
    fn from(reply: Reply) -> Self {
        Answer::Reply(reply).into()
    }
}

impl FromIterator<Answer> for Answers {
    /// One for each, in order.
    fn from_iter<T: IntoIterator<Item = Answer>>(answers: T) -> Self {
        Self(Kind::Plain(Said::Each(answers.into_iter().collect())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_was_forgotten_is_451() {
        let answers: Answers = [Answer::Accept].into_iter().collect();
        assert_eq!(answers.at(0), Answer::Accept);
        assert_eq!(answers.at(1), Answer::Reply(LOCAL_ERROR));
        assert_eq!(Answers::accept().at(7), Answer::Accept);
    }

    #[test]
    fn a_fault_goes_beside_what_is_said_and_takes_no_room_where_there_is_none() {
        use crate::error::Status;
        assert_eq!(size_of::<Answers>(), size_of::<Answer>());
        let fault = |text| Error::new(Status::Io, text);
        let answers = Answers::from(LOCAL_ERROR).with_fault(fault("old"));
        let answers = answers.with_fault(fault("new"));
        assert_eq!(answers, LOCAL_ERROR.into());
        assert_eq!(answers.refusal_of_all(), Some(&LOCAL_ERROR));
        assert_eq!(answers.fault().unwrap().message(), "new");
        let (answers, fault) = answers.parted();
        assert_eq!(fault.unwrap().message(), "new");
        assert!(answers.at(3) == Answer::Reply(LOCAL_ERROR) && answers.fault().is_none());
    }

    #[test]
    fn the_reply_of_ours_is_well_formed() {
        let again = Reply::new(LOCAL_ERROR.code(), LOCAL_ERROR.text().to_owned()).unwrap();
        let again = again
            .with_enhanced(LOCAL_ERROR.enhanced().unwrap())
            .unwrap();
        assert_eq!(again, LOCAL_ERROR);
    }
}
