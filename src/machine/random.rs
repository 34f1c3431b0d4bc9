//! SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
//! generators", 2014): numbers that follow from a seed alone, the same in every
//! version of the program.

/// The distance between the states of two consecutive draws.
pub const SPLITMIX64_STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The number that a generator in state `state` draws. Its next state is
/// `state` plus [`SPLITMIX64_STEP`], wrapping.
pub fn splitmix64(state: u64) -> u64 {
    let z = state.wrapping_add(SPLITMIX64_STEP);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
