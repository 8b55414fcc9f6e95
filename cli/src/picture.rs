//! One frame as a picture: original, reconstruction, error, each with its colour bar; curves where the field has one
//! dimension.

use crate::failure::Failure;
use crate::source::{Data, is_masked};
use fieldpress::Element;
use fieldpress_figure::{Canvas, FONT, encode_png};
use plotters::coord::Shift;
use plotters::element::BitMapElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::ops::Range;

/// Longest side of an image, in pixels.
const IMAGE_SIDE: f64 = 880.0;
/// Shortest side that long, thin frames are stretched to.
const MIN_SIDE: f64 = 120.0;
/// Frames wider than this many times their height are drawn below each other.
const WIDE: f64 = 2.5;
const MARGIN: i32 = 32;
const CAPTION_HEIGHT: i32 = 80;
const TITLE_HEIGHT: i32 = 48;
const BAR_GAP: i32 = 20;
const BAR_WIDTH: i32 = 28;
const LABEL_WIDTH: i32 = 168;
const CAPTION_SIZE: i32 = 40;
const TITLE_SIZE: i32 = 34;
const LABEL_SIZE: i32 = 28;
/// Size of the picture of curves.
const CURVES: (u32, u32) = (2000, 1280);
/// About as many labels beside a colour bar.
const TICKS: f64 = 6.0;
const NO_DATA: RGBColor = RGBColor(200, 200, 200);
const ORIGINAL_COLOR: RGBColor = RGBColor(31, 119, 180);
const DECODED_COLOR: RGBColor = RGBColor(255, 127, 14);

/// What is written above the pictures.
pub struct Caption {
    pub name: String,
    pub frame: Option<usize>,
    pub bound: String,
    pub ratio: f64,
    pub nrmse: f64,
}

impl Caption {
    fn text(&self) -> String {
        let name =
            std::path::Path::new(&self.name).file_name().map_or(self.name.clone(), |n| n.to_string_lossy().into());
        let frame = self.frame.map(|k| format!(", frame {k}")).unwrap_or_default();
        format!("{name}{frame}   {}   ratio {:.1}   NRMSE {:.2e}", self.bound, self.ratio, self.nrmse)
    }
}

/// Values of part of a field, `None` at points without data.
pub fn values(data: &Data, range: Range<usize>, masked: &[f64]) -> Vec<Option<f64>> {
    fn of<T: Element>(values: &[T], masked: &[f64]) -> Vec<Option<f64>> {
        values.iter().map(|&v| (!is_masked(v, masked)).then(|| v.to_f64())).collect()
    }
    match data {
        Data::F32(values) => of(&values[range], masked),
        Data::F64(values) => of(&values[range], masked),
    }
}

/// Draws a frame; the result is a PNG file.
pub fn draw(
    original: &[Option<f64>],
    decoded: &[Option<f64>],
    rows: usize,
    columns: usize,
    caption: &Caption,
) -> Result<Vec<u8>, Failure> {
    let error: Vec<Option<f64>> = original.iter().zip(decoded).map(|(x, y)| Some((*y)? - (*x)?)).collect();
    let size = if rows == 1 { CURVES } else { Layout::of(rows, columns).size() };
    let mut pixels = vec![0; 3 * size.0 as usize * size.1 as usize];
    {
        let area = Canvas::new(&mut pixels, size).into_drawing_area();
        area.fill(&WHITE).map_err(failed)?;
        text(&area, &caption.text(), (MARGIN, MARGIN), CAPTION_SIZE, Pos::new(HPos::Left, VPos::Top))?;
        if rows == 1 {
            curves(&area, original, decoded, &error)?;
        } else {
            images(&area, &Layout::of(rows, columns), original, decoded, &error)?;
        }
        area.present().map_err(failed)?;
    }
    encode_png(&pixels, size).map_err(failed)
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::other(format!("drawing failed: {error}"))
}

type Area<'a> = DrawingArea<Canvas<'a>, Shift>;

