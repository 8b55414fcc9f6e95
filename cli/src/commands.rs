//! The commands: read, call the library, write, report.

use crate::analysis::{self, Pair};
use crate::args::{self, CompressArgs, DecompressArgs, ExtractTo, InfoArgs, PlotArgs, Setting, VerifyArgs};
use crate::described::Described;
use crate::failure::Failure;
use crate::frame::Frame;
use crate::goal::Goal;
use crate::measure;
use crate::picture::{self, Caption};
use crate::progress::Progress;
use crate::report::{self, Common};
use crate::source::{self, Expected, Field};
use crate::target;
use fieldpress::{Codec, ErrorKind, Region, Report, Request, Scale, Shape, StreamInfo};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::time::Instant;

fn common(info: &StreamInfo, stream_bytes: u64, seconds: f64) -> Common<'_> {
    Common {
        shape: &info.shape,
        dtype: info.dtype,
        axes: info.axes,
        bound: Some(info.bound),
        input_bytes: (info.shape.len() * info.dtype.size()) as u64,
        stream_bytes,
        nrmse: info.nrmse,
        max_abs_error: info.max_abs_error,
        seconds,
        sections: &info.sections,
        fm_share: info.fm_share,
    }
}

fn stages(report: &Report) -> Value {
    Value::Object(
        report.stages.entries().into_iter().map(|(name, seconds)| (name.to_owned(), json!(seconds))).collect(),
    )
}

/// What `inspect` says of a file's bytes; damage is the input's fault.
fn inspect(name: &str, stream: &[u8]) -> Result<StreamInfo, Failure> {
    fieldpress::inspect(stream).map_err(|error| error.context(name).into())
}

/// Compresses a field into a file of its own.
pub fn compress_field(args: &CompressArgs, input: &str, output: &Path, goal: &Goal) -> Result<Report, Failure> {
    let mut options = args.options()?;
    let field = source::read_field(input, args.raw.expected())?;
    options.fill_value = options.fill_value.or(field.fill_value);

    let codec = Codec::new(options)?;
    let (stream, report) = {
        let _progress = Progress::start(&format!("compressing {input}"));
        match goal {
            Goal::Bound(of) => codec.compress(&field.view()?, of.bound)?,
            Goal::Ratio(ratio) => {
                let view = field.view()?;
                // What is left after this is a ratio that cannot be had.
                codec.check(view.shape())?;
                let cannot = |error: fieldpress::Error| match error.kind() {
                    ErrorKind::InvalidArgument => Failure::bound(error.message()),
                    _ => error.into(),
                };
                codec.compress_to_ratio(&view, *ratio).map_err(cannot)?
            }
        }
    };
    target::write(output, |writer| writer.write_all(&stream))?;
    Ok(report)
}

pub fn compress(args: &CompressArgs, input: &str, output: &Path, goal: &Goal) -> Result<(), Failure> {
    let report = compress_field(args, input, output, goal)?;
    let common = common(&report.info, report.stream_bytes, report.seconds);
    if args.json {
        let mut object = common.json();
        object.insert("stages".into(), stages(&report));
        object.insert("modes".into(), modes(&report.info));
        object.insert("sentinels".into(), json!(report.sentinels));
        object.insert("mean_error".into(), json!(report.mean_error));
        return report::print_beside(output, &report::json_text(object));
    }
    let mut lines = common.lines();
    if !report.sentinels.is_empty() {
        lines.push(("sentinels", report::kept(&report.sentinels)));
    }
    lines.push(common.time_line());
    report::print_beside(output, &report::lines_text(&lines))
}

fn modes(info: &StreamInfo) -> Value {
    Value::Object(info.modes.iter().map(|(mode, chunks)| (mode.clone(), (*chunks).into())).collect())
}

/// Decodes what `request` names into a new field.
fn decode(codec: &Codec, info: &StreamInfo, stream: &[u8], request: &Request) -> Result<(Field, Report), Failure> {
    let mut field = Field::new(request.output_shape(info)?, info.dtype)?;
    let report = codec.decompress(stream, request, &mut field.view_mut()?)?;
    Ok((field, report))
}

