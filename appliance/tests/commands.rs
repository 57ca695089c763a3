//! The commands, and sentences for bad settings

use std::path::Path;
use std::process::{Command, Output};

fn appliance(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_appliance")).args(arguments).output().unwrap()
}

fn refusal(command: &str, config: &Path) -> String {
    let output = appliance(&[command, "--config", config.to_str().unwrap()]);
    assert!(!output.status.success(), "{command} should be refused");
    String::from_utf8(output.stderr).unwrap()
}

fn settings(folder: &Path, more: &str) -> std::path::PathBuf {
    let config = folder.join("pos.toml");
    let data = folder.join("data");
    let text = format!(
        "device = \"s0001-p01\"\nrole = \"pos\"\ndata = {data:?}\nadmission = \"nowhere.admission\"\n{more}\n"
    );
    std::fs::write(&config, text).unwrap();
    config
}

#[test]
fn bad_settings_are_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let missing = refusal("run", &folder.path().join("none.toml"));
    assert!(missing.contains("cannot be read") && missing.contains("--config"), "{missing}");
    let unknown = refusal("run", &settings(folder.path(), "colour = 1"));
    assert!(unknown.contains("line 5: unknown field `colour`"), "{unknown}");
    let unadmitted = refusal("run", &settings(folder.path(), ""));
    assert!(
        unadmitted.contains("nowhere.admission") && unadmitted.contains("hq-bridge devices admit"),
        "{unadmitted}"
    );
    assert!(!folder.path().join("data").exists(), "nothing was made");
}

#[test]
fn an_identity_is_made_once_and_says_its_class() {
    let folder = tempfile::tempdir().unwrap();
    let config = settings(folder.path(), "");
    let first = appliance(&["identity", "--config", config.to_str().unwrap()]);
    let again = appliance(&["identity", "--config", config.to_str().unwrap()]);
    assert!(first.status.success());
    let said = String::from_utf8(first.stdout).unwrap();
    assert_eq!(said, String::from_utf8(again.stdout).unwrap());
    assert!(said.starts_with("key ") && said.ends_with("\nclass software-INSECURE\n"), "{said}");
}

#[test]
fn the_manual_is_a_settings_file() {
    let printed = String::from_utf8(appliance(&["settings"]).stdout).unwrap();
    for setting in appliance::settings::SETTINGS {
        assert!(printed.contains(&format!("\n{} = ", setting.name)), "{}", setting.name);
        assert!(printed.contains(setting.meaning), "{}", setting.name);
    }
}