fn text(area: &Area<'_>, text: &str, at: (i32, i32), size: i32, anchor: Pos) -> Result<(), Failure> {
    let style = (FONT, size).into_text_style(area).color(&BLACK).pos(anchor);
    area.draw_text(text, &style, at).map_err(failed)
}

/// Where the three panels lie, and how many points of the frame a pixel covers.
struct Layout {
    rows: usize,
    columns: usize,
    width: i32,
    height: i32,
    below_each_other: bool,
}

impl Layout {
    fn of(rows: usize, columns: usize) -> Self {
        let below_each_other = columns as f64 > WIDE * rows as f64;
        let side = if below_each_other { 2.0 * IMAGE_SIDE } else { IMAGE_SIDE };
        let scale = side / rows.max(columns) as f64;
        let pixels = |n: usize| (n as f64 * scale).round().max(MIN_SIDE) as i32;
        Self { rows, columns, width: pixels(columns), height: pixels(rows), below_each_other }
    }

    fn panel(&self) -> (i32, i32) {
        (self.width + BAR_GAP + BAR_WIDTH + LABEL_WIDTH, self.height + TITLE_HEIGHT + MARGIN)
    }

    fn size(&self) -> (u32, u32) {
        let (width, height) = self.panel();
        let (across, down) = if self.below_each_other { (1, 3) } else { (3, 1) };
        ((MARGIN + across * width) as u32, (MARGIN + CAPTION_HEIGHT + down * height) as u32)
    }

    /// Top left corner of a panel's title.
    fn corner(&self, panel: i32) -> (i32, i32) {
        let (width, height) = self.panel();
        let (across, down) = if self.below_each_other { (0, panel) } else { (panel, 0) };
        (MARGIN + across * width, MARGIN + CAPTION_HEIGHT + down * height)
    }
}

/// How values become colours.
struct Scale {
    low: f64,
    high: f64,
    color: fn(f64) -> colorous::Color,
}

impl Scale {
    fn color(&self, value: Option<f64>) -> RGBColor {
        let Some(value) = value else { return NO_DATA };
        let colorous::Color { r, g, b } = (self.color)(((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0));
        RGBColor(r, g, b)
    }
}

fn limits<'a>(values: impl Iterator<Item = &'a Option<f64>>) -> (f64, f64) {
    let (low, high) =
        values.flatten().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &v| (low.min(v), high.max(v)));
    if low < high {
        (low, high)
    } else if low == high {
        (low - 0.5 * low.abs().max(1.0), low + 0.5 * low.abs().max(1.0))
    } else {
        (0.0, 1.0)
    }
}

/// Limits of an error's colours, symmetric about zero.
fn symmetric_limits(values: &[Option<f64>]) -> (f64, f64) {
    let largest = values.iter().flatten().fold(0.0, |largest: f64, v| largest.max(v.abs()));
    if largest > 0.0 { (-largest, largest) } else { (-1.0, 1.0) }
}

fn images(
    area: &Area<'_>,
    layout: &Layout,
    original: &[Option<f64>],
    decoded: &[Option<f64>],
    error: &[Option<f64>],
) -> Result<(), Failure> {
    let (low, high) = limits(original.iter());
    let field = Scale { low, high, color: |t| colorous::VIRIDIS.eval_continuous(t) };
    let (low, high) = symmetric_limits(error);
    let difference = Scale { low, high, color: |t| colorous::RED_BLUE.eval_continuous(1.0 - t) };
    let panels = [
        Panel { title: "original", values: original, scale: &field, summary: average },
        Panel { title: "reconstruction", values: decoded, scale: &field, summary: average },
        Panel { title: "error (reconstruction − original)", values: error, scale: &difference, summary: largest },
    ];
    panels.iter().zip(0..).try_for_each(|(panel, number)| panel.draw(area, layout, number))
}

fn average(values: &mut dyn Iterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values.fold((0.0, 0), |(sum, n), v| (sum + v, n + 1));
    (n > 0).then(|| sum / f64::from(n))
}

/// The value farthest from zero: errors must not average away where a pixel covers several points.
fn largest(values: &mut dyn Iterator<Item = f64>) -> Option<f64> {
    values.reduce(|a, b| if b.abs() > a.abs() { b } else { a })
}

