//! The rate–distortion figure: one panel for each field, ratio against NRMSE, a line for each codec.

use crate::compare::Measurement;
use crate::results::codecs_in;
use anyhow::{Result, anyhow};
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};
use std::path::Path;

const PANEL: (u32, u32) = (520, 420);
const COLUMNS: usize = 3;
const FONT: &str = "sans-serif";

/// Peers in muted colours, fieldpress in strong ones.
fn colour(codec: &str) -> RGBColor {
    match codec {
        "SZ3" => RGBColor(148, 148, 148),
        "ZFP" => RGBColor(190, 160, 110),
        "SPERR" => RGBColor(60, 60, 60),
        "fieldpress-0" => RGBColor(120, 180, 230),
        "fieldpress-1-nofm" => RGBColor(40, 110, 190),
        "fieldpress-1" => RGBColor(200, 60, 50),
        _ => RGBColor(235, 140, 40),
    }
}

/// Draws the figure to a PNG.
pub fn plot(path: &Path, all: &[Measurement]) -> Result<()> {
    register_font(FONT, FontStyle::Normal, dejavu::sans::regular())
        .map_err(|_| anyhow!("the built-in font is broken"))?;
    let mut fields: Vec<&str> = Vec::new();
    for m in all {
        if !fields.contains(&m.field.as_str()) {
            fields.push(&m.field);
        }
    }
    let columns = fields.len().clamp(1, COLUMNS);
    let rows = fields.len().div_ceil(columns).max(1);
    let size = (PANEL.0 * columns as u32, PANEL.1 * rows as u32);
    let root = BitMapBackend::new(path, size).into_drawing_area();
    root.fill(&WHITE)?;
    for (area, field) in root.split_evenly((rows, columns)).iter().zip(&fields) {
        let of_field: Vec<&Measurement> = all.iter().filter(|m| m.field == *field).collect();
        panel(area, field, &of_field, &codecs_in(all))?;
    }
    root.present()?;
    Ok(())
}

fn span(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values.fold((f64::INFINITY, 0.0f64), |(low, high), x| (low.min(x), high.max(x)));
    (low / 1.25, high * 1.25)
}

/// `text` at 1, 2 and 5 of each decade, nothing between: neighbouring labels would overlap.
fn round_label(x: f64, text: String) -> String {
    let mantissa = x / 10f64.powf(x.log10().floor());
    if [1.0, 2.0, 5.0, 10.0].iter().any(|round| (mantissa - round).abs() < 1e-6) { text } else { String::new() }
}

fn panel(
    area: &DrawingArea<BitMapBackend<'_>, plotters::coord::Shift>,
    field: &str,
    measurements: &[&Measurement],
    codecs: &[&str],
) -> Result<()> {
    let (left, right) = span(measurements.iter().map(|m| m.nrmse));
    let (bottom, top) = span(measurements.iter().map(|m| m.ratio()));
    let mut chart = ChartBuilder::on(area)
        .caption(field, (FONT, 20))
        .margin(12)
        .x_label_area_size(42)
        .y_label_area_size(58)
        .build_cartesian_2d((left..right).log_scale(), (bottom..top).log_scale())?;
    chart
        .configure_mesh()
        .label_style((FONT, 13))
        .axis_desc_style((FONT, 15))
        .x_desc("NRMSE")
        .y_desc("compression ratio")
        .x_label_formatter(&|x| round_label(*x, format!("{x:.0e}")))
        .y_label_formatter(&|y| round_label(*y, format!("{y:.0}")))
        .bold_line_style(BLACK.mix(0.12))
        .light_line_style(WHITE.mix(0.0))
        .draw()?;
    for codec in codecs {
        let mut line: Vec<(f64, f64)> =
            measurements.iter().filter(|m| m.codec == *codec).map(|m| (m.nrmse, m.ratio())).collect();
        line.sort_by(|a, b| a.0.total_cmp(&b.0));
        let style = colour(codec).stroke_width(2);
        chart
            .draw_series(LineSeries::new(line.iter().copied(), style.filled()).point_size(3))?
            .label(*codec)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .label_font((FONT, 13))
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.2))
        .draw()?;
    Ok(())
}
