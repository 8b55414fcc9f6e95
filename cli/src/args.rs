//! The command line's grammar. Text becomes the library's types here, and nowhere later.

use crate::goal::Goal;
use crate::settings::option;
pub use crate::settings::{Part, RawInput, Running, Setting, Steps, Trying, options};
use clap::{Args, Parser, Subcommand};
use fieldpress::{Options, Scale};
use std::path::PathBuf;
use std::str::FromStr;

const OVERVIEW: &str = "\
Inputs: raw little-endian values (give --dims and --type), a NumPy file (x.npy), or a variable of a NetCDF file
(file.nc:variable or file.nc:/group/variable; its stored values, with its _FillValue, or a missing_value or NetCDF's own
fill that occurs in it, as the fill value; packed integers are unpacked by their scale_factor and add_offset). Outputs
are raw, or NumPy where the name ends in .npy. An output appears under its name only when it is whole.

A whole NetCDF file becomes another one: its variables of floats are compressed by the HDF5 filter, which its readers
then need (this tool has it), coordinates and everything else stay as they are. Several inputs, and patterns such as
'run-*.nc', are written into a folder under their own names.

The name - is standard input, or output; reports are then written to standard error. Fields from standard input are
NumPy's, or raw where --dims are given.

Examples:
  fieldpress compress ts.f32 -o ts.fp --dims 96,192,288 --type f32 --bound nrmse=4e-3
  fieldpress compress winds.nc:UWND -o uwnd.fp --bound abs=0.1 --effort 2
  fieldpress compress winds.nc:UWND -o uwnd.fp --bound ratio=50
  fieldpress decompress ts.fp -o ts.npy
  fieldpress compress run.nc -o small.nc --bound rel=1e-3 --bound ta:abs=0.1
  fieldpress compress 'out/*.nc' -o small/ --bound rel=1e-3 --only ta,pr
  fieldpress decompress small.nc -o plain.nc
  simulate | fieldpress compress - -o - --dims 96x192x288 --type f32 --bound rel=1e-3 | ssh store 'cat > ts.fp'
  fieldpress decompress ts.fp -o corner.npy --start 0,0,0 --count 8,64,64
  fieldpress decompress ts.fp -o small.npy --scale 4
  fieldpress verify ts.f32 ts.fp --json
  fieldpress verify winds.nc:UWND uwnd.fp --report uwnd.html
  fieldpress suggest winds.nc:UWND --target dssim=0.9995
  fieldpress plot ts.f32 ts.fp -o ts.png --frame 10
  fieldpress extract run.fpa -o run.nc
  fieldpress extract run.fpa -o last.npy --variable temperature --step 40 --start 0,0 --count 64,64
  fieldpress verify run.fpa --decode

Exit codes:
  0  done; for verify: the bound holds
  1  writing failed, a model, ONNX Runtime or a device is missing, or a bug
  2  bad usage: unknown or contradictory arguments
  3  bad input: a file that cannot be read, is damaged, or does not have the size that was said
  4  the bound cannot be reached, or (verify) does not hold

Environment:
  ORT_DYLIB_PATH, FIELDPRESS_ONNXRUNTIME  path of libonnxruntime.so, where it is not beside this program
  FIELDPRESS_PYTHON                       Python with the package fieldpress, for suggest and --report (default: python3)
  FIELDPRESS_LOG                          what is logged on standard error, for example debug (default: warn)";