type Summary = fn(&mut dyn Iterator<Item = f64>) -> Option<f64>;

/// One of the three pictures side by side, `[rows][columns]`.
struct Panel<'a> {
    title: &'a str,
    values: &'a [Option<f64>],
    scale: &'a Scale,
    /// What a pixel shows of the points that it covers.
    summary: Summary,
}

impl Panel<'_> {
    /// Draws it as the panel `number`, from the left.
    fn draw(&self, area: &Area<'_>, layout: &Layout, number: i32) -> Result<(), Failure> {
        let &Self { title, values, scale, summary } = self;
        let (left, top) = layout.corner(number);
        text(area, title, (left, top), TITLE_SIZE, Pos::new(HPos::Left, VPos::Top))?;
        let top = top + TITLE_HEIGHT;
        let (width, height) = (layout.width, layout.height);

        // The points that a pixel covers along one side, at least one.
        let cover = |pixel: i32, pixels: i32, points: usize| {
            let first = pixel as usize * points / pixels as usize;
            first..((pixel as usize + 1) * points / pixels as usize).max(first + 1)
        };
        let mut image = Vec::with_capacity(3 * (width * height) as usize);
        for y in 0..height {
            // The first row is the lowest, as an axis that grows upwards.
            let rows = cover(height - 1 - y, height, layout.rows);
            for x in 0..width {
                let columns = cover(x, width, layout.columns);
                let mut points = rows
                    .clone()
                    .flat_map(|row| values[row * layout.columns..][columns.clone()].iter().flatten().copied());
                let RGBColor(r, g, b) = scale.color(summary(&mut points));
                image.extend([r, g, b]);
            }
        }
        let image = BitMapElement::<_>::with_owned_buffer((left, top), (width as u32, height as u32), image)
            .ok_or_else(|| Failure::other("drawing failed: the image has a wrong size"))?;
        area.draw(&image).map_err(failed)?;
        frame(area, (left, top), (width, height))?;
        bar(area, (left + width + BAR_GAP, top), height, scale)
    }
}

fn frame(area: &Area<'_>, (left, top): (i32, i32), (width, height): (i32, i32)) -> Result<(), Failure> {
    let corners = [(left - 1, top - 1), (left + width, top + height)];
    area.draw(&Rectangle::new(corners, BLACK.mix(0.5).stroke_width(2))).map_err(failed)
}

fn bar(area: &Area<'_>, (left, top): (i32, i32), height: i32, scale: &Scale) -> Result<(), Failure> {
    let value_at = |y: i32| scale.high - (scale.high - scale.low) * f64::from(y) / f64::from(height - 1);
    for y in 0..height {
        let line = [(left, top + y), (left + BAR_WIDTH - 1, top + y)];
        area.draw(&PathElement::new(line, scale.color(Some(value_at(y))))).map_err(failed)?;
    }
    frame(area, (left, top), (BAR_WIDTH, height))?;
    for (value, label) in ticks(scale.low, scale.high) {
        let y = top + ((scale.high - value) / (scale.high - scale.low) * f64::from(height - 1)).round() as i32;
        let right = left + BAR_WIDTH;
        area.draw(&PathElement::new([(right, y), (right + 6, y)], BLACK)).map_err(failed)?;
        text(area, &label, (right + 12, y), LABEL_SIZE, Pos::new(HPos::Left, VPos::Center))?;
    }
    Ok(())
}

/// Round values between two limits, and their labels.
fn ticks(low: f64, high: f64) -> Vec<(f64, String)> {
    let raw = (high - low) / TICKS;
    let power = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|&step| step >= raw).unwrap_or(raw);
    let first = (low / step).ceil() as i64;
    let last = (high / step).floor() as i64;
    (first..=last)
        .map(|k| k as f64 * step)
        .map(|value| (value, label(value, step, low.abs().max(high.abs()))))
        .collect()
}

