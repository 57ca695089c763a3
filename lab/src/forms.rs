//! Reads the forms of a page, as a plain browser does
//!
//! Only as much HTML as our own templates write. What a page does not offer cannot be sent: so a story told through
//! these forms also proves that every act works without scripts.

/// A form of a page with the fields that it would send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// Where it is sent.
    pub action: String,
    /// Whether its fields are sent as a body; else as the query of its address.
    pub posts: bool,
    /// Names and values, as the page fills them.
    pub fields: Vec<(String, String)>,
    /// Names and values of its buttons; only the pressed one is sent.
    pub buttons: Vec<(String, String)>,
    /// Names and values of what may be ticked and is not.
    pub unticked: Vec<(String, String)>,
}

impl Form {
    /// Fills a field, which must be one that the form has or one that a browser would add.
    pub fn fill(&mut self, name: &str, value: &str) {
        match self.fields.iter_mut().find(|(known, _)| known == name) {
            Some((_, held)) => *held = value.to_owned(),
            None => self.fields.push((name.to_owned(), value.to_owned())),
        }
    }

    /// Whether it has a field of this name.
    pub fn has(&self, name: &str) -> bool {
        self.fields.iter().chain(&self.buttons).any(|(known, _)| known == name)
    }
}

/// All forms of a page in reading order.
pub fn forms(page: &str) -> Vec<Form> {
    let mut found: Vec<Form> = Vec::new();
    let mut open = false;
    for tag in tags(page) {
        match tag.name {
            "form" => {
                open = true;
                found.push(Form {
                    action: tag.value("action"),
                    posts: tag.value("method").eq_ignore_ascii_case("post"),
                    fields: Vec::new(),
                    buttons: Vec::new(),
                    unticked: Vec::new(),
                });
            }
            "/form" => open = false,
            "input" | "button" | "textarea" | "select" if open => {
                if let Some(form) = found.last_mut() {
                    add_control(form, &tag);
                }
            }
            _ => {}
        }
    }
    found
}

/// The text of a page without its tags, blanks folded.
pub fn words(page: &str) -> String {
    let mut text = String::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        text.push_str(&rest[..start]);
        text.push(' ');
        rest = &rest[start..];
        rest = rest.find('>').map_or("", |end| &rest[end + 1..]);
    }
    text.push_str(rest);
    unescaped(&text).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn add_control(form: &mut Form, tag: &Tag) {
    let (name, value) = (tag.value("name"), tag.value("value"));
    let kind = tag.value("type");
    let is_button = tag.name == "button" || kind == "submit";
    let is_unticked = matches!(&*kind, "checkbox" | "radio") && tag.attribute("checked").is_none();
    if name.is_empty() {
        return;
    }
    let kept = if is_button {
        &mut form.buttons
    } else if is_unticked {
        &mut form.unticked
    } else {
        &mut form.fields
    };
    kept.push((name, value));
}

struct Tag<'a> {
    name: &'a str,
    attributes: Vec<(&'a str, &'a str)>,
}

impl Tag<'_> {
    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    fn value(&self, name: &str) -> String {
        self.attribute(name).map(unescaped).unwrap_or_default()
    }
}

fn tags(page: &str) -> Vec<Tag<'_>> {
    let mut found = Vec::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        let (tag, behind) = tag(&rest[start + 1..]);
        found.push(tag);
        rest = behind;
    }
    found
}

/// Reads one tag behind its "<" and gives what follows its ">".
fn tag(text: &str) -> (Tag<'_>, &str) {
    let name_end =
        text.find(|sign: char| sign.is_whitespace() || sign == '>').unwrap_or(text.len());
    let mut tag = Tag { name: &text[..name_end], attributes: Vec::new() };
    let mut rest = text[name_end..].trim_start();
    while !rest.is_empty() && !rest.starts_with('>') {
        let end = rest
            .find(|sign: char| sign.is_whitespace() || sign == '=' || sign == '>')
            .unwrap_or(rest.len());
        let name = &rest[..end];
        let (value, behind) = match rest[end..].trim_start().strip_prefix('=') {
            Some(value) => attribute_value(value.trim_start()),
            None => ("", &rest[end..]),
        };
        tag.attributes.push((name, value));
        rest = behind.trim_start();
    }
    (tag, rest.strip_prefix('>').unwrap_or(rest))
}

fn attribute_value(text: &str) -> (&str, &str) {
    let quote = text.chars().next().filter(|sign| *sign == '"' || *sign == '\'');
    match quote.and_then(|quote| text[1..].split_once(quote)) {
        Some(parts) => parts,
        None => text.split_at(
            text.find(|sign: char| sign.is_whitespace() || sign == '>').unwrap_or(text.len()),
        ),
    }
}

fn unescaped(text: &str) -> String {
    let plain = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#60;", "<"),
        ("&#62;", ">"),
    ];
    let text =
        plain.iter().fold(text.to_owned(), |text, (written, meant)| text.replace(written, meant));
    text.replace("&#38;", "&").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"<h1>Fish &amp; chips</h1><form method=post action="/checkout/scan"><input type="hidden"
        name="request" value="a&quot;b"><input name=code autofocus><input type=checkbox name=gift>
        <button name="act" value="add">Add</button></form><input name="outside"><form action='/pay'></form>"#;

    #[test]
    fn a_form_is_read_with_its_hidden_fields_and_buttons() {
        let found = forms(PAGE);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].action, "/checkout/scan");
        assert_eq!(
            found[0].fields,
            [("request".to_owned(), "a\"b".to_owned()), ("code".to_owned(), String::new())]
        );
        assert!(found[0].posts);
        assert_eq!(found[0].unticked, [("gift".to_owned(), String::new())]);
        assert_eq!(found[0].buttons, [("act".to_owned(), "add".to_owned())]);
        assert_eq!(
            found[1],
            Form {
                action: "/pay".to_owned(),
                posts: false,
                fields: Vec::new(),
                buttons: Vec::new(),
                unticked: Vec::new()
            }
        );
    }

    #[test]
    fn the_words_of_a_page_are_what_a_person_reads() {
        assert_eq!(words(PAGE), "Fish & chips Add");
    }
}