/// Compresses simulation fields under an error bound that is checked before anything is written.
#[derive(Debug, Parser)]
#[command(name = "fieldpress", version, after_help = OVERVIEW)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Compress a field
    Compress(CompressArgs),
    /// Decompress a stream, whole, at a reduced scale, or a box of it
    Decompress(DecompressArgs),
    /// Show what a stream's header says, or what an archive holds
    Info(InfoArgs),
    /// Decompress a stream, compare it with the original, and say whether the bound holds; or check an archive
    Verify(VerifyArgs),
    /// Find the loosest bound under which a field reaches a target of quality
    Suggest(SuggestArgs),
    /// Draw original, reconstruction and error of one frame
    Plot(PlotArgs),
    /// Decompress variables of an archive: steps, boxes, series
    Extract(ExtractArgs),
    /// Save what is sound of a damaged archive into a new one
    Repair(RepairArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  fieldpress compress ts.f32 -o ts.fp --dims 96,192,288 --type f32 --bound nrmse=4e-3
  fieldpress compress run.nc -o small.nc --bound rel=1e-3 --bound ta:abs=0.1 --only ta,pr")]
pub struct CompressArgs {
    /// Fields to compress: raw, x.npy, file.nc:variable, - for standard input; or whole NetCDF files
    #[arg(value_name = "IN", required = true)]
    pub input: Vec<String>,
    /// Stream to write, - for standard output; for a whole NetCDF file another one, name.nc; for several inputs a folder
    #[arg(short, long, value_name = "OUT")]
    pub output: PathBuf,
    #[command(flatten)]
    pub raw: RawInput,
    /// abs=E, rel=E, pw_rel=E, nrmse=E, psnr=DB, block_l2=T or lossless; for whole NetCDF files once more for each variable that
    /// has its own, NAME:KIND=VALUE; or ratio=R: the tightest nrmse whose stream is at most an Rth of the field
    #[arg(long, value_name = "[NAME:]KIND=VALUE", required = true, value_parser = Goal::from_str)]
    pub bound: Vec<Goal>,
    /// Variables of whole NetCDF files that are compressed [default: those of floats, but for coordinates]
    #[arg(long, value_name = "NAME,NAME,...", value_delimiter = ',')]
    pub only: Vec<String>,
    #[command(flatten)]
    pub trying: Trying,
    #[command(flatten)]
    pub running: Running,
    /// Value that marks points without data; they come back bit-exact
    #[arg(long, value_name = "V", allow_hyphen_values = true, value_parser = option("fill_value"))]
    pub fill_value: Option<Setting>,
    /// Values far outside of all others, as 1e20 and -9999: found and taken for marks of points without data; taken for
    /// data; or those values that mark such points
    #[arg(long, value_name = "auto|off|V,...", default_value = "auto", allow_hyphen_values = true,
          value_parser = option("sentinels"))]
    pub sentinels: Setting,
    /// Dimensions that are frames, rows and columns, as 0,1,2, or frames, planes, rows and columns of volumes, as 0,1,2,3
    /// [default: tried on a sample]
    #[arg(long, value_name = "F[,P],R,C", value_parser = option("axes"))]
    pub axes: Option<Setting>,
    /// Frames that are coded together; fewer make parts cheaper to decode, and streams longer [default: 128]
    #[arg(long, value_name = "N", value_parser = option("segment"))]
    pub segment: Option<Setting>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  fieldpress decompress ts.fp -o ts.npy
  fieldpress decompress ts.fp -o corner.f32 --start 0,0,0 --count 8,64,64")]
