//! A cashier without a browser: signs on, sells, pays
//!
//! Every act goes through a form that the page offers. An answer that never came is sent for again with the same
//! request id, so it cannot become a second sale; a receipt counts as promised only when the page has shown its number.

use crate::forms::{Form, forms, words};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

/// How long one answer may take.
const ANSWER_S: u64 = 20;

/// Where the form is that prints a receipt which nobody has seen.
const PRINT: &str = "/checkout/in-doubt/print";

/// Where a person says whether a card was charged.
const CARD: &str = "/checkout/pay/card";

/// Where a card terminal is waited for.
const WAIT: &str = "/checkout/pay/card?wait=1";

/// One pair of hands at one pos.
pub struct Hands {
    page: SocketAddr,
    badge: String,
    pin: String,
    agent: ureq::Agent,
    /// The numbers of all receipts that the page has shown.
    pub promised: BTreeSet<String>,
    /// Sales of which no answer came, and which the pos may or may not have.
    pub in_doubt: u64,
}

/// Why an act at a pos came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum HandsError {
    /// Nobody answered.
    #[error("{page} gave no answer to {path}: {cause}")]
    NoAnswer {
        /// Whose page.
        page: SocketAddr,
        /// What was asked.
        path: String,
        /// What the system said.
        cause: Box<ureq::Error>,
    },
    /// The page refused.
    #[error("{page} refused {path} with {status}: {said}")]
    Refused {
        /// Whose page.
        page: SocketAddr,
        /// What was asked.
        path: String,
        /// How.
        status: u16,
        /// In its words.
        said: String,
    },
    /// A page without the form that the story needs.
    #[error("the page {path} of {page} has no form for {action}. It says: {said}")]
    NoForm {
        /// Whose page.
        page: SocketAddr,
        /// Which.
        path: String,
        /// What was looked for.
        action: String,
        /// What is there.
        said: String,
    },
}

/// A page as it was answered.
struct Page {
    path: String,
    text: String,
}

