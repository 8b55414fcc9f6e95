//! Where the bands of a wavelet-analysed frame lie, and the padded magnitude planes that contexts are read from.

use super::wavelet::{levels, low_size};

/// Side of the blocks whose emptiness is coded first.
pub(crate) const BLOCK: usize = 8;
/// Columns of padding left and right of a band in a magnitude plane; rows above, and one below.
const PAD: usize = 2;

/// The orientation of a band.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Orient {
    /// Low-pass both ways (the corner).
    LowLow = 0,
    /// High-pass along rows.
    HighLow = 1,
    /// High-pass along columns.
    LowHigh = 2,
    /// High-pass both ways.
    HighHigh = 3,
}

/// One band of a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Band {
    /// 1 for the finest; the corner has the number of levels.
    pub(crate) level: usize,
    pub(crate) orient: Orient,
    pub(crate) y0: usize,
    pub(crate) x0: usize,
    pub(crate) h: usize,
    pub(crate) w: usize,
    /// Index of the band of the same orientation one level coarser.
    pub(crate) parent: Option<usize>,
    /// First element and row stride in a magnitude plane, of the band's first value.
    pub(crate) mags: usize,
    pub(crate) mag_stride: usize,
    /// First element and row stride in a plane of block flags (padded by one all round), of the first block.
    pub(crate) flags: usize,
    pub(crate) flag_stride: usize,
}

/// The bands of frames of one size, coarse to fine.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// Planes of a frame: 1 where frames are planes.
    pub(crate) depth: usize,
    pub(crate) h: usize,
    pub(crate) w: usize,
    pub(crate) levels: usize,
    pub(crate) bands: Vec<Band>,
    /// Elements of one magnitude plane (a block can be read from any place of it) and of one plane of flags.
    pub(crate) mag_len: usize,
    pub(crate) flag_len: usize,
}

impl Layout {
    /// The layout of frames that are planes `[h][w]`.
    pub(crate) fn new(h: usize, w: usize) -> Self {
        Self::of_volumes(1, h, w)
    }

    /// The layout of the planes of frames `[depth][h][w]`.
    pub(crate) fn of_volumes(depth: usize, h: usize, w: usize) -> Self {
        let levels = levels(h, w);
        let mut layout = Self { depth, h, w, levels, bands: Vec::new(), mag_len: 0, flag_len: 0 };
        layout.push(levels, Orient::LowLow, [0, 0], [low_size(h, levels), low_size(w, levels)]);
        for level in (1..=levels).rev() {
            let (low_h, low_w) = (low_size(h, level), low_size(w, level));
            let (high_h, high_w) = (low_size(h, level - 1) - low_h, low_size(w, level - 1) - low_w);
            layout.push(level, Orient::HighLow, [0, low_w], [low_h, high_w]);
            layout.push(level, Orient::LowHigh, [low_h, 0], [high_h, low_w]);
            layout.push(level, Orient::HighHigh, [low_h, low_w], [high_h, high_w]);
        }
        layout.mag_len += BLOCK;
        layout
    }

    /// A layout of one band that is the frame itself.
    pub(crate) fn flat(h: usize, w: usize) -> Self {
        let mut layout = Self { depth: 1, h, w, levels: 0, bands: Vec::new(), mag_len: 0, flag_len: 0 };
        layout.push(0, Orient::LowLow, [0, 0], [h, w]);
        layout.mag_len += BLOCK;
        layout
    }

    fn push(&mut self, level: usize, orient: Orient, [y0, x0]: [usize; 2], [h, w]: [usize; 2]) {
        if h == 0 || w == 0 {
            return;
        }
        let parent = self
            .bands
            .iter()
            .position(|band| band.level == level + 1 && band.orient == orient && orient != Orient::LowLow);
        let mag_stride = w + 2 * PAD;
        let flag_stride = w.div_ceil(BLOCK) + 2;
        self.bands.push(Band {
            level,
            orient,
            y0,
            x0,
            h,
            w,
            parent,
            mags: self.mag_len + PAD * mag_stride + PAD,
            mag_stride,
            flags: self.flag_len + flag_stride + 1,
            flag_stride,
        });
        self.mag_len += (h + PAD + 1) * mag_stride;
        self.flag_len += (h.div_ceil(BLOCK) + 2) * flag_stride;
    }

    /// Values of one plane.
    pub(crate) fn len(&self) -> usize {
        self.h * self.w
    }
}

/// Magnitudes (saturated at 255) and block flags of several analysed frames, from which contexts are made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Magnitudes {
    pub(crate) mags: Vec<u8>,
    pub(crate) flags: Vec<u8>,
}

impl Magnitudes {
    /// All zero, for `planes` frames.
    pub(crate) fn reset(&mut self, layout: &Layout, planes: usize) {
        self.mags.clear();
        self.mags.resize(planes * layout.mag_len, 0);
        self.flags.clear();
        self.flags.resize(planes * layout.flag_len, 0);
    }
}
