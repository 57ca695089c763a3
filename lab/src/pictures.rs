//! Pictures of every screen, taken from the running demo
//!
//! A new screen is one entry of the table: its name, whose page it is, its path, what is done before, what must be there,
//! and on which panels and in which looks it is shown. What is done before stays done for the entries below it.

use crate::browser::{self, Browser, Fault};
use crate::demo::{self, Standing, Tour};
use crate::hands::Hands;
use crate::layout::Seat;
use serde_json::json;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::runtime::Runtime;

/// Sales before the first picture, so that the band has stitches and HQ has sums.
const SALES: usize = 14;
/// How long what a picture shows may take to be there.
const THERE_S: u64 = 60;
/// The time in which a page comes to rest: its first event, its fonts, the motion of a new line.
const REST_MS: u64 = 600;

const POS: Seat = Seat::Pos { store: 1, no: 1 };
const OTHER_POS: Seat = Seat::Pos { store: 1, no: 2 };
const BACK_OFFICE: Seat = Seat::BackOffice { store: 1 };

/// One screen in one state.
struct Picture {
    name: &'static str,
    whose: Whose,
    path: &'static str,
    before: &'static [Step],
    /// Holds in the page before the picture is taken; an expression of its script.
    there: &'static str,
    panels: &'static [Panel],
    looks: &'static [Look],
}

/// Whose page it is.
#[derive(Clone, Copy)]
enum Whose {
    Device(Seat),
    /// The lab's own index page.
    Desk,
}

