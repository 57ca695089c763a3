//! Each setting with its name, default and meaning

/// One setting as the manual shows it.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The key in the file.
    pub name: &'static str,
    /// An example, as TOML.
    pub example: &'static str,
    /// What holds without the key; empty when the key is needed.
    pub default: &'static str,
    /// What it does.
    pub meaning: &'static str,
}

const fn setting(
    name: &'static str,
    example: &'static str,
    default: &'static str,
    meaning: &'static str,
) -> Setting {
    Setting { name, example, default, meaning }
}

/// Every key of the file, in the order of the manual.
pub const SETTINGS: &[Setting] = &[
    setting(
        "device",
        "\"s0001-p01\"",
        "",
        "Name of this device, as HQ admitted it. At most 16 of a-z, 0-9 and -.",
    ),
    setting("role", "\"pos\"", "", "What the device is in its store: \"pos\" or \"back-office\"."),
    setting(
        "data",
        "\"/var/lib/selvedge\"",
        "",
        "Folder of the databases and of the key file. Made when it is missing.",
    ),
    setting(
        "admission",
        "\"/etc/selvedge/admission.txt\"",
        "",
        "File that `hq-bridge devices admit` printed for this device.",
    ),
    setting(
        "listen",
        "\"127.0.0.1:8080\"",
        "127.0.0.1:8080",
        "Address where the pages answer. Keep it on loopback.",
    ),
    setting(
        "parent",
        "\"mqtt://127.0.0.1:1883\"",
        "none",
        "Broker of the parent: the back office for a pos, HQ for a back office. Without it the device works alone.",
    ),
    setting(
        "parents",
        "{ s0001-b01 = \"mqtt://127.0.0.1:1883\", hq = \"mqtt://127.0.0.1:7883\" }",
        "none",
        "Instead of parent: brokers of several devices that may be the parent, by device id. HQ signs the order; without it the back office of the store comes before HQ.",
    ),
    setting(
        "acting",
        "false",
        "false",
        "Pos only: whether it may act as back office, with broker_listen. Others turn to it where HQ's signed list names it.",
    ),
    setting(
        "broker_listen",
        "\"127.0.0.1:1883\"",
        "none",
        "Back office only: address of the broker that this program starts for the devices of its store.",
    ),
    setting(
        "external_broker",
        "\"mqtt://127.0.0.1:1883\"",
        "none",
        "Back office only: a broker that is already there, instead of broker_listen.",
    ),
    setting(
        "beat_s",
        "10",
        "10",
        "Seconds between two beats, which prove the whole way to HQ. 1 to 3600.",
    ),
    setting(
        "time_zone",
        "\"Europe/Berlin\"",
        "UTC",
        "Time zone of the clock on screen, by its name in the time zone database.",
    ),
    setting(
        "modes",
        "[\"checkout\", \"kiosk\"]",
        "both",
        "Pos only: which screens it shows. A device of one mode does not answer pages of the other.",
    ),
    setting(
        "languages",
        "[\"en\", \"de\"]",
        "all",
        "Languages of the kiosk; it starts with the first one. Each has a file in appliance/texts/.",
    ),
    setting(
        "light",
        "\"day\"",
        "day",
        "Colours of the screens: \"day\", or \"night\" for a dark store.",
    ),
    setting("panel_width_px", "1366", "1366", "Width of the panel in pixels. 320 to 16000."),
    setting(
        "panel_width_mm",
        "341",
        "341",
        "Width of the panel in millimetres: sizes on screen are physical. 50 to 3000.",
    ),
    setting(
        "lock_after_s",
        "90",
        "90",
        "Seconds without tap or scan until the screen asks for the badge again. 10 to 86400.",
    ),
    setting(
        "space_min_mib",
        "64",
        "64",
        "Free disk space below which no money is taken. 1 to 1000000.",
    ),
    setting(
        "card_terminal",
        "\"by-hand\"",
        "by-hand",
        "Pos only: how cards are charged. \"by-hand\": at a terminal of its own, and the cashier taps when it says paid. \"simulated\": by one that charges nobody, for trying and teaching.",
    ),
    setting(
        "simulated_terminal",
        "\"approves\"",
        "approves",
        "What a simulated terminal does: \"approves\", \"declines\", \"slow\" (approves after 3 s), \"forgets\" (charges, and knows nothing of it) or \"loses-power\" (charges, and is away for 2 s before it can say so). One that approves does the other four for the amounts 0.01, 0.02, 0.03 and 0.04.",
    ),
    setting(
        "fonts",
        "\"/usr/share/selvedge/fonts\"",
        "none",
        "Folder with the two files of Atkinson Hyperlegible Next (latin.woff2, latin-ext.woff2). Without it those that this build carries are used (make fonts), else the system's face.",
    ),
];

/// The manual page of the settings, as a TOML file with comments.
pub fn manual() -> String {
    let mut text = String::new();
    for setting in SETTINGS {
        let default = if setting.default.is_empty() {
            "needed".to_owned()
        } else {
            format!("default {}", setting.default)
        };
        text.push_str(&format!(
            "# {} ({default})\n{} = {}\n\n",
            setting.meaning, setting.name, setting.example
        ));
    }
    text
}