impl Hands {
    /// Hands at the pos of this page, of the person with this badge.
    pub fn at(page: SocketAddr, badge: &str, pin: &str) -> Hands {
        let settings = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(ANSWER_S)))
            .http_status_as_error(false);
        Hands {
            page,
            badge: badge.to_owned(),
            pin: pin.to_owned(),
            agent: settings.build().new_agent(),
            promised: BTreeSet::new(),
            in_doubt: 0,
        }
    }

    /// Signs on.
    pub fn sign_on(&self) -> Result<(), HandsError> {
        let page = self.get("/signon")?;
        let form = self.form(&page, "/signon")?;
        let answer = self.post(form, &[("badge", &self.badge), ("pin", &self.pin)])?;
        let asks = [PRINT, CARD].iter().any(|action| self.form(&answer, action).is_ok());
        if asks || answer.text.contains(WAIT) {
            return Ok(());
        }
        // A refusal that came with status 200 would show the same form again.
        self.form(&answer, "/checkout/add").map(|_| ())
    }

    /// Rings up codes and takes a card for all that is due. Gives the receipt number on the done screen.
    pub fn sell(&mut self, codes: &[u64]) -> Result<String, HandsError> {
        let mut page = self.get("/checkout")?;
        for code in codes {
            let form = self.form(&page, "/checkout/add")?;
            page = self.post(form, &[("code", &code.to_string())])?;
        }
        self.pay(&page)
    }

    /// Pays what lies in the basket, which may be left over from before a power cut. Nothing when it is empty.
    /// A receipt that nobody has seen is printed; it is the sale of before. A payment that the terminal knows nothing of
    /// was none: the lab's terminal forgets nothing.
    pub fn finish(&mut self) -> Result<Option<String>, HandsError> {
        let page = self.get("/checkout")?;
        let mut page = self.waited(page)?;
        if let Ok(form) = self.form(&page, CARD) {
            self.post(form, &[("answer", "not-paid")])?;
            page = self.get("/checkout")?;
        }
        if let Ok(form) = self.form(&page, PRINT) {
            let done = self.post(form, &[])?;
            return self.note_number(done).map(Some);
        }
        match self.form(&page, "/checkout/pay") {
            Ok(form) => {
                let answer = self.post(form, &[])?;
                self.tender(&answer).map(Some)
            }
            Err(_) => Ok(None),
        }
    }

    fn pay(&mut self, basket: &Page) -> Result<String, HandsError> {
        let form = self.form(basket, "/checkout/pay")?;
        let page = self.post(form, &[])?;
        self.tender(&page)
    }

    fn tender(&mut self, page: &Page) -> Result<String, HandsError> {
        let (form, fields): (_, &[(&str, &str)]) = match self.form(page, "/checkout/pay/finish") {
            Ok(form) => (form, &[]),
            Err(_) => {
                (self.form(page, "/checkout/pay/tender")?, &[("kind", "card"), ("amount", "")])
            }
        };
        match self.post(form, fields) {
            Ok(done) => self.note_number(done),
            Err(error) => {
                if matches!(error, HandsError::NoAnswer { .. }) {
                    self.in_doubt += 1;
                }
                Err(error)
            }
        }
    }

    /// The page that follows when the card terminal, which takes its time, has answered.
    fn waited(&self, mut page: Page) -> Result<Page, HandsError> {
        while page.text.contains(WAIT) {
            page = self.get(WAIT)?;
        }
        Ok(page)
    }

    fn note_number(&mut self, done: Page) -> Result<String, HandsError> {
        let done = self.waited(done)?;
        let number = text_of_id(&done.text, "number");
        let missing = || HandsError::NoForm {
            page: self.page,
            path: done.path.clone(),
            action: "a receipt number".to_owned(),
            said: words(&done.text),
        };
        let number = number.ok_or_else(missing)?;
        self.promised.insert(number.clone());
        Ok(number)
    }

    fn form(&self, page: &Page, action: &str) -> Result<Form, HandsError> {
        let found = forms(&page.text).into_iter().find(|form| form.action == action);
        found.ok_or_else(|| HandsError::NoForm {
            page: self.page,
            path: page.path.clone(),
            action: action.to_owned(),
            said: words(&page.text),
        })
    }

    fn get(&self, path: &str) -> Result<Page, HandsError> {
        let answer = self.agent.get(format!("http://{}{path}", self.page)).call();
        self.taken(path, answer)
    }

    fn post(&self, mut form: Form, filled: &[(&str, &str)]) -> Result<Page, HandsError> {
        for (name, value) in filled {
            form.fill(name, value);
        }
        let url = format!("http://{}{}", self.page, form.action);
        let fields = || form.fields.iter().map(|(name, value)| (&**name, &**value));
        let answer = self.agent.post(&url).send_form(fields());
        let answer = match answer {
            // "Not now": the same form again, with its request id, means the same act.
            Ok(answer) if answer.status() == 503 => self.agent.post(&url).send_form(fields()),
            answer => answer,
        };
        self.taken(&form.action, answer)
    }

    fn taken(
        &self,
        path: &str,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Page, HandsError> {
        let lost = |cause| HandsError::NoAnswer {
            page: self.page,
            path: path.to_owned(),
            cause: Box::new(cause),
        };
        let mut answer = answer.map_err(lost)?;
        let status = answer.status().as_u16();
        let text = answer.body_mut().read_to_string().map_err(lost)?;
        if status >= 400 {
            return Err(HandsError::Refused {
                page: self.page,
                path: path.to_owned(),
                status,
                said: words(&text),
            });
        }
        Ok(Page { path: path.to_owned(), text })
    }
}

/// What stands in the element of this id.
fn text_of_id(page: &str, id: &str) -> Option<String> {
    let mark = format!("id=\"{id}\"");
    let behind = &page[page.find(&mark)? + mark.len()..];
    let inner = &behind[behind.find('>')? + 1..];
    let text = inner[..inner.find("</").unwrap_or(inner.len())].trim();
    (!text.is_empty()).then(|| words(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_number_is_read_from_the_element_that_bears_it() {
        let page = "<p>no. <b class=big id=\"number\">T2-000017</b></p>";
        assert_eq!(text_of_id(page, "number").as_deref(), Some("T2-000017"));
        assert_eq!(text_of_id("<p>nothing</p>", "number"), None);
    }

    #[test]
    fn hands_at_a_dead_pos_say_so() {
        let hands = Hands::at("127.0.0.1:9".parse().unwrap(), "1", "2");
        assert!(
            hands
                .sign_on()
                .unwrap_err()
                .to_string()
                .starts_with("127.0.0.1:9 gave no answer to /signon")
        );
    }
}