/// What a person does.
enum Step {
    /// The first person of the store signs on.
    SignOn,
    /// Goods are rung up by their place in the world's list.
    Ring(&'static [usize]),
    /// A form of a page is sent with these fields.
    Send(&'static str, &'static str, &'static [(&'static str, &'static str)]),
    /// The cable of the device is pulled, or plugged in.
    Plug(bool),
}

/// A panel: its pixels and how wide it is. A size on screen is physical, so the same pixels on another panel are another
/// picture.
struct Panel {
    width_px: u32,
    height_px: u32,
    width_mm: u32,
}

/// The colours.
#[derive(Clone, Copy)]
enum Look {
    Day,
    Night,
}

/// 15.6 inches, as most checkouts.
const CHECKOUT: Panel = Panel { width_px: 1_366, height_px: 768, width_mm: 341 };
/// 21.5 inches.
const WIDE: Panel = Panel { width_px: 1_920, height_px: 1_080, width_mm: 476 };
/// A kiosk of 32 inches, on end.
const KIOSK: Panel = Panel { width_px: 1_080, height_px: 1_920, width_mm: 398 };
const STAFF: &[Panel] = &[CHECKOUT, WIDE];
const EVERY: &[Panel] = &[CHECKOUT, WIDE, KIOSK];
const DAY: &[Look] = &[Look::Day];
const BOTH: &[Look] = &[Look::Day, Look::Night];

/// A screen as most are: of the first checkout, on staff panels, by day.
const PLAIN: Picture = Picture {
    name: "",
    whose: Whose::Device(POS),
    path: "/checkout",
    before: &[],
    there: "true",
    panels: STAFF,
    looks: DAY,
};

const CARD: &[(&str, &str)] = &[("kind", "card"), ("amount", "50")];
const ALL_BY_CARD: &[(&str, &str)] = &[("kind", "card"), ("amount", "")];
const CASH: &[(&str, &str)] = &[("kind", "cash"), ("amount", "800")];

/// Every screen there is.
const PICTURES: &[Picture] = &[
    Picture { name: "sign-on", path: "/signon", ..PLAIN },
    Picture { name: "checkout-empty", before: &[Step::SignOn], ..PLAIN },
    Picture { name: "checkout", before: &[Step::Ring(&[3, 40, 81, 40, 120, 199, 240])], ..PLAIN },
    Picture { name: "checkout-line", path: "/checkout?line=2", ..PLAIN },
    Picture { name: "pay", path: "/checkout/pay", ..PLAIN },
    Picture {
        name: "pay-split",
        path: "/checkout/pay",
        before: &[Step::Send("/checkout/pay", "/checkout/pay/tender", CARD)],
        ..PLAIN
    },
    Picture {
        name: "done",
        path: "/checkout/done",
        before: &[Step::Send("/checkout/pay", "/checkout/pay/tender", CASH)],
        ..PLAIN
    },
    Picture {
        name: "checkout-offline",
        before: &[
            Step::Plug(false),
            Step::Ring(&[7, 19]),
            Step::Send("/checkout/pay", "/checkout/pay/tender", ALL_BY_CARD),
            Step::Ring(&[60, 7, 150]),
        ],
        there: "document.getElementById('banner').innerText",
        ..PLAIN
    },
    Picture {
        name: "back-office",
        whose: Whose::Device(BACK_OFFICE),
        path: "/",
        before: &[],
        ..PLAIN
    },
    Picture { name: "hq", whose: Whose::Device(Seat::Hq), path: "/", looks: BOTH, ..PLAIN },
    Picture {
        name: "hq-store",
        whose: Whose::Device(Seat::Hq),
        path: "/fleet/1",
        looks: BOTH,
        ..PLAIN
    },
    Picture { name: "desk", whose: Whose::Desk, path: "/", panels: EVERY, ..PLAIN },
];

/// Sends a form as a browser without scripts does: the page is asked for, its form filled and posted.
const SEND: &str = "const [page, action, fields, done] = arguments;
    (async () => {
        const text = await (await fetch(page)).text();
        const forms = new DOMParser().parseFromString(text, 'text/html').querySelectorAll('form');
        const form = [...forms].find(form => form.getAttribute('action') === action);
        if (!form) return `${page} has no form for ${action}`;
        const body = new URLSearchParams(new FormData(form));
        for (const [name, value] of fields) body.set(name, value);
        const answer = await fetch(action, { method: 'POST', body });
        if (answer.ok) return '';
        const said = new DOMParser().parseFromString(await answer.text(), 'text/html').getElementById('said');
        return `${action} answers ${answer.status}: ${said ? said.textContent : ''}`;
    })().then(done, fault => done(String(fault)));";

/// Waits until the page shows what it should, at rest.
const THERE: &str = "const [limit, rest, done] = arguments, end = Date.now() + limit;
    const there = () => Boolean(THERE);
    (function look() {
        if (there()) document.fonts.ready.then(() => setTimeout(done, rest, true));
        else if (Date.now() > end) done(false);
        else setTimeout(look, 50);
    })();";

const DRESS: &str = "const [mm, look, done] = arguments, page = document.documentElement;
    page.style.setProperty('--mm', mm);
    if (look) page.dataset.look = look; else delete page.dataset.look;
    done(true);";

/// Starts the demo and takes every picture whose name begins so, into a folder.
pub fn take(folder: &Path, only: &str) -> Result<(), Fault> {
    let driver = browser::driver().ok_or("chromedriver is not here: install chromium-driver")?;
    std::fs::create_dir_all(folder)?;
    let runtime = Runtime::new()?;
    let tour = Tour { stores: 2, pos: 2, seed: 1, dir: None, port: 0 };
    let desk = demo::begin(&tour, &runtime)?.stands()?;
    sell(&desk)?;
    let log = tempfile::NamedTempFile::new()?;
    let browser = Browser::start(&driver, log.path(), CHECKOUT.width_px, CHECKOUT.height_px)?;
    for picture in PICTURES {
        picture.prepare(&desk, &browser)?;
        if picture.name.starts_with(only) {
            picture.take(&desk, &browser, folder)?;
        }
    }
    Ok(())
}

/// What was sold before.
fn sell(desk: &Standing) -> Result<(), Fault> {
    let person = desk.world().staff_of(1).next().ok_or("a store has people")?;
    for (seat, sales) in [(POS, SALES), (OTHER_POS, SALES / 2)] {
        let mut hands = Hands::at(desk.page(seat), &person.badge, &person.pin);
        // A pos knows its cashiers a little after it is admitted.
        let knows = || hands.sign_on().is_ok();
        if !crate::process::wait_for(Duration::from_secs(THERE_S), knows) {
            return Err(format!("nobody may sign on at {}", seat.title()).into());
        }
        for goods in desk.world().variants.chunks(3).take(sales) {
            let codes: Vec<u64> = goods.iter().map(|goods| goods.gtin).collect();
            hands.sell(&codes)?;
        }
    }
    Ok(())
}

impl Picture {
    fn page(&self, desk: &Standing) -> SocketAddr {
        match self.whose {
            Whose::Device(seat) => desk.page(seat),
            Whose::Desk => desk.index,
        }
    }

    /// Does what is done before.
    fn prepare(&self, desk: &Standing, browser: &Browser) -> Result<(), Fault> {
        if self.before.is_empty() {
            return Ok(());
        }
        // A form is sent from a page of the same device.
        browser.open(&format!("http://{}/status.txt", self.page(desk)))?;
        let send = |page: &str, action: &str, fields: &[(&str, &str)]| -> Result<(), Fault> {
            let fault = browser.answer(SEND, &[json!(page), json!(action), json!(fields)])?;
            match fault.as_str() {
                Some("") => Ok(()),
                fault => Err(format!("{}: {}", self.name, fault.unwrap_or("no answer")).into()),
            }
        };
        for step in self.before {
            match step {
                Step::SignOn => {
                    let person = desk.world().staff_of(1).next().ok_or("a store has people")?;
                    let fields = [("badge", &*person.badge), ("pin", &*person.pin)];
                    send("/signon", "/signon", &fields)?;
                }
                Step::Ring(places) => {
                    for place in *places {
                        let goods = &desk.world().variants[*place];
                        let code = goods.gtin.to_string();
                        send("/checkout", "/checkout/add", &[("code", &code)])?;
                    }
                }
                Step::Send(page, action, fields) => send(page, action, fields)?,
                Step::Plug(plugged) => {
                    if let Whose::Device(seat) = self.whose {
                        desk.plug(seat, *plugged);
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes it on each panel, in each look.
    fn take(&self, desk: &Standing, browser: &Browser, folder: &Path) -> Result<(), Fault> {
        for panel in self.panels {
            browser.resize(panel.width_px, panel.height_px)?;
            for look in self.looks {
                browser.open(&format!("http://{}{}", self.page(desk), self.path))?;
                let mm = format!("{:.4}px", f64::from(panel.width_px) / f64::from(panel.width_mm));
                browser.answer(DRESS, &[json!(mm), json!(look.name())])?;
                let there = THERE.replace("THERE", self.there);
                let limit = [json!(THERE_S * 1_000 / 2), json!(REST_MS)];
                if browser.answer(&there, &limit)? != json!(true) {
                    return Err(format!("{} does not show {}", self.path, self.there).into());
                }
                let suffix = look.name().map_or(String::new(), |look| format!("-{look}"));
                let file =
                    format!("{}-{}x{}{suffix}.png", self.name, panel.width_px, panel.height_px);
                std::fs::write(folder.join(&file), browser.picture()?)?;
                println!("  {file}");
            }
        }
        Ok(())
    }
}

impl Look {
    /// The name that the style sheets know it by; day has none.
    fn name(self) -> Option<&'static str> {
        match self {
            Look::Day => None,
            Look::Night => Some("night"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_picture_has_a_name_of_its_own_and_a_panel() {
        let mut names: Vec<&str> = PICTURES.iter().map(|picture| picture.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), PICTURES.len());
        assert!(
            PICTURES.iter().all(|picture| !picture.panels.is_empty() && !picture.looks.is_empty())
        );
    }
}
