//! The bands of a window's planes as both entropy coders walk them: which planes resemble each other, where contexts are
//! read from, and the flags of blocks, which say first whether these hold anything.

use super::layout::{BLOCK, Band, Layout, Magnitudes, Orient};
use super::neighbours::Views;
use super::real::Index;
use crate::entropy::{BitCoder, Counter};
use crate::error::Result;

/// Which earlier planes resemble a plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resembles {
    /// None.
    None,
    /// A plane of this window, coded before it.
    Current(usize),
    /// A plane of the previous window.
    Previous(usize),
}

/// How one plane is coded: the planes that it resembles, and its class (the order of its expected energy).
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlaneContext {
    pub(crate) near: Resembles,
    pub(crate) far: Resembles,
    pub(crate) class: usize,
}

/// Classes of planes.
pub(crate) const CLASSES: usize = 16;
/// Classes of levels.
pub(super) const LEVELS: usize = 8;
/// Contexts of a block's flag.
pub(super) const BLOCK_FLAGS: usize = 5 * 3 * 3 * LEVELS * 2;
/// How far back counters of flags remember.
const FLAG_LIMIT: u32 = 250;

/// The planes of a window, but for their indices.
pub(crate) struct Planes<'a> {
    pub(crate) layout: &'a Layout,
    /// One for each plane.
    pub(crate) contexts: &'a [PlaneContext],
    /// Magnitudes of the previous window.
    pub(crate) previous: Option<&'a Magnitudes>,
    /// Bands finer than this are left out; 1: none are.
    pub(crate) finest: usize,
}

/// One band of one plane, and the sources of its contexts.
pub(super) struct BandContext<'a> {
    pub(super) band: &'a Band,
    /// Columns of the plane.
    pub(super) width: usize,
    pub(super) views: Views<'a>,
    /// Block flags of the plane that resembles this one most.
    near_flags: Option<&'a [u8]>,
    /// Classes of the band's level and of the plane.
    pub(super) level: usize,
    pub(super) plane_class: usize,
}

impl<'a> BandContext<'a> {
    /// The band `index` of a plane, after the planes with `earlier` magnitudes and block flags.
    #[inline(always)]
    pub(super) fn new(
        planes: &Planes<'a>,
        index: usize,
        context: &PlaneContext,
        earlier: &'a [u8],
        flags: &'a [u8],
    ) -> Self {
        let layout = planes.layout;
        let band = &layout.bands[index];
        let of = |mags: &'a [u8], flags: &'a [u8], k: usize| {
            (&mags[k * layout.mag_len..][..layout.mag_len], &flags[k * layout.flag_len..][..layout.flag_len])
        };
        let pick = |resembles: Resembles| match resembles {
            Resembles::None => None,
            Resembles::Current(k) => Some(of(earlier, flags, k)),
            Resembles::Previous(k) => planes.previous.map(|m| of(&m.mags, &m.flags, k)),
        };
        let (near, far) = (pick(context.near), pick(context.far));
        let siblings: &[Band] = match band.orient {
            Orient::LowLow | Orient::HighLow => &[],
            Orient::LowHigh => &layout.bands[index - 1..index],
            Orient::HighHigh => &layout.bands[index.saturating_sub(2)..index],
        };
        let siblings =
            if siblings.iter().all(|s| s.level == band.level && s.orient != Orient::LowLow) { siblings } else { &[] };
        let parent = band.parent.map(|p| &layout.bands[p]);
        Self {
            band,
            width: layout.w,
            views: Views { near: near.map(|n| n.0), far: far.map(|f| f.0), parent, siblings },
            near_flags: near.map(|n| n.1),
            level: band.level.min(LEVELS - 1),
            plane_class: context.class.min(CLASSES - 1),
        }
    }

    /// The context of the flag of block `bx` in row `by` of blocks; `own`: the plane's flags.
    #[inline(always)]
    fn block(&self, own: &[u8], by: usize, bx: usize) -> usize {
        let s = self.band.flag_stride;
        let at = self.band.flags + by * s + bx;
        let around = own[at - 1] + own[at - s] + own[at - s - 1] + own[at - s + 1];
        let resembling = self
            .near_flags
            .map_or(0, |f| if f[at] != 0 { 2 } else { usize::from(f[at - 1] | f[at + 1] | f[at - s] | f[at + s]) });
        let above = self.views.parent.map_or(0, |p| {
            let at = p.flags + (by / 2) * p.flag_stride + bx / 2;
            1 + usize::from(own[at] != 0)
        });
        let first = usize::from(self.plane_class == 0);
        (((usize::from(around) * 3 + resembling) * 3 + above) * LEVELS + self.level) * 2 + first
    }
}

