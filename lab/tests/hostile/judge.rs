//! What must hold of every answer to a hostile string

use crate::strings::RECKONED;
use crate::wire::Answer;

/// What is wrong with an answer to this text; nothing where all is well.
pub fn faults(sent: &[u8], answer: &Answer) -> Vec<String> {
    let mut faults = head_faults(answer);
    let body = answer.text();
    if body.contains(RECKONED) {
        faults.push("what was sent was reckoned".to_owned());
    }
    match answer.kind() {
        "text/html" => {
            faults.extend(tag_faults(&body));
            faults.extend(raw_fault(sent, &body));
        }
        "text/event-stream" => faults.extend(stream_faults(sent, &body)),
        "application/json" => {
            if serde_json::from_str::<serde_json::Value>(&body).is_err() {
                faults.push(format!("no JSON: {body}"));
            }
        }
        "application/x-ndjson" => {
            let broken = body
                .lines()
                .filter(|line| serde_json::from_str::<serde_json::Value>(line).is_err());
            faults.extend(broken.map(|line| format!("no JSON: {line}")));
        }
        "text/plain" | "text/css" | "text/javascript" | "font/woff2" | "image/svg+xml" | "" => {}
        other => faults.push(format!("the answer is {other}")),
    }
    if !body.is_empty() && answer.kind().is_empty() && answer.status != 400 {
        faults.push("the answer does not say what it is".to_owned());
    }
    faults
}

/// Whether a text stands in a page as it was sent, though it holds a sign that means something there.
pub fn raw_fault(sent: &[u8], page: &str) -> Option<String> {
    let sent = std::str::from_utf8(sent).ok()?;
    let means = sent.contains("qx") && sent.contains(['<', '>', '"', '\'', '&']);
    // A text of many lines may come back as one; its first line is enough.
    let line = sent.split(['\r', '\n']).find(|line| line.contains(['<', '>', '"', '\'', '&']))?;
    (means && page.contains(line)).then(|| format!("{line} came back as it was sent"))
}

fn head_faults(answer: &Answer) -> Vec<String> {
    let mut faults = Vec::new();
    if answer.status >= 500 {
        faults.push(format!("status {}: {}", answer.status, answer.text()));
    }
    // What is no HTTP at all is refused before any of our code runs, with an empty answer.
    let is_ours = answer.status != 400 || !answer.body.is_empty();
    if is_ours && answer.header("x-content-type-options") != "nosniff" {
        faults.push("a browser may take the answer for something else".to_owned());
    }
    for (name, value) in &answer.headers {
        if name.contains("qx") || (name == "set-cookie" && value.contains("qx")) {
            faults.push(format!("a header was smuggled in: {name}: {value}"));
        }
        if name == "location" && (!value.starts_with('/') || value.starts_with("//")) {
            faults.push(format!("the way on leads away: {value}"));
        }
    }
    faults
}

/// An event is lines that begin with a known word, and its data is HTML.
fn stream_faults(sent: &[u8], body: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut data = String::new();
    for line in body.split(['\r', '\n']).filter(|line| !line.is_empty()) {
        match line.split_once(':') {
            Some(("data", text)) => data.push_str(text),
            Some(("id" | "", _)) => {}
            _ => faults.push(format!("a line of an event was smuggled in: {line}")),
        }
    }
    faults.extend(tag_faults(&data));
    faults.extend(raw_fault(sent, &data));
    faults
}

/// Elements and attributes that none of our templates writes.
fn tag_faults(page: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        let (tag, behind) = tag(rest);
        rest = behind;
        let name = tag.first().map_or("", |word| word.0);
        let is_bad =
            matches!(name, "base" | "iframe" | "object" | "embed" | "img" | "qx" | "style")
                || (name == "script" && !tag.iter().any(|held| held.0 == "src"));
        if is_bad {
            faults.push(format!("an element was smuggled in: {tag:?}"));
        }
        for (word, value) in &tag[1.min(tag.len())..] {
            let leads = matches!(*word, "href" | "src" | "action" | "formaction");
            if word.starts_with("on")
                || *word == "style"
                || word.contains("qx")
                || word.contains('<')
                || (leads && !(value.starts_with('/') || value.starts_with('#')))
                || (leads && value.starts_with("//"))
            {
                faults.push(format!("an attribute was smuggled in: {word}={value}"));
            }
        }
    }
    faults
}

/// The name and the attributes of the tag that begins here, and what follows it.
fn tag(text: &str) -> (Vec<(&str, &str)>, &str) {
    let mut words = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let end = rest
            .find(|sign: char| sign.is_whitespace() || sign == '=' || sign == '>')
            .unwrap_or(rest.len());
        let word = &rest[..end];
        rest = &rest[end..];
        let mut value = "";
        if let Some(behind) = rest.strip_prefix('=') {
            let quote = behind.chars().next().filter(|sign| matches!(sign, '"' | '\''));
            (value, rest) = match quote.and_then(|quote| behind[1..].split_once(quote)) {
                Some(parts) => parts,
                None => behind.split_at(behind.find([' ', '>']).unwrap_or(behind.len())),
            };
        }
        if !word.is_empty() {
            words.push((word, value));
        }
        match rest.strip_prefix('>') {
            Some(behind) => return (words, behind),
            None if rest.is_empty() => return (words, rest),
            None => {}
        }
    }
}

#[test]
fn what_comes_back_as_it_was_sent_is_caught() {
    let html = |body: &str| Answer {
        status: 200,
        headers: vec![
            ("content-type".into(), "text/html; charset=utf-8".into()),
            ("x-content-type-options".into(), "nosniff".into()),
        ],
        body: body.as_bytes().to_vec(),
    };
    let sent = b"\"><script>qx()</script>";
    let good = html("<script src=\"/a.js\"></script><p>&#34;&#62;&#60;script&#62;qx()</p>");
    assert_eq!(faults(sent, &good), Vec::<String>::new());
    for bad in [
        "<p>\"><script>qx()</script></p>",
        "<input value=\"a\" onfocus=\"qx()\">",
        "<a href=\"javascript:qx()\">a</a>",
        "<a href=\"//qx\">a</a>",
        "<p>8641973580247qx</p>",
    ] {
        assert!(!faults(sent, &html(bad)).is_empty(), "{bad}");
    }
    let mut sniffed = html("<p>a</p>");
    sniffed.headers.pop();
    assert_eq!(faults(sent, &sniffed).len(), 1);
    let mut split = html("<p>a</p>");
    split.headers.push(("x-qx".into(), "1".into()));
    assert_eq!(faults(sent, &split).len(), 1);
}
