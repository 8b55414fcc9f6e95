//! One frame as a picture: original, reconstruction, error, or a decoded field alone, each with its colour bar; curves
//! where the field has one dimension. Coordinates grow upwards and to the right.

use crate::failure::Failure;
use crate::frame::{Frame, label, ticks};
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
/// Room beside and below an image for the labels of coordinates.
const ROW_LABELS: i32 = 110;
const COLUMN_LABELS: i32 = 52;
const CAPTION_SIZE: i32 = 40;
const TITLE_SIZE: i32 = 34;
const LABEL_SIZE: i32 = 28;
const DETAIL_SIZE: i32 = 30;
const DETAIL_HEIGHT: i32 = 44;
/// Size of the picture of curves.
const CURVES: (u32, u32) = (2000, 1280);
/// Least width of a picture of one panel, so that there is room for its caption.
const LEAST_WIDTH: i32 = 1400;
const NO_DATA: RGBColor = RGBColor(200, 200, 200);
const ERROR: &str = "error: reconstruction − original";
const ORIGINAL_COLOR: RGBColor = RGBColor(31, 119, 180);
const DECODED_COLOR: RGBColor = RGBColor(255, 127, 14);

/// What is written above the pictures.
pub struct Caption {
    /// The field, and which part of it.
    pub name: String,
    pub bound: String,
    pub ratio: f64,
    pub nrmse: f64,
    /// A second line: time, and what lies along the axes.
    pub detail: String,
}

impl Caption {
    fn text(&self) -> String {
        format!("{}   {}   ratio {:.1}   NRMSE {:.2e}", self.name, self.bound, self.ratio, self.nrmse)
    }

