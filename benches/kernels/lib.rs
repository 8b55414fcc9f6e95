//! The field on which fieldpress's kernels are timed.

/// Frames, rows and columns.
pub const DIMS: [usize; 3] = [16, 256, 256];

/// Waves that move, with a little roughness: of the range 2.
pub fn field() -> Vec<f32> {
    let [frames, rows, columns] = DIMS;
    let mut state = 7u64;
    let mut rough = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u32 << 24) as f32 - 0.5
    };
    let mut values = Vec::with_capacity(frames * rows * columns);
    for t in 0..frames {
        for y in 0..rows {
            for x in 0..columns {
                let (t, y, x) = (t as f32, y as f32, x as f32);
                let wave = (0.11 * x + 0.3 * t).sin() * (0.07 * y - 0.1 * t).cos();
                let fine = 0.1 * (0.9 * x + 0.7 * y - t).sin();
                values.push(0.9 * wave + fine + 0.01 * rough());
            }
        }
    }
    values
}
