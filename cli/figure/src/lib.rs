//! A bitmap for plotters' charts that sets text by the font's own metrics.
//!
//! plotters' own text leaves out every glyph's left side bearing and rounds its place to whole pixels, which tears
//! holes into words. [`Canvas`] passes everything else on to plotters' bitmap and draws text itself, with each glyph's
//! outline placed at fractions of a pixel.

use ab_glyph::{Font, FontRef, Glyph, ScaleFont, point};
use plotters::backend::BitMapBackend;
use plotters::style::{FontStyle, register_font};
use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind, FontTransform,
};

/// The name of the only font, DejaVu Sans, for plotters' styles.
pub const FONT: &str = "sans-serif";

type BitMapError = <BitMapBackend<'static> as DrawingBackend>::ErrorType;
type Drawn = Result<(), DrawingErrorKind<BitMapError>>;

/// A bitmap of `3 · width · height` bytes, RGB, top row first, as plotters' drawing backend.
pub struct Canvas<'a> {
    bitmap: BitMapBackend<'a>,
    font: FontRef<'static>,
}

impl<'a> Canvas<'a> {
    /// A canvas over `pixels`, of `size` (width, height).
    ///
    /// # Panics
    ///
    /// If `pixels` has fewer than `3 · width · height` bytes.
    pub fn new(pixels: &'a mut [u8], size: (u32, u32)) -> Self {
        let font = FontRef::try_from_slice(dejavu::sans::regular()).expect("the font that is compiled in is sound");
        // plotters looks the font up before it asks the backend to draw with it.
        let registered = register_font(FONT, FontStyle::Normal, dejavu::sans::regular());
        debug_assert!(registered.is_ok(), "the font that is compiled in is sound");
        Self { bitmap: BitMapBackend::with_buffer(pixels, size), font }
    }

    /// The glyphs of a line of text of `size` pixels, its baseline at 0, and its width.
    fn line(&self, text: &str, size: f64) -> (Vec<Glyph>, f32) {
        let font = self.font.as_scaled(size as f32);
        let (mut x, mut glyphs) = (0.0, Vec::new());
        for c in text.chars() {
            let id = font.glyph_id(c);
            if let Some(last) = glyphs.last().map(|glyph: &Glyph| glyph.id) {
                x += font.kern(last, id);
            }
            glyphs.push(id.with_scale_and_position(size as f32, point(x, 0.0)));
            x += font.h_advance(id);
        }
        (glyphs, x)
    }

    /// Height of capitals and of digits, in pixels; what text is centred by.
    fn capitals(&self, size: f64) -> f32 {
        let outline = self.font.outline_glyph(self.font.glyph_id('H').with_scale(size as f32));
        outline.map_or(size as f32, |outline| outline.px_bounds().height())
    }
}

impl DrawingBackend for Canvas<'_> {
    type ErrorType = BitMapError;

    fn get_size(&self) -> (u32, u32) {
        self.bitmap.get_size()
    }

    fn ensure_prepared(&mut self) -> Drawn {
        self.bitmap.ensure_prepared()
    }

    fn present(&mut self) -> Drawn {
        self.bitmap.present()
    }

    fn draw_pixel(&mut self, point: BackendCoord, color: BackendColor) -> Drawn {
        self.bitmap.draw_pixel(point, color)
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Drawn {
        self.bitmap.draw_line(from, to, style)
    }

    fn draw_rect<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S, fill: bool) -> Drawn {
        self.bitmap.draw_rect(from, to, style, fill)
    }

    fn blit_bitmap(&mut self, at: BackendCoord, size: (u32, u32), source: &[u8]) -> Drawn {
        self.bitmap.blit_bitmap(at, size, source)
    }

    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, style: &S, at: BackendCoord) -> Drawn {
        let (width, height) = (self.get_size().0 as i32, self.get_size().1 as i32);
        let (glyphs, length) = self.line(text, style.size());
        let left = match style.anchor().h_pos {
            HPos::Left => 0.0,
            HPos::Center => -length / 2.0,
            HPos::Right => -length,
        };
        let capitals = self.capitals(style.size());
        let baseline = match style.anchor().v_pos {
            VPos::Top => capitals,
            VPos::Center => capitals / 2.0,
            VPos::Bottom => 0.0,
        };
        // Text that lies keeps its fractions of pixels along the line; turned text is turned pixel by pixel.
        let (color, transform) = (style.color(), style.transform());
        let mut covered = Vec::new();
        for mut glyph in glyphs {
            glyph.position.x += left;
            glyph.position.y += baseline.round();
            let Some(outline) = self.font.outline_glyph(glyph) else { continue };
            let corner = outline.px_bounds().min;
            outline.draw(|x, y, share| covered.push((corner.x as i32 + x as i32, corner.y as i32 + y as i32, share)));
        }
        for (x, y, share) in covered {
            let (x, y) = transform.transform(x, y);
            let pixel = (at.0 + x, at.1 + y);
            if (0..width).contains(&pixel.0) && (0..height).contains(&pixel.1) {
                let alpha = color.alpha * f64::from(share.min(1.0));
                self.bitmap.draw_pixel(pixel, BackendColor { alpha, rgb: color.rgb })?;
            }
        }
        Ok(())
    }

    fn estimate_text_size<S: BackendTextStyle>(
        &self,
        text: &str,
        style: &S,
    ) -> Result<(u32, u32), DrawingErrorKind<Self::ErrorType>> {
        let (length, height) =
            (self.line(text, style.size()).1.ceil() as u32, self.capitals(style.size()).ceil() as u32);
        Ok(match style.transform() {
            FontTransform::None | FontTransform::Rotate180 => (length, height),
            FontTransform::Rotate90 | FontTransform::Rotate270 => (height, length),
        })
    }
}