    fn height(&self) -> i32 {
        CAPTION_HEIGHT + if self.detail.is_empty() { 0 } else { DETAIL_HEIGHT }
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

/// Draws a frame, with its original and error where that is given; the result is a PNG file.
pub fn draw(
    original: Option<&[Option<f64>]>,
    decoded: &[Option<f64>],
    frame: &Frame,
    caption: &Caption,
) -> Result<Vec<u8>, Failure> {
    let panels = if original.is_some() { 3 } else { 1 };
    let layout = Layout::of(frame, panels, caption.height());
    let size = if frame.rows == 1 { CURVES } else { layout.size() };
    let mut pixels = vec![0; 3 * size.0 as usize * size.1 as usize];
    {
        let area = Canvas::new(&mut pixels, size).into_drawing_area();
        area.fill(&WHITE).map_err(failed)?;
        let corner = Pos::new(HPos::Left, VPos::Top);
        text(&area, &caption.text(), (MARGIN, MARGIN), CAPTION_SIZE, corner)?;
        text(&area, &caption.detail, (MARGIN, MARGIN + CAPTION_SIZE + 14), DETAIL_SIZE, corner)?;
        let error = original.map(|original| -> Vec<Option<f64>> {
            original.iter().zip(decoded).map(|(x, y)| Some((*y)? - (*x)?)).collect()
        });
        let pair = original.zip(error.as_deref());
        if frame.rows == 1 {
            curves(&area.margin(caption.height() + MARGIN, MARGIN, MARGIN, MARGIN), decoded, pair, frame)?;
        } else {
            images(&area, &layout, decoded, pair)?;
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

/// Where the panels lie, and how many points of the frame a pixel covers.
struct Layout<'a> {
    frame: &'a Frame,
    panels: i32,
    caption: i32,
    width: i32,
    height: i32,
    below_each_other: bool,
}

impl<'a> Layout<'a> {
    fn of(frame: &'a Frame, panels: i32, caption: i32) -> Self {
        let below_each_other = frame.columns as f64 > WIDE * frame.rows as f64;
        let side = if below_each_other || panels == 1 { 2.0 * IMAGE_SIDE } else { IMAGE_SIDE };
        let scale = side / frame.rows.max(frame.columns) as f64;
        let pixels = |n: usize| (n as f64 * scale).round().max(MIN_SIDE) as i32;
        Self { frame, panels, caption, width: pixels(frame.columns), height: pixels(frame.rows), below_each_other }
    }

    /// Room before and below an image for labels.
    fn labels(&self) -> (i32, i32) {
        let room = |axis: usize, room: i32| if self.frame.places[axis].is_some() { room } else { 0 };
        (room(0, ROW_LABELS), room(1, COLUMN_LABELS))
    }

    fn panel(&self) -> (i32, i32) {
        let (before, below) = self.labels();
        (before + self.width + BAR_GAP + BAR_WIDTH + LABEL_WIDTH, self.height + TITLE_HEIGHT + MARGIN + below)
    }

    fn size(&self) -> (u32, u32) {
        let (width, height) = self.panel();
        let (across, down) = if self.below_each_other { (1, self.panels) } else { (self.panels, 1) };
        let least = if self.panels == 1 { LEAST_WIDTH } else { 0 };
        ((MARGIN + across * width).max(least) as u32, (MARGIN + self.caption + down * height) as u32)
    }

    /// Top left corner of a panel's title.
    fn corner(&self, panel: i32) -> (i32, i32) {
        let (width, height) = self.panel();
        let (across, down) = if self.below_each_other { (0, panel) } else { (panel, 0) };
        (MARGIN + across * width + self.labels().0, MARGIN + self.caption + down * height)
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

/// A frame's original, and what decoding changed in it.
type Pair<'a> = Option<(&'a [Option<f64>], &'a [Option<f64>])>;

fn images(area: &Area<'_>, layout: &Layout<'_>, decoded: &[Option<f64>], pair: Pair<'_>) -> Result<(), Failure> {
    let frame = layout.frame;
    let (low, high) = limits(pair.map_or(decoded, |(original, _)| original).iter());
    let field = Scale { low, high, color: |t| colorous::VIRIDIS.eval_continuous(t) };
    let Some((original, error)) = pair else {
        let title = frame.titled("decoded");
        return Panel { title, values: decoded, scale: &field, summary: average }.draw(area, layout, 0);
    };
    let (low, high) = symmetric_limits(error);
    let difference = Scale { low, high, color: |t| colorous::RED_BLUE.eval_continuous(1.0 - t) };
    let title = |title: &str| frame.titled(title);
    let panels = [
        Panel { title: title("original"), values: original, scale: &field, summary: average },
        Panel { title: title("reconstruction"), values: decoded, scale: &field, summary: average },
        Panel { title: title(ERROR), values: error, scale: &difference, summary: largest },
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
    title: String,
    values: &'a [Option<f64>],
    scale: &'a Scale,
    /// What a pixel shows of the points that it covers.
    summary: Summary,
}

impl Panel<'_> {
    /// Draws it as the panel `number`, from the left.
    fn draw(&self, area: &Area<'_>, layout: &Layout<'_>, number: i32) -> Result<(), Failure> {
        let Self { title, values, scale, summary } = self;
        let frame = layout.frame;
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
            let rows = cover(height - 1 - y, height, frame.rows);
            for x in 0..width {
                let columns = cover(x, width, frame.columns);
                let places = rows.clone().flat_map(|row| columns.clone().map(move |column| (row, column)));
                let mut points = places
                    .filter_map(|(row, column)| values[frame.turned(0, row) * frame.columns + frame.turned(1, column)]);
                let RGBColor(r, g, b) = scale.color(summary(&mut points));
                image.extend([r, g, b]);
            }
        }
        let image = BitMapElement::<_>::with_owned_buffer((left, top), (width as u32, height as u32), image)
            .ok_or_else(|| Failure::other("drawing failed: the image has a wrong size"))?;
        area.draw(&image).map_err(failed)?;
        border(area, (left, top), (width, height))?;
        coordinates(area, frame, (left, top), (width, height))?;
        bar(area, (left + width + BAR_GAP, top), height, scale)
    }
}

/// Labels of coordinates to the left of an image and below it, as many as have room.
fn coordinates(
    area: &Area<'_>,
    frame: &Frame,
    (left, top): (i32, i32),
    (width, height): (i32, i32),
) -> Result<(), Failure> {
    let bottom = top + height;
    let mut last = i32::MAX;
    for (share, label) in frame.labels(0) {
        let y = bottom - (share * f64::from(height)).round() as i32;
        if last - y > LABEL_SIZE {
            area.draw(&PathElement::new([(left - 7, y), (left - 1, y)], BLACK)).map_err(failed)?;
            text(area, &label, (left - 12, y), LABEL_SIZE, Pos::new(HPos::Right, VPos::Center))?;
            last = y;
        }
    }
    let mut last = i32::MIN / 2;
    for (share, label) in frame.labels(1) {
        let x = left + (share * f64::from(width)).round() as i32;
        if x - last > 3 * LABEL_SIZE {
            area.draw(&PathElement::new([(x, bottom), (x, bottom + 6)], BLACK)).map_err(failed)?;
            text(area, &label, (x, bottom + 12), LABEL_SIZE, Pos::new(HPos::Center, VPos::Top))?;
            last = x;
        }
    }
    Ok(())
}

fn border(area: &Area<'_>, (left, top): (i32, i32), (width, height): (i32, i32)) -> Result<(), Failure> {
    let corners = [(left - 1, top - 1), (left + width, top + height)];
    area.draw(&Rectangle::new(corners, BLACK.mix(0.5).stroke_width(2))).map_err(failed)
}

fn bar(area: &Area<'_>, (left, top): (i32, i32), height: i32, scale: &Scale) -> Result<(), Failure> {
    let value_at = |y: i32| scale.high - (scale.high - scale.low) * f64::from(y) / f64::from(height - 1);
    for y in 0..height {
        let line = [(left, top + y), (left + BAR_WIDTH - 1, top + y)];
        area.draw(&PathElement::new(line, scale.color(Some(value_at(y))))).map_err(failed)?;
    }
    border(area, (left, top), (BAR_WIDTH, height))?;
    for (value, label) in ticks(scale.low, scale.high) {
        let y = top + ((scale.high - value) / (scale.high - scale.low) * f64::from(height - 1)).round() as i32;
        let right = left + BAR_WIDTH;
        area.draw(&PathElement::new([(right, y), (right + 6, y)], BLACK)).map_err(failed)?;
        text(area, &label, (right + 12, y), LABEL_SIZE, Pos::new(HPos::Left, VPos::Center))?;
    }
    Ok(())
}

fn curves(area: &Area<'_>, decoded: &[Option<f64>], pair: Pair<'_>, frame: &Frame) -> Result<(), Failure> {
    let Some((original, error)) = pair else {
        return chart(area, &[(&frame.titled("decoded"), decoded, ORIGINAL_COLOR)], limits(decoded.iter()));
    };
    let (upper, lower) = area.split_vertically(area.dim_in_pixel().1 * 3 / 5);
    let (first, second) = (frame.titled("original"), frame.titled("reconstruction"));
    let fields = [(&*first, original, ORIGINAL_COLOR), (&*second, decoded, DECODED_COLOR)];
    chart(&upper, &fields, limits(original.iter().chain(decoded)))?;
    chart(&lower, &[(&frame.titled(ERROR), error, BLACK)], symmetric_limits(error))
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
    fn pictures_are_png_files() {
        let caption =
            Caption { name: "x".into(), bound: "abs=1".into(), ratio: 2.0, nrmse: 0.1, detail: String::new() };
        let values: Vec<Option<f64>> = (0..6).map(|v| (v != 3).then_some(f64::from(v))).collect();
        for (rows, columns) in [(2, 3), (1, 6), (3, 2)] {
            let frame = Frame { rows, columns, ..Frame::default() };
            for original in [Some(&values[..]), None] {
                let png = draw(original, &values, &frame, &caption).unwrap();
                assert!(png.starts_with(b"\x89PNG"));
            }
        }
    }
}
