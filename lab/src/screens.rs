//! Every screen, and what is done before it shows
//!
//! A new screen is one entry of the table: its name, whose page it is, its path, what is done before, what must be there,
//! and on which panels and in which looks it is shown. What is done before stays done for the entries below it.

use crate::browser::{self, Browser, Fault};
use crate::demo::{self, Standing, Tour};
use crate::layout::Seat;
use serde_json::json;
use std::net::SocketAddr;
use tokio::runtime::Runtime;

/// Days of past trade, so that the band has stitches and HQ has sums.
const DAYS: u32 = 3;
/// How long what a screen shows may take to be there.
const THERE_S: u64 = 60;
/// The time in which a page comes to rest: its first event, its fonts, the motion of a new line.
const REST_MS: u64 = 600;

const POS: Seat = Seat::Pos { store: 1, no: 1 };
const BACK_OFFICE: Seat = Seat::BackOffice { store: 1 };

/// One screen in one state.
pub struct Screen {
    /// Its name, unlike any other.
    pub name: &'static str,
    whose: Whose,
    path: &'static str,
    before: &'static [Step],
    /// Holds in the page before it counts as shown; an expression of its script.
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
    /// Goods come in, by their place in the world's list.
    Receive(&'static [usize]),
    /// A form of a page is sent with these fields.
    Send(&'static str, &'static str, &'static [(&'static str, &'static str)]),
    /// The cable of the device is pulled, or plugged in.
    Plug(bool),
    /// A form is sent as above, and the power of the device goes before anybody sees what comes of it.
    SendAndCut(&'static str, &'static str, &'static [(&'static str, &'static str)]),
}

/// A panel: its pixels and how wide it is. A size on screen is physical, so the same pixels on another panel are another
/// screen.
pub struct Panel {
    /// Pixels across.
    pub width_px: u32,
    /// Pixels down.
    pub height_px: u32,
    /// Millimetres across.
    pub width_mm: u32,
}

/// The colours.
#[derive(Clone, Copy)]
pub enum Look {
    /// Light cloth.
    Day,
    /// Dark cloth.
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
const ON_END: &[Panel] = &[KIOSK];
const DAY: &[Look] = &[Look::Day];
const BOTH: &[Look] = &[Look::Day, Look::Night];

/// A screen as most are: of the first checkout, on staff panels, by day and night.
const PLAIN: Screen = Screen {
    name: "",
    whose: Whose::Device(POS),
    path: "/checkout",
    before: &[],
    there: "true",
    panels: STAFF,
    looks: BOTH,
};

/// A screen of the back office.
const OFFICE: Screen = Screen { whose: Whose::Device(BACK_OFFICE), ..PLAIN };

/// A page of the kiosk, on end.
const AT_KIOSK: Screen = Screen { path: "/kiosk", panels: ON_END, ..PLAIN };

/// A store discount that runs from now on; the script that sends it knows the day.
const RUNNING: &[(&str, &str)] = &[("percent", "20"), ("from", ""), ("to", "in 20 days")];
/// The first customer of the demo's world.
const CUSTOMER: &[(&str, &str)] = &[("card", "C4007919")];
const CARD: &[(&str, &str)] = &[("kind", "card"), ("amount", "50")];
const ALL_BY_CARD: &[(&str, &str)] = &[("kind", "card"), ("amount", "")];
const CASH: &[(&str, &str)] = &[("kind", "cash"), ("amount", "800")];
/// An amount for which the demo's card terminal charges, and knows nothing of it afterwards.
const FORGOTTEN: &[(&str, &str)] = &[("kind", "card"), ("amount", "0.03")];
const NOT_PAID: &[(&str, &str)] = &[("answer", "not-paid")];

/// Every screen there is.
pub const SCREENS: &[Screen] = &[
    Screen { name: "sign-on", path: "/signon", ..PLAIN },
    Screen { name: "checkout-empty", before: &[Step::SignOn], ..PLAIN },
    Screen { name: "checkout", before: &[Step::Ring(&[3, 40, 81, 40, 120, 199, 240])], ..PLAIN },
    Screen { name: "checkout-line", path: "/checkout?line=2", ..PLAIN },
    Screen { name: "checkout-customer", path: "/checkout?sheet=customer", ..PLAIN },
    Screen {
        name: "checkout-discount",
        path: "/checkout?sheet=discount",
        before: &[Step::Send("/checkout?sheet=customer", "/checkout/customer", CUSTOMER)],
        ..PLAIN
    },
    Screen { name: "checkout-find", path: "/checkout/find?q=jacket", ..PLAIN },
    Screen { name: "pay", path: "/checkout/pay", ..PLAIN },
    Screen {
        name: "pay-split",
        path: "/checkout/pay",
        before: &[Step::Send("/checkout/pay", "/checkout/pay/tender", CARD)],
        ..PLAIN
    },
    Screen {
        name: "done",
        path: "/checkout/done",
        before: &[Step::Send("/checkout/pay", "/checkout/pay/tender", CASH)],
        ..PLAIN
    },
    Screen {
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
    Screen {
        name: "card-in-doubt",
        path: "/checkout/pay/card",
        before: &[Step::Send("/checkout/pay", "/checkout/pay/tender", FORGOTTEN)],
        ..PLAIN
    },
    Screen {
        name: "in-doubt",
        path: "/checkout/in-doubt",
        before: &[
            Step::Send("/checkout/pay/card", "/checkout/pay/card", NOT_PAID),
            Step::SendAndCut("/checkout/pay", "/checkout/pay/tender", CASH),
        ],
        ..PLAIN
    },
    Screen {
        name: "in-doubt-void",
        path: "/checkout/in-doubt",
        before: &[Step::Send("/checkout/in-doubt", "/checkout/in-doubt/void", &[])],
        ..PLAIN
    },
    Screen { name: "office-sign-on", path: "/signon", ..OFFICE },
    Screen { name: "office-today", path: "/today", before: &[Step::SignOn], ..OFFICE },
    Screen {
        name: "office-offers",
        path: "/offers",
        before: &[Step::Send("/offers?code=1", "/offers/enter", RUNNING)],
        ..OFFICE
    },
    Screen {
        name: "office-receive",
        path: "/stock/receive",
        before: &[Step::Receive(&[12, 88, 130])],
        ..OFFICE
    },
    Screen { name: "office-correct", path: "/stock/correct", ..OFFICE },
    Screen { name: "office-people", path: "/people", ..OFFICE },
    Screen { name: "kiosk-attract", looks: DAY, ..AT_KIOSK },
    Screen { name: "kiosk-departments", path: "/kiosk/browse", ..AT_KIOSK },
    Screen { name: "kiosk-shoes", path: "/kiosk/browse?department=Shoes", ..AT_KIOSK },
    Screen { name: "kiosk-find", path: "/kiosk/find?q=jumper", ..AT_KIOSK },
    Screen { name: "kiosk-product", path: "/kiosk/p/1", ..AT_KIOSK },
    Screen { name: "kiosk-product-larger", path: "/kiosk/p/1?larger=1&lang=de", ..AT_KIOSK },
    Screen { name: "kiosk-food", path: "/kiosk/p/280", ..AT_KIOSK },
    Screen { name: "kiosk-food-larger", path: "/kiosk/p/280?larger=1&lang=de", ..AT_KIOSK },
    Screen { name: "kiosk-still", path: "/kiosk/still", ..AT_KIOSK },
    Screen { name: "kiosk-languages", path: "/kiosk/languages", ..AT_KIOSK },
    Screen { name: "kiosk-not-found", path: "/kiosk/scan?code=4006381333931", ..AT_KIOSK },
    Screen { name: "hq", whose: Whose::Device(Seat::Hq), path: "/", ..PLAIN },
    Screen { name: "hq-store", whose: Whose::Device(Seat::Hq), path: "/fleet/1", ..PLAIN },
    Screen { name: "desk", whose: Whose::Desk, path: "/", panels: EVERY, looks: DAY, ..PLAIN },
];

/// Sends a form as a browser without scripts does: the page is asked for, its form filled and posted.
const SEND: &str = "const [page, action, fields, done] = arguments;
    (async () => {
        const text = await (await fetch(page)).text();
        const forms = new DOMParser().parseFromString(text, 'text/html').querySelectorAll('form');
        const form = [...forms].find(form => form.getAttribute('action') === action);
        if (!form) return `${page} has no form for ${action}`;
        const body = new URLSearchParams(new FormData(form));
        const later = new Date(Date.now() + 20 * 864e5).toISOString().slice(0, 16);
        for (const [name, value] of fields) body.set(name, value === 'in 20 days' ? later : value);
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
    if (look) page.dataset.light = look;
    done(true);";

/// One screen on one panel in one look, at rest in the browser.
pub struct Visit {
    /// The screen.
    pub screen: &'static Screen,
    /// The panel.
    pub panel: &'static Panel,
    /// The look.
    pub look: Look,
}

/// Starts the demo and shows every screen whose name begins so, one after the other.
pub fn visit(
    only: &str,
    mut deed: impl FnMut(&Visit, &Browser) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let driver = browser::driver().ok_or("chromedriver is not here: install chromium-driver")?;
    let runtime = Runtime::new()?;
    let tour = Tour { stores: 2, pos: 2, seed: 1, dir: None, port: 0, days: DAYS };
    let desk = demo::begin(&tour, &runtime)?.stands()?;
    let log = tempfile::NamedTempFile::new()?;
    let browser = Browser::start(&driver, log.path(), CHECKOUT.width_px, CHECKOUT.height_px)?;
    for screen in SCREENS {
        screen.prepare(&desk, &browser)?;
        if !screen.name.starts_with(only) {
            continue;
        }
        for panel in screen.panels {
            for look in screen.looks {
                screen.show(&desk, &browser, panel, *look)?;
                deed(&Visit { screen, panel, look: *look }, &browser)?;
            }
        }
    }
    Ok(())
}

impl Screen {
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
                Step::Ring(places) | Step::Receive(places) => {
                    let (page, action) = match step {
                        Step::Ring(_) => ("/checkout", "/checkout/add"),
                        _ => ("/stock/receive", "/stock/receive/add"),
                    };
                    for place in *places {
                        let goods = &desk.world().variants[*place];
                        send(page, action, &[("code", &goods.gtin.to_string())])?;
                    }
                }
                Step::Send(page, action, fields) => send(page, action, fields)?,
                Step::SendAndCut(page, action, fields) => {
                    send(page, action, fields)?;
                    if let Whose::Device(seat) = self.whose {
                        desk.cut_power(seat)?;
                    }
                }
                Step::Plug(plugged) => {
                    if let Whose::Device(seat) = self.whose {
                        desk.plug(seat, *plugged);
                    }
                }
            }
        }
        Ok(())
    }

    /// Shows it on a panel in a look, and waits until it is at rest.
    fn show(
        &self,
        desk: &Standing,
        browser: &Browser,
        panel: &Panel,
        look: Look,
    ) -> Result<(), Fault> {
        browser.resize(panel.width_px, panel.height_px)?;
        browser.open(&format!("http://{}{}", self.page(desk), self.path))?;
        let mm = format!("{:.4}px", f64::from(panel.width_px) / f64::from(panel.width_mm));
        browser.answer(DRESS, &[json!(mm), json!(look.name())])?;
        let there = THERE.replace("THERE", self.there);
        let limit = [json!(THERE_S * 1_000 / 2), json!(REST_MS)];
        if browser.answer(&there, &limit)? == json!(true) {
            Ok(())
        } else {
            Err(format!("{} does not show {}", self.path, self.there).into())
        }
    }
}

impl Visit {
    /// A name for people and files.
    pub fn name(&self) -> String {
        let look = self.look.name().map_or(String::new(), |look| format!("-{look}"));
        format!("{}-{}x{}{look}", self.screen.name, self.panel.width_px, self.panel.height_px)
    }
}

impl Look {
    /// The name that the style sheets know it by; day has none.
    pub fn name(self) -> Option<&'static str> {
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
    fn every_screen_has_a_name_of_its_own_and_a_panel() {
        let mut names: Vec<&str> = SCREENS.iter().map(|screen| screen.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), SCREENS.len());
        assert!(SCREENS.iter().all(|screen| !screen.panels.is_empty() && !screen.looks.is_empty()));
    }
}