/// The flags of one row of a band's blocks: which row, and the plane's flags.
pub(super) struct RowFlags<'a> {
    pub(super) by: usize,
    pub(super) own: &'a mut [u8],
}

/// Row `y` of a band, with its plane's magnitudes and block flags.
pub(super) struct BandRow<'a> {
    pub(super) y: usize,
    pub(super) own: &'a mut [u8],
    pub(super) flags: &'a [u8],
}

/// What an entropy coder does of a band, at the places that [`walk`] comes to.
pub(super) trait RowCoder<I> {
    /// Codes the flags of a row of blocks.
    fn flags(&mut self, frame: &[I], context: &BandContext<'_>, row: RowFlags<'_>);

    /// Codes a row of a band, but for blocks that hold nothing.
    ///
    /// # Errors
    /// `Corrupt` when decoding bytes that no encoder wrote.
    fn row(&mut self, frame: &mut [I], context: &BandContext<'_>, row: BandRow<'_>) -> Result<()>;
}

/// Has a coder code the indices of a window's planes, or when decoding fill them in: bands coarse to fine, in each band
/// all planes, in each plane rows of blocks, their flags first. `magnitudes` is left for the next window.
///
/// # Errors
/// As [`RowCoder::row`].
#[inline(always)]
pub(super) fn walk<I>(
    coder: &mut impl RowCoder<I>,
    indices: &mut [I],
    planes: &Planes<'_>,
    magnitudes: &mut Magnitudes,
) -> Result<()> {
    let layout = planes.layout;
    for (index, band) in layout.bands.iter().enumerate() {
        if band.level < planes.finest && band.orient != Orient::LowLow {
            break;
        }
        for (plane, context) in planes.contexts.iter().enumerate() {
            let frame = &mut indices[plane * layout.len()..][..layout.len()];
            let (earlier, own) = magnitudes.mags.split_at_mut(plane * layout.mag_len);
            let (earlier_flags, own_flags) = magnitudes.flags.split_at_mut(plane * layout.flag_len);
            let (own, own_flags) = (&mut own[..layout.mag_len], &mut own_flags[..layout.flag_len]);
            let context = BandContext::new(planes, index, context, earlier, earlier_flags);
            for by in 0..band.h.div_ceil(BLOCK) {
                coder.flags(frame, &context, RowFlags { by, own: own_flags });
                for y in by * BLOCK..band.h.min((by + 1) * BLOCK) {
                    coder.row(frame, &context, BandRow { y, own, flags: own_flags })?;
                }
            }
        }
    }
    Ok(())
}

/// Codes the flags of row `by` of a band's blocks: whether they hold anything.
#[inline(always)]
pub(super) fn code_flags<C: BitCoder, I: Index>(
    counters: &mut [Counter],
    coder: &mut C,
    frame: &[I],
    context: &BandContext<'_>,
    RowFlags { by, own: flags }: RowFlags<'_>,
) {
    let &BandContext { band, width, .. } = context;
    let y_end = band.h.min((by + 1) * BLOCK);
    for bx in 0..band.w.div_ceil(BLOCK) {
        let x_end = band.w.min((bx + 1) * BLOCK);
        let any = C::ENCODES
            && any_within(
                &frame[(band.y0 + by * BLOCK) * width + band.x0 + bx * BLOCK..],
                width,
                [y_end - by * BLOCK, x_end - bx * BLOCK],
            );
        let counter = &mut counters[context.block(flags, by, bx)];
        let any = coder.bit(any, counter.p1());
        counter.update(any, FLAG_LIMIT);
        flags[band.flags + by * band.flag_stride + bx] = u8::from(any);
    }
}

/// Whether any index of a block of `[h, w]` is not 0; `indices` begin with its first, in rows of `stride`.
#[inline(always)]
fn any_within<I: Index>(indices: &[I], stride: usize, [h, w]: [usize; 2]) -> bool {
    let none = I::default();
    let mut sum = [none; BLOCK];
    for row in indices.chunks(stride).take(h) {
        match row.first_chunk::<BLOCK>() {
            Some(row) if w == BLOCK => {
                for k in 0..BLOCK {
                    sum[k] = sum[k].or(row[k]);
                }
            }
            _ => row[..w].iter().for_each(|&index| sum[0] = sum[0].or(index)),
        }
    }
    sum.iter().fold(none, |all, &index| all.or(index)) != none
}
