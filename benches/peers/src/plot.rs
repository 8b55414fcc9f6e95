//! The rate–distortion figure: one panel for each field, ratio against NRMSE, a line for each codec.

use crate::compare::Measurement;
use crate::results::codecs_in;
use anyhow::Result;
use fieldpress_figure::{Canvas, FONT, encode_png};
use plotters::prelude::*;
use std::path::Path;

const PANEL: (u32, u32) = (1040, 840);
const COLUMNS: usize = 3;

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
    let mut fields: Vec<&str> = Vec::new();
    for m in all {
        if !fields.contains(&m.field.as_str()) {
            fields.push(&m.field);
        }
    }
    let columns = fields.len().clamp(1, COLUMNS);
    let rows = fields.len().div_ceil(columns).max(1);
    let size = (PANEL.0 * columns as u32, PANEL.1 * rows as u32);
    let mut pixels = vec![0; 3 * size.0 as usize * size.1 as usize];
    let root = Canvas::new(&mut pixels, size).into_drawing_area();
    root.fill(&WHITE)?;
    for (area, field) in root.split_evenly((rows, columns)).iter().zip(&fields) {
        let of_field: Vec<&Measurement> = all.iter().filter(|m| m.field == *field).collect();
        panel(area, field, &of_field, &codecs_in(all))?;
    }
    root.present()?;
    drop(root);
    std::fs::write(path, encode_png(&pixels, size)?)?;
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
    area: &DrawingArea<Canvas<'_>, plotters::coord::Shift>,
    field: &str,
    measurements: &[&Measurement],
    codecs: &[&str],
) -> Result<()> {
    let (left, right) = span(measurements.iter().map(|m| m.nrmse));
    let (bottom, top) = span(measurements.iter().map(|m| m.ratio()));
    let mut chart = ChartBuilder::on(area)
        .caption(field, (FONT, 42))
        .margin(24)
        .x_label_area_size(96)
        .y_label_area_size(130)
        .build_cartesian_2d((left..right).log_scale(), (bottom..top).log_scale())?;
    chart
        .configure_mesh()
        .label_style((FONT, 28))
        .axis_desc_style((FONT, 32))
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
        let style = colour(codec).stroke_width(4);
        chart
            .draw_series(LineSeries::new(line.iter().copied(), style.filled()).point_size(6))?
            .label(*codec)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 36, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .legend_area_size(56)
        .label_font((FONT, 28))
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.2))
        .draw()?;
    Ok(())
}
