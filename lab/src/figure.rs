//! One measured figure beside its target

/// Whether a figure keeps its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// It has none, or was not measured here.
    NoTarget,
}

impl Kept {
    /// The word beside the figure.
    const fn as_str(self) -> &'static str {
        match self {
            Kept::Yes => "kept",
            Kept::No => "MISSED",
            Kept::NoTarget => "",
        }
    }
}

/// One measured figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// What was measured.
    pub what: String,
    /// What came out.
    pub measured: String,
    /// What it should be.
    pub target: String,
    /// Whether it is.
    pub kept: Kept,
}

impl Figure {
    /// A figure that should not be above a bound.
    pub fn at_most(what: &str, value: f64, bound: f64, unit: &str) -> Figure {
        Figure::held(what, value, unit, format!("<= {bound}{unit}"), value <= bound)
    }

    /// A figure that should not be below a bound.
    pub fn at_least(what: &str, value: f64, bound: f64, unit: &str) -> Figure {
        Figure::held(what, value, unit, format!(">= {bound}{unit}"), value >= bound)
    }

    /// A figure that stands beside another.
    pub fn beside(what: &str, measured: String) -> Figure {
        Figure { what: what.to_owned(), measured, target: String::new(), kept: Kept::NoTarget }
    }

    /// The figure with tabs between its parts.
    pub fn fields(&self) -> String {
        [&self.what, &self.measured, &self.target, self.mark()].join("\t")
    }

    /// Reads `fields` back.
    pub fn from_fields(line: &str) -> Option<Figure> {
        let [what, measured, target, mark] =
            line.split('\t').map(str::to_owned).collect::<Vec<_>>().try_into().ok()?;
        let kept = [Kept::Yes, Kept::No].into_iter().find(|kept| kept.as_str() == mark);
        Some(Figure { what, measured, target, kept: kept.unwrap_or(Kept::NoTarget) })
    }

    /// The figure as a row of a table in Markdown.
    pub fn row(&self) -> String {
        let Figure { what, measured, target, .. } = self;
        let indent = if what.starts_with(' ') { "&nbsp;&nbsp;" } else { "" };
        format!("| {indent}{} | {measured} | {target} | {} |\n", what.trim(), self.mark())
    }

    fn mark(&self) -> &'static str {
        self.kept.as_str()
    }

    /// The figure as a line of the report.
    pub fn line(&self) -> String {
        let mark = self.mark();
        format!("{:<64} {:>26}  {:<16} {mark}", self.what, self.measured, self.target)
            .trim_end()
            .to_owned()
    }

    fn held(what: &str, value: f64, unit: &str, target: String, holds: bool) -> Figure {
        let kept = if holds { Kept::Yes } else { Kept::No };
        Figure { what: what.to_owned(), measured: format!("{}{unit}", short(value)), target, kept }
    }
}

/// A number with as many digits as it deserves.
pub fn short(value: f64) -> String {
    if value.abs() < 10.0 { format!("{value:.2}") } else { format!("{value:.1}") }
}

/// The middle of some values, 0 of none.
pub fn median(values: &[f64]) -> f64 {
    percentile(values, 50.0)
}

/// The value below which so many per cent lie, 0 of none.
pub fn percentile(values: &[f64], percent: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (percent / 100.0 * (sorted.len().saturating_sub(1)) as f64).round() as usize;
    sorted.get(place).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_says_whether_it_keeps_its_target() {
        assert_eq!(Figure::at_most("a", 1.3, 1.25, "x").kept, Kept::No);
        assert_eq!(Figure::at_least("a", 0.8, 0.75, "x").kept, Kept::Yes);
        assert!(Figure::at_most("a", 1.3, 1.25, "x").line().ends_with("MISSED"));
    }

    #[test]
    fn a_figure_comes_whole_out_of_another_process() {
        for figure in
            [Figure::at_most("  a", 1.3, 1.25, "x"), Figure::beside("b", "7 s".to_owned())]
        {
            assert_eq!(Figure::from_fields(&figure.fields()), Some(figure));
        }
    }

    #[test]
    fn percentiles_take_a_value_that_was_measured() {
        let values = [5.0, 1.0, 3.0, 2.0, 4.0];
        assert_eq!((median(&values), percentile(&values, 99.0), median(&[])), (3.0, 5.0, 0.0));
    }
}
