//! The strings, and how a form or an address carries them

/// What two of the strings would come to if a template or a script reckoned them.
pub const RECKONED: &str = "8641973580247";

/// Breakouts from HTML and attributes; each is told from ours by `qx`.
const MARKUP: [&str; 24] = [
    "\"><script>qx()</script>",
    "'><img src=x onerror=qx()>",
    "' onmouseover='qx()",
    "\" onfocus=\"qx()\" autofocus=\"",
    "</textarea><svg onload=qx()>",
    "</title><script>qx()</script>",
    "--><script>qx()</script>",
    "javascript:qx()",
    "data:text/html,<script>qx()</script>",
    "<!--qx-->",
    "]]><qx>",
    "`qx` onclick=`qx`",
    "&lt;script&gt;qx&lt;/script&gt;",
    "&#x22;&#x3e;<b>qx",
    "%22%3E%3Cscript%3Eqx()%3C/script%3E",
    "<a href=javascript:qx()>",
    "<base href=//qx/>",
    "<meta http-equiv=refresh content=0;url=//qx>",
    "<style>*{background:url(//qx)}</style>",
    "</style><link rel=stylesheet href=//qx>",
    "<form action=//qx><button>",
    "\\\"-qx()-\\\"",
    "';qx();//",
    "\u{ff1c}script\u{ff1e}qx",
];

/// What a template would reckon, and what a question to the database would.
const LANGUAGES: [&str; 38] = [
    "{{7777777*1111111}}qx",
    "${7777777*1111111}qx",
    "#{7777777*1111111}qx",
    "<%= 7777777*1111111 %>qx",
    "{% include \"token.html\" %}qx",
    "{{ frame.csrf }}qx",
    "' OR 1=1--qx",
    "\" OR \"\"=\"qx",
    "\"; DROP TABLE receipt;--qx",
    "'; DELETE FROM receipt_line;--qx",
    "1; UPDATE product SET name='qx'",
    "' UNION SELECT pin FROM employee--qx",
    "1) OR (1=1 --qx",
    "%' OR '%'='qx",
    "_%qx",
    "x'7178'",
    "qx\\';--",
    "/*qx*/",
    "?1 qx",
    ":sku qx",
    "@a $1 qx",
    "'; ATTACH DATABASE 'qx' AS q;--",
    "'||(SELECT load_extension('qx'))||'",
    "'; PRAGMA writable_schema=1;--qx",
    "qx* OR NOT",
    "\"qx",
    "qx NEAR(a b)",
    "name:qx",
    "^qx AND",
    "{a b}:qx",
    "- qx",
    "(((((((((qx",
    "*qx",
    "$(touch qx)",
    "`touch qx`",
    "| touch qx",
    "=HYPERLINK(\"//qx\")",
    "@SUM(1)qx",
];

/// Ends of lines, marks that turn a text around, signs that cannot be seen, ways out of a folder.
const SIGNS: [&str; 22] = [
    "qx\r\nSet-Cookie: qx=1",
    "qx\r\n\r\n<script>qx()</script>",
    "qx\nX-Qx: 1",
    "qx\rX-Qx: 1",
    "data: qx\n\nevent: qx",
    "\u{202e}qx\u{202c}",
    "\u{2066}qx\u{2069}",
    "\u{feff}qx",
    "\u{2028}qx\u{2029}",
    "qx\u{0}",
    "\u{0}",
    "\u{1}\u{1b}[2Jqx\u{7f}",
    "q\u{301}\u{301}\u{301}\u{301}x",
    "\u{1f469}\u{200d}\u{1f52c}qx",
    "\u{fffd}\u{ffff}qx",
    "../../../../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "/etc/passwd\u{0}.css",
    "C:\\qx",
    "file:///etc/passwd",
    "//qx/",
    "\\\\qx\\c",
];

/// Numbers at the edges, and what is nearly a number.
const NUMBERS: [&str; 24] = [
    "-9223372036854775808",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    "92233720368547758.07",
    "9223372036854775807.99",
    "-0",
    "-1",
    "0",
    "-0.01",
    "0.005",
    "1e308",
    "1e-5",
    "NaN",
    "inf",
    "0x10",
    "1_000",
    "1,5",
    "\u{663}",
    "+1",
    "00001",
    " ",
    ".",
];

/// All of them as bytes: texts, long ones, and what is no text.
pub fn all() -> Vec<Vec<u8>> {
    let texts = MARKUP.iter().chain(&LANGUAGES).chain(&SIGNS).chain(&NUMBERS);
    let mut all: Vec<Vec<u8>> = texts.map(|text| text.as_bytes().to_vec()).collect();
    all.push("Aqx".repeat(3_334).into_bytes());
    all.push("\"><b>qx".repeat(1_430).into_bytes());
    all.push("9".repeat(10_000).into_bytes());
    all.push("\u{202e}".repeat(3_334).into_bytes());
    all.push(vec![0xff, 0xfe, b'q', b'x']);
    all.push(vec![0xc0, 0xaf, b'q', b'x']);
    all.push(vec![0xed, 0xa0, 0x80, b'q', b'x']);
    all.push(vec![b'q', b'x', 0xe2, 0x82]);
    all
}

/// Those that are texts of a name's length and hold no control sign: what HQ takes as a name.
pub fn names() -> Vec<String> {
    let texts = all().into_iter().filter_map(|bytes| String::from_utf8(bytes).ok());
    let fits = |text: &String| {
        text.contains("qx") && text.len() < 60 && !text.chars().any(char::is_control)
    };
    texts.filter(fits).collect()
}

/// Bytes as an address or a form carries them, every one in hex.
pub fn encoded(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("%{byte:02X}")).collect()
}

/// The body of a form.
pub fn form(fields: &[(String, Vec<u8>)]) -> Vec<u8> {
    let pairs: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{}={}", encoded(name.as_bytes()), encoded(value)))
        .collect();
    pairs.join("&").into_bytes()
}