pub struct DecompressArgs {
    /// Streams to decompress, - for standard input; or NetCDF files with compressed variables
    #[arg(value_name = "IN", required = true)]
    pub input: Vec<String>,
    /// Field to write: raw, or NumPy where the name ends in .npy, - for standard output; of a NetCDF file another one,
    /// name.nc; for several inputs a folder
    #[arg(short, long, value_name = "OUT")]
    pub output: PathBuf,
    /// What to write, where the name's ending does not say
    #[arg(long, value_name = "raw|npy", value_parser = to_field)]
    pub to: Option<ExtractTo>,
    /// Spatial resolution: 2 and 4 give a half and a quarter of the rows and columns, and of the planes of volumes
    #[arg(long, value_name = "1|2|4", default_value = "1", value_parser = scale)]
    pub scale: Scale,
    #[command(flatten)]
    pub part: Part,
    #[command(flatten)]
    pub running: Running,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct InfoArgs {
    /// Stream or archive to look at
    #[arg(value_name = "IN")]
    pub input: String,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Errors are computed here, in f64, from the decoded values. With --scale, the output at reduced
scales is compared with the original's averages over 2x2 or 4x4 points, too.

An archive is checked by itself: its index, the checksum of every chunk, and with --decode every chunk's content; or one
of its variables is compared with an original, which has the steps along its first dimension: all of them, or those that
--step or --steps name. Bounds hold for the steps of a commit together, and are judged where it is whole.

With --report the errors are also compared with what the climate literature asks for, in a page with pictures, made by
the Python package: pip install 'fieldpress[quality]'.

Examples:
  fieldpress verify ts.f32 ts.fp --scale 2,4 --json
  fieldpress verify winds.nc:UWND uwnd.fp --report uwnd.html
  fieldpress verify t.npy run.fpa --variable t --steps 0..8 --report t.html
  fieldpress verify run.fpa --decode")]
pub struct VerifyArgs {
    /// The field that was compressed: raw, x.npy, or file.nc:variable; or an archive, alone
    #[arg(value_name = "ORIGINAL")]
    pub original: String,
    /// Its stream, or an archive with it
    #[arg(value_name = "STREAM")]
    pub stream: Option<String>,
    /// Of an archive that is given instead: the variable that is compared [default: the only one]
    #[arg(long, value_name = "NAME", requires = "stream")]
    pub variable: Option<String>,
    #[command(flatten)]
    pub steps: Steps,
    /// With an archive alone: decode every chunk, too, not only test its checksum
    #[arg(long, conflicts_with = "stream")]
    pub decode: bool,
    /// Page to write, one HTML file: pictures, statistics, thresholds of the climate literature, a verdict
    #[arg(long, value_name = "OUT.html", requires = "stream")]
    pub report: Option<PathBuf>,
    /// Reduced scales to compare, too
    #[arg(long, value_name = "2|4", value_delimiter = ',', value_parser = scale)]
    pub scale: Vec<Scale>,
    /// Value that marks points without data, where it was given to compress
    #[arg(long, value_name = "V", allow_hyphen_values = true, value_parser = option("fill_value"))]
    pub fill_value: Option<Setting>,
    #[command(flatten)]
    pub running: Running,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Searched on samples, verified on the whole field, by the Python package: pip install
'fieldpress[quality]'. Frames are the planes of the last two dimensions; of dssim and pearson the worst frame counts, of
ssim their mean; a spectrum may deviate by so much up to that wavenumber, in cycles over a frame's longer side.

Examples:
  fieldpress suggest winds.nc:UWND --target dssim=0.9995
  fieldpress suggest t.npy --target pearson=0.99999 --target spectrum=0.01@k50 -o t.fp")]
pub struct SuggestArgs {
    /// Field that will be compressed: raw, x.npy, file.nc:variable, or - for standard input
    #[arg(value_name = "FIELD")]
    pub input: String,
    /// What has to be reached; all of several
    #[arg(long, value_name = "dssim=V|ssim=V|pearson=V|spectrum=V[@kN]", required = true)]
    pub target: Vec<String>,
    /// Kind of the bound
    #[arg(long, value_name = "nrmse|rel|abs", default_value = "nrmse")]
    pub kind: String,
    /// Where the field's stream under that bound is written, too
    #[arg(short, long, value_name = "OUT")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub raw: RawInput,
    #[command(flatten)]
    pub trying: Trying,
    /// Value that marks points without data
    #[arg(long, value_name = "V", allow_hyphen_values = true, value_parser = option("fill_value"))]
    pub fill_value: Option<Setting>,
    #[command(flatten)]
    pub running: Running,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Coordinates of the last two dimensions, from a NetCDF file or an archive, are drawn as labels, and grow
upwards and to the right: north is up.

Examples:
  fieldpress plot winds.nc:UWND uwnd.fp -o uwnd.png --frame 10
  fieldpress plot run.fpa -o t.png --variable temperature --step 40"
)]
pub struct PlotArgs {
    /// The field that was compressed: raw, x.npy, or file.nc:variable; or an archive, alone
    #[arg(value_name = "ORIGINAL")]
    pub original: String,
    /// Its stream
    #[arg(value_name = "STREAM")]
    pub stream: Option<String>,
    /// Picture to write, x.png
    #[arg(short, long, value_name = "OUT.png")]
    pub output: PathBuf,
    /// Frame to draw, counted over all dimensions but rows and columns (and, of an archive, the steps)
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub frame: usize,
    /// Variable of an archive [default: the only one]
    #[arg(long, value_name = "NAME", conflicts_with = "stream")]
    pub variable: Option<String>,
    /// Step of an archive, counted from 0 [default: the last]
    #[arg(long, value_name = "K", conflicts_with = "stream")]
    pub step: Option<u64>,
    /// Value that marks points without data, where it was given to compress
    #[arg(long, value_name = "V", allow_hyphen_values = true, value_parser = option("fill_value"))]
    pub fill_value: Option<Setting>,
    #[command(flatten)]
    pub running: Running,
}

/// What is written of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ExtractTo {
    /// Little-endian values.
    Raw,
    /// NumPy.
    Npy,
    /// NetCDF, with attributes and times.
    Netcdf,
}

impl ExtractTo {
    /// What a name's ending says.
    pub fn of(path: &std::path::Path) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("npy") => Self::Npy,
            Some("nc") => Self::Netcdf,
            _ => Self::Raw,
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = "Several steps are written along an axis of their own, before the others.

Examples:
  fieldpress extract run.fpa -o run.nc
  fieldpress extract run.fpa -o t.npy --variable temperature --step 40
  fieldpress extract run.fpa -o probe.npy --variable temperature --steps 0..100 --start 10,20 --count 1,1")]
pub struct ExtractArgs {
    /// Archive to read
    #[arg(value_name = "ARCHIVE")]
    pub input: String,
    /// File to write: x.nc, x.npy, or raw
    #[arg(short, long, value_name = "OUT")]
    pub output: PathBuf,
    /// What to write, where the name's ending does not say
    #[arg(long, value_name = "raw|npy|netcdf")]
    pub to: Option<ExtractTo>,
    /// Variable; may be given several times for NetCDF [default: all]
    #[arg(long, value_name = "NAME")]
    pub variable: Vec<String>,
    #[command(flatten)]
    pub steps: Steps,
    #[command(flatten)]
    pub part: Part,
    /// What points get that no rank wrote [default: the variable's fill value; without one an error, in NetCDF its own]
    #[arg(long, value_name = "V", allow_hyphen_values = true)]
    pub missing: Option<f64>,
    #[command(flatten)]
    pub running: Running,
}

#[derive(Debug, Args)]
#[command(
    after_help = "The damaged archive is only read. Steps keep their numbers; what is lost reads as never written.

Example:
  fieldpress repair run.fpa -o saved.fpa"
)]
pub struct RepairArgs {
    /// Damaged archive
    #[arg(value_name = "ARCHIVE")]
    pub input: String,
    /// New archive
    #[arg(short, long, value_name = "OUT")]
    pub output: PathBuf,
}

impl CompressArgs {
    pub fn options(&self) -> fieldpress::Result<Options> {
        let own = [
            Some(&self.trying.effort),
            Some(&self.trying.fm),
            Some(&self.sentinels),
            self.fill_value.as_ref(),
            self.axes.as_ref(),
            self.segment.as_ref(),
        ];
        let given = options(own.into_iter().chain(self.running.settings()))?;
        Ok(given.with_trust_embedded_model(self.running.trust_model))
    }
}

fn to_field(text: &str) -> Result<ExtractTo, String> {
    match text {
        "raw" => Ok(ExtractTo::Raw),
        "npy" => Ok(ExtractTo::Npy),
        _ => Err("expected raw or npy".to_owned()),
    }
}

fn scale(text: &str) -> fieldpress::Result<Scale> {
    Scale::from_factor(text.parse().unwrap_or(0))
        .map_err(|_| fieldpress::Error::invalid(format!("scale '{text}' is not known; expected 1, 2 or 4")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn grammar_is_sound() {
        Cli::command().debug_assert();
    }
}
