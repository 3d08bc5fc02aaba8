//! What a response was computed from: the pages of the database, and what was asked of it and answered. By this it is known
//! whether the response still stands on a later release.

use std::sync::{Arc, Mutex};

use nearside_protocol::{digest::Digest, limits};

use crate::{bindings::edge::types::Value, pages::reads::ReadSet};

/// One query of a handler, and the digest of the rows it got.
#[derive(Clone, Debug)]
pub struct Question {
    pub query: String,
    pub parameters: Vec<Value>,
    pub rows: Digest,
    /// What it alone read: while that stands, it need not be asked again. Not told apart where it is much.
    pages: ReadSet,
}

#[derive(Clone, Debug, Default)]
pub struct Evidence {
    pub pages: ReadSet,
    /// None when there were too many to ask them again.
    pub questions: Option<Vec<Question>>,
    question_bytes: usize,
}

impl Evidence {
    /// Of a response that asked nothing.
    pub fn none() -> Evidence {
        Evidence { questions: Some(Vec::new()), ..Evidence::default() }
    }

    pub fn of(pages: ReadSet, questions: Option<Vec<Question>>) -> Evidence {
        let mut evidence = Evidence { pages, ..Evidence::none() };
        match questions {
            None => evidence.questions = None,
            Some(questions) => questions.into_iter().for_each(|question| evidence.ask(question)),
        }
        evidence
    }

    /// Adds a question that read these pages.
    pub fn add(&mut self, pages: &ReadSet, mut question: Question) {
        self.pages.join(pages);
        question.pages = match pages {
            ReadSet::Pages(few) if few.len() <= limits::QUESTION_PAGES => pages.clone(),
            _ => ReadSet::TooMany,
        };
        self.ask(question);
    }

    /// What a fragment was computed from, its page was computed from, too.
    pub fn join(&mut self, other: &Evidence) {
        self.pages.join(&other.pages);
        match &other.questions {
            None => (self.questions, self.question_bytes) = (None, 0),
            Some(questions) => questions.iter().for_each(|question| self.ask(question.clone())),
        }
    }

    pub fn bytes(&self) -> usize {
        self.pages.bytes() + self.question_bytes
    }

    fn ask(&mut self, question: Question) {
        let Some(questions) = &mut self.questions else { return };
        self.question_bytes += question.bytes();
        questions.push(question);
        if questions.len() > limits::QUESTIONS || self.question_bytes > limits::QUESTION_BYTES {
            (self.questions, self.question_bytes) = (None, 0);
        }
    }
}

impl Question {
    /// One of which nobody knows what it read.
    pub fn new(query: String, parameters: Vec<Value>, rows: Digest) -> Question {
        Question { query, parameters, rows, pages: ReadSet::TooMany }
    }

    pub fn pages(&self) -> &ReadSet {
        &self.pages
    }

    fn bytes(&self) -> usize {
        let value = |value: &Value| match value {
            Value::Text(text) => text.len(),
            Value::Blob(blob) => blob.len(),
            _ => 0,
        };
        let parameters: usize = self.parameters.iter().map(|parameter| value(parameter) + size_of::<Value>()).sum();
        size_of::<Question>() + self.query.len() + parameters + self.pages.bytes()
    }
}

/// Evidence while it is gathered; the handler's imports and the render share it.
#[derive(Clone)]
pub struct Gathering(Arc<Mutex<Evidence>>);

impl Default for Gathering {
    fn default() -> Gathering {
        Gathering(Arc::new(Mutex::new(Evidence::none())))
    }
}

impl Gathering {
    pub fn with(&self, add: impl FnOnce(&mut Evidence)) {
        add(&mut self.0.lock().expect("BUG: nothing panics while holding evidence"));
    }

    pub fn gathered(&self) -> Evidence {
        self.0.lock().expect("BUG: nothing panics while holding evidence").clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(bytes: usize) -> Question {
        Question::new("q".into(), vec![Value::Text("x".repeat(bytes))], Digest::from_bytes([0; 32]))
    }

    #[test]
    fn too_much_to_ask_again_is_not_kept() {
        let mut evidence = Evidence::none();
        evidence.add(&ReadSet::Pages(vec![3, 1]), question(5));
        assert!(evidence.questions.as_ref().unwrap().len() == 1 && evidence.bytes() > 5);
        let mut page = Evidence::none();
        page.join(&evidence);
        assert_eq!(page.pages, ReadSet::Pages(vec![1, 3]));
        page.add(&ReadSet::TooMany, question(limits::QUESTION_BYTES));
        assert!(page.questions.is_none() && page.pages == ReadSet::TooMany && page.bytes() == 0);
    }
}