/// Decompresses a stream into a file of its own; the shape of what was written comes last.
pub fn decompress_field(args: &DecompressArgs, input: &str, output: &Path) -> Result<(Report, Shape), Failure> {
    let to = args.to.unwrap_or_else(|| ExtractTo::of(output));
    if to == ExtractTo::Netcdf {
        return Err(Failure::usage(format!(
            "{}: a stream knows neither names nor units, so it is not written as NetCDF; give a name.npy, or write \
             archives, of which extract makes NetCDF",
            output.display()
        )));
    }
    let stream = source::read_stream(input)?;
    let info = inspect(input, &stream)?;
    let codec = Codec::new(args.running.options()?)?;
    let request = Request { scale: args.scale, region: args.part.region() };
    let (field, report) = {
        let _progress = Progress::start(&format!("decompressing {input}"));
        decode(&codec, &info, &stream, &request)?
    };
    target::write_as(output, &field, to == ExtractTo::Npy)?;
    Ok((report, field.shape))
}

pub fn decompress(args: &DecompressArgs, input: &str, output: &Path) -> Result<(), Failure> {
    let (report, shape) = decompress_field(args, input, output)?;
    let common = common(&report.info, report.stream_bytes, report.seconds);
    if args.json {
        let mut object = common.json();
        object.insert("output_dims".into(), json!(shape.dims()));
        object.insert("scale".into(), json!(args.scale.factor()));
        object.insert("stages".into(), stages(&report));
        return report::print_beside(output, &report::json_text(object));
    }
    let mut lines = common.lines();
    lines.push(("output", shape.to_string()));
    lines.push(common.time_line());
    report::print_beside(output, &report::lines_text(&lines))
}

pub fn info(args: &InfoArgs) -> Result<(), Failure> {
    let stream = source::read_stream(&args.input)?;
    let start = Instant::now();
    let info = inspect(&args.input, &stream)?;
    let common = common(&info, stream.len() as u64, start.elapsed().as_secs_f64());
    if args.json {
        let mut object = common.json();
        object.insert("format_version".into(), json!(info.version));
        object.insert("range".into(), json!(info.range));
        object.insert("masked".into(), json!(info.masked));
        let model = info.model.as_ref().map(|(name, hash)| json!({ "name": name, "hash": hash }));
        object.insert("model".into(), model.unwrap_or(Value::Null));
        object.insert("modes".into(), modes(&info));
        return report::print_json(object);
    }
    let mut lines = vec![("format", format!("version {}", info.version))];
    lines.extend(common.lines());
    if let Some((name, hash)) = &info.model {
        lines.push(("needs", format!("model {name} ({hash})")));
    }
    if !info.masked.is_empty() {
        lines.push(("no data", format!("where the value is {}", report::numbers(&info.masked))));
    }
    let modes: Vec<String> = info.modes.iter().map(|(mode, chunks)| format!("{mode} {chunks}")).collect();
    lines.push(("modes", format!("{} (chunks)", modes.join(", "))));
    report::print_lines(&lines)
}

/// A field whose last dimensions are the frames, planes, rows and columns of a stream.
fn frames_last(field: Field, info: &StreamInfo) -> Field {
    match info.axes {
        Some(axes) => field.with_last(&axes.list()),
        None => field,
    }
}

/// Reads the original of a stream, which knows its shape and type.
fn original(name: &str, info: &StreamInfo) -> Result<Field, Failure> {
    source::read_field(name, Expected { dims: Some(info.shape.dims()), dtype: Some(info.dtype) })
}

/// Values that mark points without data: the one that is given, or else the original's, and those that the stream keeps
/// bit by bit.
fn masked(info: &StreamInfo, given: Option<&Setting>, original: &Field) -> Result<Vec<f64>, Failure> {
    let named = args::options([given])?.fill_value.or(original.fill_value);
    Ok(named.into_iter().chain(info.masked.iter().copied()).collect())
}

