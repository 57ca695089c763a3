//! Which package stands on which, and what it lacks

use lab::sources::Package;

/// Each package, and those of ours that it may stand on. Lab stands on everything.
const STANDS_ON: [(&str, &[&str]); 7] = [
    ("selvedge-domain", &[]),
    ("selvedge-sync", &[]),
    ("selvedge-simulator", &["selvedge-sync"]),
    ("selvedge-transport", &["selvedge-sync"]),
    ("appliance", &["selvedge-domain", "selvedge-sync", "selvedge-transport"]),
    ("hq-bridge", &["selvedge-domain", "selvedge-sync", "selvedge-transport"]),
    (
        "lab",
        &[
            "appliance",
            "hq-bridge",
            "selvedge-domain",
            "selvedge-simulator",
            "selvedge-sync",
            "selvedge-transport",
        ],
    ),
];

/// core-opens-no-socket: the packages that know no network, and what would bring one.
const NO_SOCKET: [&str; 3] = ["selvedge-sync", "selvedge-simulator", "selvedge-domain"];
const SOCKETS: [&str; 10] = [
    "async-std",
    "axum",
    "hyper",
    "mio",
    "reqwest",
    "rumqttc",
    "rumqttd",
    "socket2",
    "tokio",
    "ureq",
];

/// core-throws-no-dice: the packages that draw nothing by chance, and what would let them.
const NO_DICE: [&str; 2] = ["selvedge-sync", "selvedge-domain"];
const DICE: [&str; 7] =
    ["fastrand", "getrandom", "oorandom", "rand", "rand_chacha", "rand_core", "uuid"];

/// domain-knows-no-screen: what draws for people.
const SCREENS: [&str; 5] = ["askama", "axum", "http", "maud", "printpdf"];

/// lab-is-not-shipped: what no shipped package may name.
const NOT_SHIPPED: [&str; 2] = ["lab", "selvedge-simulator"];

fn direction_faults(package: &Package) -> Vec<String> {
    let Some((_, below)) = STANDS_ON.iter().find(|(name, _)| *name == package.name) else {
        return vec![format!("{}: the structure test knows no such package", package.name)];
    };
    let ours = |name: &String| STANDS_ON.iter().any(|(ours, _)| ours == name);
    let named = package.crates("dependencies").into_iter().filter(ours);
    named
        .filter(|name| !below.contains(&name.as_str()))
        .map(|name| format!("{} must not stand on {name}", package.name))
        .collect()
}

fn absence_faults(package: &Package, of: &[&str], absent: &[&str]) -> Vec<String> {
    if !of.contains(&package.name.as_str()) {
        return Vec::new();
    }
    let named =
        package.crates("dependencies").into_iter().chain(package.crates("build-dependencies"));
    named
        .filter(|name| absent.contains(&name.as_str()))
        .map(|name| format!("{} must do without {name}", package.name))
        .collect()
}

fn shipping_faults(package: &Package) -> Vec<String> {
    if NOT_SHIPPED.contains(&package.name.as_str()) {
        return Vec::new();
    }
    absence_faults(package, &[&package.name], &NOT_SHIPPED)
}

/// no-second-door: the session extension would be a capture beside the hook.
fn workspace_faults(manifest: &str) -> Vec<String> {
    let line = manifest.lines().find(|line| line.starts_with("rusqlite"));
    let second = line.is_some_and(|line| line.contains("\"session\""));
    if second { vec!["rusqlite is built with its session extension".into()] } else { Vec::new() }
}

#[test]
fn packages_stand_on_those_below_them() {
    crate::none(crate::all_packages().iter().flat_map(direction_faults).collect());
}

#[test]
fn core_opens_no_socket() {
    let packages = crate::all_packages();
    crate::none(packages.iter().flat_map(|p| absence_faults(p, &NO_SOCKET, &SOCKETS)).collect());
}

#[test]
fn core_throws_no_dice() {
    let packages = crate::all_packages();
    crate::none(packages.iter().flat_map(|p| absence_faults(p, &NO_DICE, &DICE)).collect());
}

#[test]
fn domain_knows_no_screen() {
    let packages = crate::all_packages();
    crate::none(
        packages.iter().flat_map(|p| absence_faults(p, &["selvedge-domain"], &SCREENS)).collect(),
    );
}

#[test]
fn lab_is_not_shipped() {
    crate::none(crate::all_packages().iter().flat_map(shipping_faults).collect());
}

#[test]
fn no_second_door() {
    let manifest = std::fs::read_to_string(crate::root().join("Cargo.toml"))
        .expect("the manifest can be read");
    crate::none(workspace_faults(&manifest));
}

#[cfg(test)]
fn sample(name: &str, dependency: &str) -> Package {
    let text =
        format!("[package]\nname = \"{name}\"\n[dependencies]\n{dependency}.workspace = true\n");
    Package::parse(name, &text).expect("a package")
}

#[test]
fn a_package_that_stands_on_a_higher_one_is_caught() {
    assert_eq!(direction_faults(&sample("selvedge-sync", "selvedge-domain")).len(), 1);
    assert_eq!(direction_faults(&sample("selvedge-domain", "selvedge-sync")).len(), 1);
    assert_eq!(direction_faults(&sample("appliance", "hq-bridge")).len(), 1);
    assert_eq!(direction_faults(&sample("appliance", "selvedge-transport")).len(), 0);
    assert_eq!(direction_faults(&sample("newcomer", "serde")).len(), 1);
}

#[test]
fn a_socket_dice_or_a_screen_in_the_core_is_caught() {
    assert_eq!(absence_faults(&sample("selvedge-sync", "tokio"), &NO_SOCKET, &SOCKETS).len(), 1);
    assert_eq!(absence_faults(&sample("appliance", "tokio"), &NO_SOCKET, &SOCKETS).len(), 0);
    assert_eq!(absence_faults(&sample("selvedge-domain", "rand"), &NO_DICE, &DICE).len(), 1);
    assert_eq!(absence_faults(&sample("selvedge-simulator", "rand"), &NO_DICE, &DICE).len(), 0);
    assert_eq!(
        absence_faults(&sample("selvedge-domain", "askama"), &["selvedge-domain"], &SCREENS).len(),
        1
    );
}

#[test]
fn a_shipped_package_that_names_lab_is_caught() {
    assert_eq!(shipping_faults(&sample("appliance", "lab")).len(), 1);
    assert_eq!(shipping_faults(&sample("hq-bridge", "selvedge-simulator")).len(), 1);
    assert_eq!(shipping_faults(&sample("lab", "selvedge-simulator")).len(), 0);
}

#[test]
fn the_session_extension_is_caught() {
    assert_eq!(workspace_faults("rusqlite = { features = [\"bundled\", \"session\"] }\n").len(), 1);
    assert_eq!(workspace_faults("rusqlite = { features = [\"bundled\", \"hooks\"] }\n").len(), 0);
}