/// A value with digits enough to tell it from its neighbours `step` away; `largest` is the largest beside it.
fn label(value: f64, step: f64, largest: f64) -> String {
    if value.abs() < 1e-6 * step {
        "0".into()
    } else if (1e-3..1e5).contains(&largest) {
        let decimals = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
        format!("{value:.decimals$}")
    } else {
        let digits = (largest / step).log10().ceil().clamp(0.0, 9.0) as usize;
        format!("{value:.digits$e}")
    }
}

fn curves(
    area: &Area<'_>,
    original: &[Option<f64>],
    decoded: &[Option<f64>],
    error: &[Option<f64>],
) -> Result<(), Failure> {
    let area = area.margin(CAPTION_HEIGHT + MARGIN, MARGIN, MARGIN, MARGIN);
    let (upper, lower) = area.split_vertically(area.dim_in_pixel().1 * 3 / 5);
    let fields = [("original", original, ORIGINAL_COLOR), ("reconstruction", decoded, DECODED_COLOR)];
    chart(&upper, &fields, limits(original.iter().chain(decoded)))?;
    let limits = symmetric_limits(error);
    chart(&lower, &[("error (reconstruction − original)", error, BLACK)], limits)
}

fn chart(area: &Area<'_>, lines: &[(&str, &[Option<f64>], RGBColor)], (low, high): (f64, f64)) -> Result<(), Failure> {
    let points = lines.iter().map(|(_, values, _)| values.len()).max().unwrap_or(1);
    let mut chart = ChartBuilder::on(area)
        .x_label_area_size(48)
        .y_label_area_size(LABEL_WIDTH)
        .margin(12)
        .build_cartesian_2d(0.0..points as f64, low..high)
        .map_err(failed)?;
    chart
        .configure_mesh()
        .label_style((FONT, LABEL_SIZE))
        .x_label_formatter(&|index| format!("{index:.0}"))
        .y_label_formatter(&|&value| label(value, (high - low) / 20.0, low.abs().max(high.abs())))
        .light_line_style(TRANSPARENT)
        .draw()
        .map_err(failed)?;
    for &(name, values, color) in lines {
        let mut label = Some(name);
        // A line for each run of points with data.
        for run in values.chunk_by(|a, b| a.is_some() == b.is_some()).filter(|run| run[0].is_some()) {
            let start = (run.as_ptr().addr() - values.as_ptr().addr()) / size_of::<Option<f64>>();
            let points = run.iter().enumerate().filter_map(|(k, v)| Some(((start + k) as f64, (*v)?)));
            let series = chart.draw_series(LineSeries::new(points, color.stroke_width(2))).map_err(failed)?;
            if let Some(name) = label.take() {
                series.label(name).legend(move |(x, y)| PathElement::new([(x, y), (x + 32, y)], color.stroke_width(2)));
            }
        }
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .legend_area_size(48)
        .label_font((FONT, LABEL_SIZE))
        .background_style(WHITE.mix(0.8))
        .border_style(TRANSPARENT)
        .draw()
        .map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let labels = |low, high| ticks(low, high).into_iter().map(|(_, label)| label).collect::<Vec<_>>();
        assert_eq!(labels(0.0, 10.0), ["0", "2", "4", "6", "8", "10"]);
        assert_eq!(labels(-0.013, 0.013), ["-0.010", "-0.005", "0", "0.005", "0.010"]);
        assert_eq!(labels(-2e-8, 2e-8), ["-2e-8", "-1e-8", "0", "1e-8", "2e-8"].map(|s| s.replace('e', ".0e")));
    }

    #[test]
    fn pictures_are_png_files() {
        let caption = Caption { name: "x".into(), frame: None, bound: "abs=1".into(), ratio: 2.0, nrmse: 0.1 };
        let frame: Vec<Option<f64>> = (0..6).map(|v| (v != 3).then_some(f64::from(v))).collect();
        for (rows, columns) in [(2, 3), (1, 6), (3, 2)] {
            let png = draw(&frame, &frame, rows, columns, &caption).unwrap();
            assert!(png.starts_with(b"\x89PNG"));
        }
    }
}