pub fn verify(args: &VerifyArgs) -> Result<(), Failure> {
    let Some(name) = &args.stream else {
        return Err(Failure::usage(format!("{} needs its stream to be compared with", args.original)));
    };
    let stream = source::read_stream(name)?;
    let info = inspect(name, &stream)?;
    let original = original(&args.original, &info)?;
    let masked = masked(&info, args.fill_value.as_ref(), &original)?;
    let codec = Codec::new(args.running.options()?)?;

    let (report, errors, scales, pair) = {
        let _progress = Progress::start(&format!("verifying {name}"));
        let (decoded, report) = decode(&codec, &info, &stream, &Request::default())?;
        let pair = args.report.as_ref().map(|_| Pair::new(&original, &decoded)).transpose()?;
        let mut scales = Vec::new();
        for &scale in args.scale.iter().filter(|scale| **scale != Scale::Full) {
            let (reduced, _) = decode(&codec, &info, &stream, &Request { scale, region: None })?;
            scales.push((scale.factor(), measure::reduced_errors(&original, &reduced, scale.factor(), &masked)));
        }
        let errors = measure::errors(&frames_last(original, &info), &frames_last(decoded, &info), &masked);
        let relative = |(factor, (rmse, largest))| (factor, rmse / errors.range, largest);
        let scales: Vec<(usize, f64, f64)> = scales.into_iter().map(relative).collect();
        (report, errors, scales, pair)
    };
    // The range that relative bounds refer to is part of the contract: it may be that of a larger field.
    let holds = errors.hold(info.bound, info.range);
    if let (Some(pair), Some(page)) = (pair, &args.report) {
        let _progress = Progress::start(&format!("writing {}", page.display()));
        pair.page(page, &about(&args.original, &info, stream.len(), &masked, holds))?;
    }

    let common = Common {
        nrmse: errors.nrmse(),
        max_abs_error: errors.max_abs,
        ..common(&report.info, report.stream_bytes, report.seconds)
    };
    if args.json {
        let mut object = common.json();
        object.insert("holds".into(), json!(holds));
        object.insert("range".into(), json!(errors.range));
        object.insert("bound_range".into(), json!(info.range));
        object.insert("rmse".into(), json!(errors.rmse));
        object.insert("psnr".into(), json!(errors.psnr()));
        object.insert("max_block_l2".into(), json!(errors.max_block_l2));
        object.insert("max_pw_rel".into(), json!(errors.max_pw_rel));
        object.insert("points".into(), json!(errors.points));
        object.insert("masked_points".into(), json!(errors.masked));
        object.insert("masked_points_changed".into(), json!(errors.masked_changed));
        object.insert("claimed".into(), json!({ "nrmse": info.nrmse, "max_abs_error": info.max_abs_error }));
        object.insert("scales".into(), scales.iter().map(scale_json).collect());
        report::print_json(object)?;
    } else {
        let mut lines = common.lines();
        if errors.masked > 0 {
            lines.push(("masked", format!("{} points, {} of them changed", errors.masked, errors.masked_changed)));
        }
        if info.range != errors.range {
            let text = format!(
                "{} here; the bound refers to {} (fill value or range given to compress?)",
                errors.range, info.range
            );
            lines.push(("range", text));
        }
        for (factor, nrmse, largest) in &scales {
            lines.push(("scale", format!("1/{factor}: NRMSE {nrmse:.4e}, largest {largest:.4e} against the averages")));
        }
        lines.push(common.time_line());
        lines.push(("holds", if holds { "yes" } else { "NO" }.into()));
        report::print_lines(&lines)?;
    }
    if holds { Ok(()) } else { Err(Failure::bound(format!("{name}: the bound {} does not hold", info.bound))) }
}

/// What a page says of a field and its stream.
fn about(original: &str, info: &StreamInfo, stream_bytes: usize, masked: &[f64], holds: bool) -> Value {
    let described =
        source::netcdf_parts(original).map(|(file, variable)| Described::of_netcdf(file, variable)).unwrap_or_default();
    let mut out = analysis::about(&described);
    let name = Path::new(original).file_name().map_or(original.into(), |name| name.to_string_lossy());
    out.insert("title".into(), json!(name));
    out.insert("bound".into(), json!([info.bound.name(), info.bound.value()]));
    out.insert("bound_holds".into(), json!(holds));
    out.insert("bound_range".into(), json!(info.range));
    out.insert("masked".into(), json!(masked));
    out.insert("input_bytes".into(), json!(info.shape.len() * info.dtype.size()));
    out.insert("stream_bytes".into(), json!(stream_bytes));
    Value::Object(out)
}

fn scale_json((factor, nrmse, largest): &(usize, f64, f64)) -> Value {
    let mut object = Map::new();
    object.insert("scale".into(), json!(factor));
    object.insert("nrmse".into(), json!(nrmse));
    object.insert("max_abs_error".into(), json!(largest));
    Value::Object(object)
}