/// A PNG file of RGB pixels, top row first.
///
/// # Errors
///
/// If `pixels` has not `3 · width · height` bytes, or is empty.
pub fn encode_png(pixels: &[u8], (width, height): (u32, u32)) -> Result<Vec<u8>, png::EncodingError> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Best);
    encoder.write_header()?.write_image_data(pixels)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use plotters::prelude::*;
    use plotters::style::text_anchor::{HPos, Pos, VPos};

    /// Columns of a line of text, at a size and from a left edge, that hold any ink.
    fn inked(text: &str, size: u32) -> Vec<bool> {
        let (width, height) = (40 * size, 3 * size);
        let mut pixels = vec![255; (3 * width * height) as usize];
        let area = Canvas::new(&mut pixels, (width, height)).into_drawing_area();
        let style = (FONT, size).into_text_style(&area).color(&BLACK).pos(Pos::new(HPos::Left, VPos::Center));
        area.draw_text(text, &style, (size as i32, 3 * size as i32 / 2)).unwrap();
        area.present().unwrap();
        drop(area);
        (0..width).map(|x| (0..height).any(|y| pixels[(3 * (y * width + x)) as usize] < 128)).collect()
    }

    /// Gaps between letters, in pixels.
    fn gaps(columns: &[bool]) -> Vec<usize> {
        let first = columns.iter().position(|&ink| ink).unwrap();
        let last = columns.iter().rposition(|&ink| ink).unwrap();
        let mut gaps = Vec::new();
        let mut run = 0;
        for &ink in &columns[first..=last] {
            if ink {
                if run > 0 {
                    gaps.push(run);
                }
                run = 0;
            } else {
                run += 1;
            }
        }
        gaps
    }

    #[test]
    fn words_have_no_holes() {
        for size in [18, 24, 30, 36, 48] {
            for word in ["fieldpress", "reconstruction", "compression", "illicit"] {
                let widest = gaps(&inked(word, size)).into_iter().max().unwrap_or(0);
                assert!(8 * widest <= 2 * size as usize, "a hole of {widest} pixels in '{word}' at {size}");
            }
        }
    }

    #[test]
    fn letters_stand_at_their_bearings() {
        // The stems of a row of l are as far apart as the font's advance says, to a pixel.
        let size = 40;
        let columns = inked("llllllll", size);
        let starts: Vec<usize> = (1..columns.len()).filter(|&x| columns[x] && !columns[x - 1]).collect();
        let font = FontRef::try_from_slice(dejavu::sans::regular()).unwrap();
        let advance = font.as_scaled(size as f32).h_advance(font.glyph_id('l'));
        assert_eq!(starts.len(), 8);
        for (k, start) in starts.iter().enumerate() {
            let expected = starts[0] as f32 + k as f32 * advance;
            assert!((*start as f32 - expected).abs() <= 1.0, "stem {k} at {start}, expected {expected}");
        }
        // Its left bearing keeps the first one off the anchor.
        assert!(starts[0] > size as usize);
    }

    #[test]
    fn a_png_has_its_pixels() {
        let png = encode_png(&[10, 20, 30, 40, 50, 60], (2, 1)).unwrap();
        let mut reader = png::Decoder::new(png.as_slice()).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size()];
        reader.next_frame(&mut pixels).unwrap();
        assert_eq!(pixels, [10, 20, 30, 40, 50, 60]);
        assert!(encode_png(&[0; 5], (2, 1)).is_err());
    }
}
