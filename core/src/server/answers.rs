//! Answers where several are owed: to recipients that came in one go, and to the end of a message in LMTP.

use crate::proto::Reply;
use crate::proto::server::Answer;

/// Said for a question that the application left unanswered, or whose hook failed.
pub(crate) const LOCAL_ERROR: Reply =
    Reply::fixed(451, Some((4, 3, 0)), "Local error in processing");

/// One answer to all, or one for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    All(Answer),
    Each(Vec<Answer>),
}

impl Answers {
    /// All are accepted.
    pub fn accept() -> Self {
        Self(Kind::All(Answer::Accept))
    }

    /// The answer to the question at `index`. One that was forgotten is 451.
    pub(crate) fn at(&self, index: usize) -> Answer {
        match &self.0 {
            Kind::All(answer) => answer.clone(),
            Kind::Each(answers) => answers
                .get(index)
                .cloned()
                .unwrap_or(Answer::Reply(LOCAL_ERROR)),
        }
    }

    /// These answers, with a reply in the place of [`Answer::Accept`].
    pub(crate) fn worded(mut self, reply: &Reply) -> Self {
        let answers = match &mut self.0 {
            Kind::All(answer) => std::slice::from_mut(answer),
            Kind::Each(answers) => answers,
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
        match &self.0 {
            Kind::All(Answer::Reply(reply)) if !reply.is_positive() => Some(reply),
            _ => None,
        }
    }
}

impl From<Answer> for Answers {
    /// The same to all.
    fn from(answer: Answer) -> Self {
        Self(Kind::All(answer))
    }
}

impl From<Reply> for Answers {
    /// The same to all.
    fn from(reply: Reply) -> Self {
        Self(Kind::All(Answer::Reply(reply)))
    }
}

impl FromIterator<Answer> for Answers {
    /// One for each, in order.
    fn from_iter<T: IntoIterator<Item = Answer>>(answers: T) -> Self {
        Self(Kind::Each(answers.into_iter().collect()))
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
    fn the_reply_of_ours_is_well_formed() {
        let again = Reply::new(LOCAL_ERROR.code(), LOCAL_ERROR.text().to_owned()).unwrap();
        let again = again
            .with_enhanced(LOCAL_ERROR.enhanced().unwrap())
            .unwrap();
        assert_eq!(again, LOCAL_ERROR);
    }
}