/// The box of frame `k`, counted over all dimensions but the last two.
pub fn frame_region(shape: &Shape, k: usize) -> Result<Region, Failure> {
    let mut region = Region::whole(shape);
    let leading = shape.ndim().saturating_sub(2);
    let frames: usize = shape.dims()[..leading].iter().product();
    if k >= frames {
        return Err(Failure::usage(format!("--frame {k}: the field {shape} has {frames} frames, counted from 0")));
    }
    let mut rest = k;
    for axis in (0..leading).rev() {
        region.start[axis] = rest % shape.dims()[axis];
        region.count[axis] = 1;
        rest /= shape.dims()[axis];
    }
    Ok(region)
}

/// Refuses a picture that is no PNG file.
pub fn png_only(output: &Path) -> Result<(), Failure> {
    if output.extension().is_none_or(|extension| !extension.eq_ignore_ascii_case("png")) {
        return Err(Failure::usage(format!("{}: pictures are PNG files; give a name.png", output.display())));
    }
    Ok(())
}

/// Rows and columns of a field's frames.
pub fn frame_size(shape: &Shape) -> (usize, usize) {
    match *shape.dims() {
        [.., rows, columns] => (rows, columns),
        _ => (1, shape.len()),
    }
}

/// A file's name without its folder.
pub fn short_name(path: &str) -> String {
    Path::new(path).file_name().map_or(path.into(), |name| name.to_string_lossy().into_owned())
}

pub fn plot(args: &PlotArgs) -> Result<(), Failure> {
    png_only(&args.output)?;
    let Some(name) = &args.stream else {
        return Err(Failure::usage(format!("{} needs its stream to be drawn with", args.original)));
    };
    let stream = source::read_stream(name)?;
    let info = inspect(name, &stream)?;
    let original = original(&args.original, &info)?;
    let masked = masked(&info, args.fill_value.as_ref(), &original)?;
    let original = frames_last(original, &info);
    let region = frame_region(&original.shape, args.frame)?;
    let codec = Codec::new(args.running.options()?)?;
    let len: usize = region.count.iter().product();
    // Where the frame's dimensions are not the last, the whole field is decoded and turned.
    let region = info.axes.is_none().then_some(region);
    let first = if region.is_some() { 0 } else { args.frame * len };
    let (decoded, report) = decode(&codec, &info, &stream, &Request { scale: Scale::Full, region })?;
    let decoded = frames_last(decoded, &info);

    let (rows, columns) = frame_size(&original.shape);
    let values =
        |field: &Field, start: usize| -> Vec<Option<f64>> { picture::values(&field.data, start..start + len, &masked) };
    let mut described = described(&args.original);
    if info.axes.is_some() {
        // The frames' axes are others than the file's last ones.
        described.coordinates.clear();
    }
    let number = if info.shape.ndim() > 2 { format!(", frame {}", args.frame) } else { String::new() };
    let caption = Caption {
        name: short_name(&args.original) + &number,
        bound: info.bound.to_string(),
        ratio: common(&report.info, report.stream_bytes, report.seconds).ratio(),
        nrmse: info.nrmse,
        detail: described.axes_text(),
    };
    let frame = Frame::new(rows, columns, &described);
    let original = values(&original, args.frame * len);
    let png = picture::draw(Some(&original), &values(&decoded, first), &frame, &caption)?;
    target::write(&args.output, |writer| writer.write_all(&png))
}

/// What a field's file says of it.
fn described(name: &str) -> Described {
    source::netcdf_parts(name).map(|(file, variable)| Described::of_netcdf(file, variable)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames_of(dims: &[usize]) -> Vec<Vec<usize>> {
        let shape = Shape::new(dims).unwrap();
        (0..).map_while(|k| frame_region(&shape, k).ok()).map(|region| region.start).collect()
    }

    #[test]
    fn frames_are_counted_in_order() {
        assert_eq!(frames_of(&[2, 2, 5, 6]), [[0, 0, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0]]);
        assert_eq!(frames_of(&[5, 6]), [[0, 0]]);
        assert_eq!(frames_of(&[6]), [[0]]);
    }
}
